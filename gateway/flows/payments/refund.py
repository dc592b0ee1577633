"""Refund a captured payment: decide whether money may be returned, and how much."""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from gateway.core.card_data import refuse_card_data
from gateway.core.commands import Kind, RefundPayment
from gateway.core.request_bodies import RefundBody
from gateway.flows.payments import idempotency, rejections
from gateway.flows.payments.command_checks import (
    amount_or,
    check_content,
    load_for,
    must_be_in_state,
    new_tenant_operation,
    refresh_for,
)
from gateway.flows.payments.idempotency import Answer, Claim
from gateway.flows.payments.intent import Submission, members_of, submission_of
from gateway.flows.runtime import Gateway


async def refund_payment(gw: Gateway, claim: Claim, payment_id: str, body: RefundBody) -> Answer:
    """Return money after capture. Where the provider can be asked, the refunded total is read first."""
    return await idempotency.run(gw, claim, partial(plan_refund, gw, claim, payment_id, body))


async def plan_refund(gw: Gateway, claim: Claim, payment_id: str, body: RefundBody) -> Submission:
    """Check a refund by state and by what is left, and build it."""
    refuse_card_data(body, claim.idempotency_key)
    payment, entry = await load_for(gw, claim.tenant, payment_id, RefundPayment)
    must_be_in_state(entry, payment, RefundPayment)
    if entry.can_look_up:
        payment, entry = await refresh_for(gw, claim.tenant, payment_id, RefundPayment)
    check_content(entry, payment, body)
    left = payment.captured - payment.refunded
    amount = amount_or(payment, body.amount, left)
    if left <= 0 or amount > left:
        raise rejections.too_large(payment, left, "refunded")
    operation = replace(new_tenant_operation(gw, claim, payment, Kind.REFUND, amount), reason=body.reason)
    command = RefundPayment(**members_of(payment, operation), reason=body.reason)
    return await submission_of(gw, entry, payment, command, operation)
