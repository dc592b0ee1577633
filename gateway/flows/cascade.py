"""Two payments under one reference: a replacement for a higher total, or a late success beside a live payment.

Decided as part of the change that brings it about, so that both payments move in one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from gateway.core.change import Change
from gateway.core.facts import Cause
from gateway.core.payment import Operation, Payment, State
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


class Consequences(NamedTuple):
    """The change, perhaps with a review flag; what other payments become; rows that are written ahead of them all."""

    change: Change
    others: Sequence[Version] = ()
    rows: Sequence[Statement] = ()


async def consequences(gw: Gateway, change: Change) -> Consequences:
    """What a change of one payment means for another; most changes have no consequences."""
    event, payment = change.event, change.payment
    moved = event is not None and event.state_before != event.state_after
    # The end of an open operation, or of grace, ends an expired payment for good, though its state stays.
    if not moved and payment.state is not State.EXPIRED:
        return Consequences(change)
    others = await _of_replacement(gw, change)
    own = Consequences(change)
    if event is not None and event.state_before in ENDED_UNPAID and payment.state in ACCEPTED:
        own = await _counts_again(gw, change)
    elif payment.state in ACCEPTED - {State.AUTHORIZED}:
        replacement = await _live(gw, payment.tenant, payment.replaced_by)
        own = _flag_both(gw, change, replacement) if replacement is not None else own
    return own._replace(others=[*others, *own.others])


def has_ended(gw: Gateway, payment: Payment, open_operation: Operation | None) -> bool:
    """Whether a payment has ended unpaid: failed, canceled, or expired with nothing open or past its grace."""
    if payment.state is not State.EXPIRED:
        return payment.state in ENDED
    return open_operation is None or row_of(payment, gw.entry(payment).policy, gw.clock.now()) == PAST_GRACE


async def _of_replacement(gw: Gateway, change: Change) -> list[Version]:
    """Reinstate the replaced payment when its replacement has ended; check it now when its replacement was accepted."""
    replacement = change.payment
    old = await gw.store.payment(replacement.tenant, replacement.replaces) if replacement.replaces is not None else None
    if old is None or old.payment.replaced_by != replacement.id or old.payment.state in ENDED:
        return []
    now = gw.clock.now()
    if has_ended(gw, replacement, change.open_operation):
        cause = change.event.cause if change.event is not None else Cause.CLOCK
        freed = reinstate(old.payment, old.open_operation, cause=cause, at=now)
        again = await _counts_again(gw, freed, ended=replacement.id)
        return [Version(old, again.change, again.rows), *again.others]
    if replacement.state in ACCEPTED:
        same = Change(payment=old.payment, operation=old.open_operation)
        return [Version(old, same, [schedule.bring_check_forward(old.payment.tenant, old.payment.id, now)])]
    return []


async def _counts_again(gw: Gateway, change: Change, *, ended: str = "") -> Consequences:
    """What follows when a payment is live again that had ended or was replaced: it owns its reference from now on.

    Where another live payment owns the reference, both are flagged. ``ended``: the payment that this change ends.
    """
    payment, now = change.payment, gw.clock.now()
    owner = await gw.store.reference_owner(payment.tenant, payment.account, payment.merchant_reference)
    other = await _live(gw, payment.tenant, owner) if owner not in (None, payment.id, ended) else None
    if other is not None:
        return _flag_both(gw, change, other)
    return Consequences(
        change, rows=[statements.reclaim_reference(payment, grace_began_before=gw.settings.clocks.grace_began(now))]
    )


async def _live(gw: Gateway, tenant: str, payment_id: str | None) -> PaymentSnapshot | None:
    """A payment that can still be paid or was paid; None for one that has ended unpaid."""
    found = await gw.store.payment(tenant, payment_id) if payment_id is not None else None
    return None if found is None or has_ended(gw, found.payment, found.open_operation) else found


def _flag_both(gw: Gateway, change: Change, other: PaymentSnapshot) -> Consequences:
    """Flag both payments: customers might pay both orders."""
    if change.event is None or has_ended(gw, change.payment, change.open_operation):
        return Consequences(change)
    now, cause = gw.clock.now(), change.event.cause
    flagged = flag_two_live_orders(change.payment, change.operation, cause=cause, at=now)
    payment = replace(flagged.payment, version=change.payment.version, alerts=change.payment.alerts)
    details = {**change.event.details, **(flagged.event.details if flagged.event is not None else {})}
    mine = replace(change, payment=payment, event=replace(change.event, details=details))
    theirs = flag_two_live_orders(other.payment, other.open_operation, cause=cause, at=now)
    return Consequences(mine, [Version(other, theirs)])
