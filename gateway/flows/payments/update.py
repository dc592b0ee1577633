"""Update the amount or the order of a payment before capture, or begin its replacement above the provider's limit."""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from gateway.core.card_data import refuse_card_data
from gateway.core.commands import Kind, UpdatePayment
from gateway.core.errors import invalid
from gateway.core.payment import Payment
from gateway.core.request_bodies import UpdateBody
from gateway.flows.cascade import ENDED
from gateway.flows.payments import idempotency, rejections
from gateway.flows.payments.command_checks import (
    amount_or,
    check_content,
    load_for,
    merged,
    must_be_in_state,
    must_not_be_replaced,
    new_tenant_operation,
)
from gateway.flows.payments.idempotency import Answer, Claim
from gateway.flows.payments.intent import Submission, members_of, submission_of
from gateway.flows.payments.replacement import plan_replacement
from gateway.flows.runtime import Gateway


async def update_payment(gw: Gateway, claim: Claim, payment_id: str, body: UpdateBody) -> Answer:
    """Change amount or order before capture; above the limit, on request, begin a replacement for the new total."""
    check_update(body)
    return await idempotency.run(gw, claim, partial(plan_update, gw, claim, payment_id, body))


async def plan_update(gw: Gateway, claim: Claim, payment_id: str, body: UpdateBody) -> Submission:
    """Check an update by state, rules and limit, and build it, or the create of a replacement."""
    refuse_card_data(body, claim.idempotency_key)
    payment, entry = await load_for(gw, claim.tenant, payment_id, UpdatePayment)
    must_be_in_state(entry, payment, UpdatePayment)
    must_not_be_replaced(payment)
    if payment.captured:
        raise rejections.partly_captured(payment)
    check_content(entry, payment, body)
    amount = amount_or(payment, body.amount, payment.money.amount)
    order = merged(payment.order, body.order)
    limit = entry.rules.max_increase
    if limit is not None and amount - payment.accepted_amount > limit.amount:
        if not body.allow_new_checkout:
            raise rejections.over_limit(entry, payment, limit, amount)
        await must_not_be_live_replacement(gw, payment)
        money = payment.money.with_amount(amount)
        return await plan_replacement(gw, claim, entry, payment, money=money, order=order)
    operation = replace(new_tenant_operation(gw, claim, payment, Kind.UPDATE, amount), order=order)
    command = UpdatePayment(**members_of(payment, operation), order=order, merchant_status=body.merchant_status)
    return await submission_of(gw, entry, payment, command, operation)


async def must_not_be_live_replacement(gw: Gateway, payment: Payment) -> None:
    """One replacement at a time: while the payment that this one replaces may still be paid, no third order begins.

    Raises ``invalid_state``.
    """
    replaced = await gw.store.payment(payment.tenant, payment.replaces) if payment.replaces is not None else None
    if replaced is not None and replaced.payment.replaced_by == payment.id and replaced.payment.state not in ENDED:
        raise rejections.still_replacing(payment)


def check_update(body: UpdateBody) -> None:
    """An update says at least one thing. Raises ``validation_failed``."""
    if not any((body.amount is not None, body.order is not None, body.merchant_status, body.allow_new_checkout)):
        raise invalid(("$", "needs at least one of amount, order, merchant_status, allow_new_checkout"))
