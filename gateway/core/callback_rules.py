"""The verdict on a callback: an event is checked in one fixed order, the same for every provider.

Payment found → problem of kind status → seen before → currency → amount → time → state.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from gateway.core.change import Change
from gateway.core.errors import Reason
from gateway.core.facts import Cause, Event, Recorded, Refused, Repeated, StoredVerdict
from gateway.core.payment import Operation, Payment
from gateway.core.rules import Policy
from gateway.core.states import CLOSED_TO_CALLBACKS, apply, note_unknown_status, row_of


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What a callback comes to: the verdict, and what it was reached on.

    ``event`` is None where nothing was proved, ``payment`` (as it was before) where none was found, ``change`` where
    nothing of the payment changes. ``detail`` says for people why the callback is refused.
    """

    verdict: StoredVerdict
    event: Event | None = None
    payment: Payment | None = None
    change: Change | None = None
    detail: str | None = None

    @property
    def payment_after(self) -> Payment | None:
        """The payment as it is afterwards."""
        return self.payment if self.change is None else self.change.payment

    @property
    def makes_version(self) -> bool:
        """Whether the payment gets a new version, which is written only if it is still as it was evaluated."""
        return self.change is not None and self.change.event is not None


def evaluate(
    payment: Payment,
    operation: Operation | None,
    event: Event,
    *,
    seen_before: bool,
    policy: Policy,
    at: datetime,
    ended: Sequence[Operation] = (),
) -> Evaluation:
    """Check an event against the payment that was found for it. The first check that fails decides.

    ``ended`` as in ``apply``.
    """
    verdict, change = _decided(payment, operation, event, seen_before, policy, at, ended)
    return Evaluation(verdict=verdict, event=event, payment=payment, change=change)


def _decided(
    payment: Payment,
    operation: Operation | None,
    event: Event,
    seen_before: bool,
    policy: Policy,
    at: datetime,
    ended: Sequence[Operation],
) -> tuple[StoredVerdict, Change | None]:
    if event.problem is Reason.STATUS:
        noted = note_unknown_status(payment, operation, event.observation, cause=Cause.CALLBACK, policy=policy, at=at)
        return Refused(reason=Reason.STATUS), noted
    if seen_before:
        return Repeated(is_final=row_of(payment, policy, at) in CLOSED_TO_CALLBACKS), None
    if event.problem is Reason.CURRENCY:
        return Refused(reason=Reason.CURRENCY), None
    change = apply(payment, operation, event.reported, cause=Cause.CALLBACK, policy=policy, at=at, ended=ended)
    if change.refusal is Reason.CURRENCY:
        return _verdict_of(change), change
    if event.problem is Reason.AMOUNT:
        return Refused(reason=Reason.AMOUNT), None
    if change.refusal is Reason.AMOUNT:
        return _verdict_of(change), change
    if event.problem is not None or _outside_window(payment, event, policy, at):
        return Refused(reason=event.problem or Reason.TIME), None
    return _verdict_of(change), change


def _outside_window(payment: Payment, event: Event, policy: Policy, at: datetime) -> bool:
    window = policy.rules.time_window
    if window is None or event.occurred_at is None:
        return False
    before, after = window
    return not payment.created_at - before <= event.occurred_at <= at + after


def _verdict_of(change: Change) -> StoredVerdict:
    return Recorded() if change.refusal is None else Refused(reason=change.refusal)
