"""A proved callback, judged in the core's fixed order, whatever the provider.

Payment found → problem of kind status → seen before → currency → amount → time → state.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from gateway.core.draft import Change
from gateway.core.errors import Reason
from gateway.core.facts import Cause, Event, Recorded, Refused, Repeated, Verdict
from gateway.core.payment import Operation, Payment
from gateway.core.rules import Terms
from gateway.core.states import CLOSED_TO_CALLBACKS, apply, note_unknown_status, row_of


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What a callback is answered with, and what it changed (None: nothing of a payment)."""

    verdict: Verdict
    change: Change | None = None


def judge(
    payment: Payment, operation: Operation | None, event: Event, *, seen_before: bool, terms: Terms, at: datetime
) -> Judgement:
    """Judge an event of a payment that was found. The first thing that is wrong is the answer."""
    if event.problem is Reason.STATUS:
        noted = note_unknown_status(payment, operation, event.observation, cause=Cause.CALLBACK, terms=terms, at=at)
        return Judgement(verdict=Refused(reason=Reason.STATUS), change=noted)
    if seen_before:
        return Judgement(verdict=Repeated(is_final=row_of(payment, terms, at) in CLOSED_TO_CALLBACKS))
    if event.problem is Reason.CURRENCY:
        return _refuse(Reason.CURRENCY)
    change = apply(payment, operation, event.observation, cause=Cause.CALLBACK, terms=terms, at=at)
    if change.refusal is Reason.CURRENCY:
        return _answer(change)
    if event.problem is Reason.AMOUNT:
        return _refuse(Reason.AMOUNT)
    if change.refusal is Reason.AMOUNT:
        return _answer(change)
    if event.problem is not None or _outside_window(payment, event, terms, at):
        return _refuse(event.problem or Reason.TIME)
    return _answer(change)


def _outside_window(payment: Payment, event: Event, terms: Terms, at: datetime) -> bool:
    window = terms.rules.time_window
    if window is None or event.occurred_at is None:
        return False
    before, after = window
    return not payment.created_at - before <= event.occurred_at <= at + after


def _answer(change: Change) -> Judgement:
    verdict = Recorded() if change.refusal is None else Refused(reason=change.refusal)
    return Judgement(verdict=verdict, change=change)


def _refuse(reason: Reason) -> Judgement:
    return Judgement(verdict=Refused(reason=reason))
