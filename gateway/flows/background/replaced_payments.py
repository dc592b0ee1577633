"""Cancel a payment whose replacement was accepted; where that is not possible, a person must look at both."""

from __future__ import annotations

from gateway.core.commands import CancelPayment, Kind
from gateway.core.facts import Cause
from gateway.core.payment import Payment, ReviewReason, State, Status
from gateway.core.replacement import flag_two_live_orders
from gateway.flows import restore
from gateway.flows.cascade import ACCEPTED, ENDED
from gateway.flows.commit import commit_change
from gateway.flows.payments import intent, lookup, submit
from gateway.flows.runtime import Gateway


async def cancel_if_replaced(gw: Gateway, tenant: str, payment_id: str) -> None:
    """Cancel a payment whose replacement was accepted; flag both where that was refused or is not possible."""
    loaded = await gw.store.payment(tenant, payment_id)
    replacement = await _accepted_replacement(gw, loaded.payment) if loaded is not None else None
    if loaded is None or replacement is None:
        return
    if restore.must_be_refreshed(gw, loaded.payment):  # it may be canceled already
        await lookup.refresh(gw, tenant, payment_id, hinted=False)
        loaded = await gw.store.payment(tenant, payment_id) or loaded
    if loaded.payment.state in ENDED:
        return
    if loaded.open_operation is None and not await _cancel_is_decided(gw, loaded.payment):
        await _cancel(gw, loaded.payment)
        loaded = await gw.store.payment(tenant, payment_id) or loaded
    if loaded.payment.state is not State.CANCELED and await _cancel_is_decided(gw, loaded.payment):
        await _flag_both(gw, loaded.payment, replacement)


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
        loaded = await gw.store.payment(payment.tenant, payment.id)
        if loaded is not None and not await _was_flagged(gw, loaded.payment):
            made = flag_two_live_orders(loaded.payment, loaded.open_operation, cause=Cause.CLOCK, at=gw.clock.now())
            await commit_change(gw, loaded, made)


async def _was_flagged(gw: Gateway, payment: Payment) -> bool:
    """Whether a person looks at this payment, or has looked at it for two live orders."""
    if payment.review is not None:
        return True
    events = await gw.store.events(payment.tenant, payment.id)
    return any(event.details.get("review") == ReviewReason.TWO_LIVE_ORDERS for _, event in events)
