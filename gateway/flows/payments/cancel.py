"""Cancel (void) a payment before it is captured."""

from __future__ import annotations

from functools import partial

from gateway.core.card_data import refuse_card_data
from gateway.core.commands import CancelPayment, Kind
from gateway.core.states import PAST_GRACE, row_of
from gateway.flows.payments import idempotency, rejections
from gateway.flows.payments.command_checks import load_for, must_be_in_state, new_tenant_operation
from gateway.flows.payments.idempotency import Answer, Claim
from gateway.flows.payments.intent import Submission, members_of, submission_of
from gateway.flows.runtime import Gateway


async def cancel_payment(gw: Gateway, claim: Claim, payment_id: str) -> Answer:
    """Give a payment up before capture."""
    return await idempotency.run(gw, claim, partial(plan_cancel, gw, claim, payment_id))


async def plan_cancel(gw: Gateway, claim: Claim, payment_id: str) -> Submission:
    """Check a cancel by state, and build it."""
    refuse_card_data(None, claim.idempotency_key)
    payment, entry = await load_for(gw, claim.tenant, payment_id, CancelPayment)
    must_be_in_state(entry, payment, CancelPayment)
    if row_of(payment, entry.policy, gw.clock.now()) == PAST_GRACE:
        raise rejections.past_grace(payment)
    operation = new_tenant_operation(gw, claim, payment, Kind.CANCEL, payment.money.amount)
    return await submission_of(gw, entry, payment, CancelPayment(**members_of(payment, operation)), operation)
