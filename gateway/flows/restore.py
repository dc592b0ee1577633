"""After a backup was restored: what happened since it was taken is asked for before anything is done again.

The rows of those days are gone, tenants' idempotency keys among them, so a repeated request looks like a new one. For
as long as keys are kept: a payment older than the restore is looked up before it is changed, a create looks for an
order under its reference, and a refund, or the capture of a part, that the store does not know is reviewed. Without a
restore none of it runs.
"""

from __future__ import annotations

from datetime import timedelta

from gateway.core.change import Change
from gateway.core.commands import Kind
from gateway.core.payment import Payment
from gateway.core.restore import flag_possible_duplicate
from gateway.drivers.store.reads import PaymentSnapshot
from gateway.flows.runtime import Gateway

KEYS_KEPT_FOR = timedelta(days=7)
"""How long a tenant may repeat a request under its key, by what the API promises."""


def keys_may_be_lost(gw: Gateway) -> bool:
    """Whether a request that looks new may repeat one from between the backup and the restore."""
    return gw.restored_at is not None and gw.clock.now() < gw.restored_at + KEYS_KEPT_FOR


def must_be_refreshed(gw: Gateway, payment: Payment) -> bool:
    """Whether the provider may know more of a payment than the store, and has not been asked since the restore."""
    if gw.restored_at is None:
        return False
    is_old = payment.created_at <= gw.restored_at and keys_may_be_lost(gw)
    return is_old and payment.id not in gw.memory.seen_since_restored and gw.entry(payment).can_look_up


def note_refreshed(gw: Gateway, payment: Payment) -> None:
    """Note that what a lookup showed is on record; only where it matters, or the list would only grow."""
    if must_be_refreshed(gw, payment):
        gw.memory.seen_since_restored.add(payment.id)


def with_duplicate_flag(gw: Gateway, before: PaymentSnapshot, change: Change) -> Change:
    """Flag a change that shows a refund, or the capture of a part, from between the backup and the restore."""
    is_found = before.open_operation is not None and before.open_operation.kind is Kind.CREATE and keys_may_be_lost(gw)
    if is_found or must_be_refreshed(gw, before.payment):
        return flag_possible_duplicate(before.payment, change, at=gw.clock.now())
    return change
