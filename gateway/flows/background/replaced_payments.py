"""Cancel a payment whose replacement was accepted; where that is not possible, a person must look at both."""

from __future__ import annotations

from gateway.core.commands import CancelPayment, Kind
from gateway.core.facts import Cause
from gateway.core.payment import Payment, ReviewReason, State, Status
from gateway.core.replacement import flag_two_live_orders
from gateway.drivers.store.reads import PaymentSnapshot
from gateway.flows import restore
from gateway.flows.cascade import ACCEPTED, ENDED
from gateway.flows.commit import commit_change
from gateway.flows.payments import intent, lookup, submit
from gateway.flows.runtime import Gateway


async def cancel_if_replaced(gw: Gateway, snapshot: PaymentSnapshot) -> PaymentSnapshot:
    """Cancel a payment whose replacement was accepted; flag both where that was refused or is not possible."""
    replacement = await _accepted_replacement(gw, snapshot.payment)
    if replacement is None:
        return snapshot
    if restore.must_be_refreshed(gw, snapshot.payment):  # it may be canceled already
        await lookup.refresh(gw, snapshot.payment.tenant, snapshot.payment.id, hinted=False)
        snapshot = await read_again(gw, snapshot)
    if snapshot.payment.state in ENDED:
        return snapshot
    if snapshot.open_operation is None and not await _cancel_is_decided(gw, snapshot.payment):
        await _cancel(gw, snapshot.payment)
        snapshot = await read_again(gw, snapshot)
    if snapshot.payment.state is State.CANCELED or not await _cancel_is_decided(gw, snapshot.payment):
        return snapshot
    await _flag_both(gw, snapshot.payment, replacement)
    return await read_again(gw, snapshot)


async def read_again(gw: Gateway, snapshot: PaymentSnapshot) -> PaymentSnapshot:
    """A payment and its open operation as they are now."""
    return await gw.store.payment(snapshot.payment.tenant, snapshot.payment.id) or snapshot


async def is_to_be_canceled(gw: Gateway, payment: Payment) -> bool:
    """Whether a payment's replacement was accepted, and a cancel may still be possible."""
    return await _accepted_replacement(gw, payment) is not None and not await _cancel_is_decided(gw, payment)


async def _accepted_replacement(gw: Gateway, payment: Payment) -> Payment | None:
    """The replacement that was accepted while this payment may still be paid."""
    if payment.replaced_by is None or payment.state in ENDED:
        return None
    found = await gw.store.payment(payment.tenant, payment.replaced_by)
    return found.payment if found is not None and found.payment.state in ACCEPTED else None


async def _cancel_is_decided(gw: Gateway, payment: Payment) -> bool:
    """Whether a cancel is not possible, or was tried and is not to be tried again; one that was never sent may be."""
    entry = gw.entry(payment)
    if CancelPayment not in entry.provider.commands or payment.state not in entry.rules.cancel_from:
        return True
    tried = await gw.store.operations(payment.tenant, payment.id)
    return any(one.kind is Kind.CANCEL and one.status not in (Status.NOT_SENT, Status.SENDING) for one in tried)


async def _cancel(gw: Gateway, payment: Payment) -> None:
    """Cancel at the provider on the gateway's own account."""
    operation = intent.new_operation(gw, payment, Kind.CANCEL, at=gw.clock.now())
    command = CancelPayment(**intent.members_of(payment, operation))
    await submit.run_for_gateway(gw, gw.entry(payment), payment, command, operation)


async def _flag_both(gw: Gateway, *payments: Payment) -> None:
    """Raise both flags, each once: a person who cleared one has decided."""
    for payment in payments:
        snapshot = await gw.store.payment(payment.tenant, payment.id)
        if snapshot is not None and not await _was_flagged(gw, snapshot.payment):
            made = flag_two_live_orders(snapshot.payment, snapshot.open_operation, cause=Cause.CLOCK, at=gw.clock.now())
            await commit_change(gw, snapshot, made)


async def _was_flagged(gw: Gateway, payment: Payment) -> bool:
    """Whether a person looks at this payment, or has looked at it for two live orders."""
    if payment.review is not None:
        return True
    events = await gw.store.events(payment.tenant, payment.id)
    return any(event.details.get("review") == ReviewReason.TWO_LIVE_ORDERS for _, event in events)
