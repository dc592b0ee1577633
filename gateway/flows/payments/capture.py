"""Capture a payment: take the money of an authorized payment, once, all or a part of it, or in several parts."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

from msgspec.structs import replace

from gateway.core.card_data import refuse_card_data
from gateway.core.commands import CapturePayment, Kind
from gateway.core.payment import Payment, State
from gateway.core.request_bodies import CaptureBody
from gateway.drivers.settings import AccountEntry
from gateway.flows.payments import idempotency, lookup, rejections
from gateway.flows.payments.command_checks import (
    amount_or,
    check_content,
    load_for,
    merged,
    must_be_in_state,
    must_not_be_replaced,
    new_tenant_operation,
    refresh_for,
)
from gateway.flows.payments.idempotency import Answer, Claim
from gateway.flows.payments.intent import Submission, members_of, submission_of
from gateway.flows.runtime import Gateway


async def capture_payment(gw: Gateway, claim: Claim, payment_id: str, body: CaptureBody) -> Answer:
    """Take the money of an authorized payment: the order shipped. What the last capture leaves is released."""
    return await idempotency.run(gw, claim, partial(plan_capture, gw, claim, payment_id, body))


async def plan_capture(gw: Gateway, claim: Claim, payment_id: str, body: CaptureBody) -> Submission:
    """Check a capture by state, rules and amount, and build it."""
    refuse_card_data(body, claim.idempotency_key)
    payment, entry = await load_for(gw, claim.tenant, payment_id, CapturePayment)
    is_accepted = await lookup.is_accepted_uncompleted(gw, payment, entry)
    also = lookup.WAITING if is_accepted else frozenset[State]()
    must_be_in_state(entry, payment, CapturePayment, also=also)
    must_not_be_replaced(payment)
    if entry.can_look_up and (entry.rules.read_before_capture or is_past_deadline(gw, payment)):
        payment, entry = await refresh_for(gw, claim.tenant, payment_id, CapturePayment)
        must_be_in_state(entry, payment, CapturePayment, also=also)
    check_content(entry, payment, body)
    left = payment.money.amount - payment.captured
    amount = amount_or(payment, body.amount, left)
    is_many = check_captured(entry, payment, amount, left)
    final = not is_many or body.final or amount == left
    order = merged(payment.order, body.order)
    if order.charges is not None and order.charges.grand_total != amount:
        order = replace(order, charges=None)  # charges of the whole order would contradict a part of it
    operation = new_tenant_operation(gw, claim, payment, Kind.CAPTURE, amount)
    operation = replace(operation, final=final if is_many else None)
    command = CapturePayment(
        **members_of(payment, operation), order=order, merchant_status=body.merchant_status, final=final
    )
    return await submission_of(gw, entry, payment, command, operation)


def is_past_deadline(gw: Gateway, payment: Payment) -> bool:
    """Whether the provider may have canceled by itself what was not captured in time."""
    return payment.capture_by is not None and gw.clock.now() >= payment.capture_by


def check_captured(entry: AccountEntry, payment: Payment, amount: Decimal, left: Decimal) -> bool:
    """A capture takes at most what is left, and all of it where the provider takes no part. Whether more may follow."""
    is_many = entry.rules.captures == "many"
    if amount > left:
        raise rejections.too_large(payment, left, "captured")
    if amount < left and not (is_many or entry.rules.partial_capture):
        raise rejections.captures_all(payment)
    return is_many
