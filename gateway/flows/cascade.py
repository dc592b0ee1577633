"""Two payments under one reference: a replacement for a higher total, or a late success beside a live payment.

Decided as part of the change that brings it about, so that both payments move in one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from gateway.core.change import Change
from gateway.core.facts import Cause
from gateway.core.payment import Operation, Payment, PaymentEvent, State
from gateway.core.replacement import flag_two_live_orders, reinstate
from gateway.core.state_members import ENDED_UNPAID
from gateway.core.states import PAST_GRACE, row_of
from gateway.drivers.store import schedule, statements
from gateway.drivers.store.reads import PaymentSnapshot
from gateway.drivers.store.statements import Statement
from gateway.flows.runtime import Gateway


class Version(msgspec.Struct, frozen=True):
    """A payment as it was and as it becomes, with the rows that are written besides. ``before`` None: it is new.

    ``next_operation`` is opened by the change that ends another one. ``gives_reference``: the write by which a payment
    that is replaced gives its reference to the replacement; its own next check stays as it was.
    """

    before: PaymentSnapshot | None
    change: Change
    rows: Sequence[Statement] = ()
    next_operation: Operation | None = None
    gives_reference: Statement | None = None


ENDED = frozenset({State.FAILED, State.CANCELED})
ACCEPTED = frozenset({State.AUTHORIZED, State.CAPTURED, State.PARTIALLY_REFUNDED, State.REFUNDED})


async def consequences(gw: Gateway, change: Change) -> tuple[Change, list[Version]]:
    """What a change of one payment means for another; most changes mean nothing."""
    event = change.event
    moved = event is not None and event.state_before != event.state_after
    # The end of an open operation, or of grace, ends an expired payment for good, though its state stays.
    if not moved and change.payment.state is not State.EXPIRED:
        return change, []
    others = await _of_replacement(gw, change)
    rival = await _rival(gw, change, event) if event is not None else None
    if rival is None:
        return change, others
    change, flagged = await _flag_both(gw, change, rival)
    return change, [*others, *flagged]


def has_ended(gw: Gateway, payment: Payment, open_operation_id: str | None) -> bool:
    """Whether a replacement has ended unpaid: failed, canceled, or expired with nothing open or past its grace."""
    if payment.state is not State.EXPIRED:
        return payment.state in ENDED
    return open_operation_id is None or row_of(payment, gw.entry(payment).policy, gw.clock.now()) == PAST_GRACE


async def _of_replacement(gw: Gateway, change: Change) -> list[Version]:
    """Reinstate the replaced payment when its replacement has ended; check it now when its replacement was accepted."""
    replacement = change.payment
    old = await gw.store.payment(replacement.tenant, replacement.replaces) if replacement.replaces is not None else None
    if old is None or old.payment.replaced_by != replacement.id or old.payment.state in ENDED:
        return []
    now = gw.clock.now()
    open_operation_id = change.open_operation.id if change.open_operation is not None else None
    if has_ended(gw, replacement, open_operation_id):
        cause = change.event.cause if change.event is not None else Cause.CLOCK
        freed = reinstate(old.payment, old.open_operation, cause=cause, at=now)
        return [Version(old, freed, [statements.move_reference(old.payment, holder=replacement.id)])]
    if replacement.state in ACCEPTED:
        same = Change(payment=old.payment, operation=old.open_operation)
        return [Version(old, same, [schedule.bring_check_forward(old.payment.tenant, old.payment.id, now)])]
    return []


async def _rival(gw: Gateway, change: Change, event: PaymentEvent) -> str | None:
    """The payment whose order may be live as well: the owner of a late success's reference, or a replacement."""
    payment = change.payment
    if event.state_before in ENDED_UNPAID and payment.state in ACCEPTED:
        holder = await gw.store.reference_owner(payment.tenant, payment.account, payment.merchant_reference)
        return holder if holder != payment.id else None
    return payment.replaced_by if payment.state in ACCEPTED - {State.AUTHORIZED} else None


async def _flag_both(gw: Gateway, change: Change, other_id: str) -> tuple[Change, list[Version]]:
    """Both orders may stand: flag both."""
    other = await gw.store.payment(change.payment.tenant, other_id)
    if other is None or change.event is None or has_ended(gw, other.payment, other.open_operation_id):
        return change, []
    now, cause = gw.clock.now(), change.event.cause
    flagged = flag_two_live_orders(change.payment, change.operation, cause=cause, at=now)
    payment = replace(flagged.payment, version=change.payment.version, alerts=change.payment.alerts)
    details = {**change.event.details, **(flagged.event.details if flagged.event is not None else {})}
    mine = replace(change, payment=payment, event=replace(change.event, details=details))
    return mine, [Version(other, flag_two_live_orders(other.payment, other.open_operation, cause=cause, at=now))]
