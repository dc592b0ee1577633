"""The state machine: a table as data, and ``apply()``, the only function over it.

A provider reports facts; this module decides what they move. Rules in prose:

- Observations are monotone: an earlier stage or a smaller total than known moves nothing and contradicts nothing.
- ``failed`` and the states after money moved never turn back; what contradicts them raises the review flag.
- A success under another transaction than the one that captured is no repetition: the customer may have paid twice. It
  is refused, nothing is booked, and the review flag is raised once for each such transaction.
- ``expired`` is soft: proof within grace still moves it, proof of money after grace raises the review flag.
- At providers that wait for a completion, ``authorized`` is believed only after a completion succeeded.
- An operation is settled by its own reply, or by what a lookup or a proved callback shows; never by the clock.
- Each versioned change is one version, one event, one webhook.

Nothing here reads a clock, a store or the network.
"""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

import msgspec

from gateway.core.draft import Change, Draft, finish
from gateway.core.entering import enter, resolve
from gateway.core.errors import Reason
from gateway.core.facts import (
    Absent,
    Cause,
    DeadlineNear,
    Declined,
    Expired,
    Fact,
    NeverSent,
    Observation,
    Pending,
    Resolved,
    Ruled,
    Stage,
    Unknown,
)
from gateway.core.fitting import in_digits, is_all_returned, misfit_of, names_another, paid_again_by, rest_cut_off
from gateway.core.payment import Failure, FailureCode, Operation, Payment, ReviewReason, State, Status
from gateway.core.rules import Terms
from gateway.core.settling import (
    decline,
    end_without_effect,
    follow_total,
    leave_open,
    miss,
    rule,
    settle,
    settle_as_known,
)
from gateway.core.truth import EXPIRES


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What one stage does to one state: move ``to``, or raise ``review``, or (neither) nothing. ``late``: in grace."""

    to: State | None = None
    review: ReviewReason | None = None
    late: bool = False


STAY = Step()
CONTRADICTION = Step(review=ReviewReason.CONTRADICTION)
PAID_LATE = Step(review=ReviewReason.PAID_LATE)
PAST_GRACE = "expired_past_grace"
"""The row of an expired payment whose grace has ended; every other row is a state."""


def _go(state: State, *, late: bool = False) -> Step:
    return Step(to=state, late=late)


_BEFORE_PROOF = {
    Stage.AWAITING_CUSTOMER: STAY,
    Stage.PROCESSING: _go(State.PROCESSING),
    Stage.AUTHORIZED: _go(State.AUTHORIZED),
    Stage.CAPTURED: _go(State.CAPTURED),
    Stage.FAILED: _go(State.FAILED),
    Stage.CANCELED: _go(State.CANCELED),
    Stage.UNKNOWN: STAY,
}
_NOTHING = dict.fromkeys(Stage, STAY)
_MONEY_TAKEN = {**_NOTHING, Stage.FAILED: CONTRADICTION, Stage.CANCELED: CONTRADICTION}

STEPS: dict[str, dict[Stage, Step]] = {
    State.CREATED: {**_BEFORE_PROOF, Stage.AWAITING_CUSTOMER: _go(State.AWAITING_CUSTOMER)},
    State.AWAITING_CUSTOMER: _BEFORE_PROOF,
    State.PROCESSING: {**_BEFORE_PROOF, Stage.PROCESSING: STAY},
    State.AUTHORIZED: {
        **_NOTHING,
        Stage.CAPTURED: _go(State.CAPTURED),
        Stage.CANCELED: _go(State.CANCELED),
        Stage.FAILED: CONTRADICTION,
    },
    State.CAPTURED: _MONEY_TAKEN,
    State.PARTIALLY_REFUNDED: _MONEY_TAKEN,
    State.REFUNDED: _MONEY_TAKEN,
    State.CANCELED: {**_NOTHING, Stage.CAPTURED: CONTRADICTION},
    State.FAILED: {**_NOTHING, Stage.AUTHORIZED: CONTRADICTION, Stage.CAPTURED: CONTRADICTION},
    State.EXPIRED: {
        **_NOTHING,
        Stage.AUTHORIZED: _go(State.AUTHORIZED, late=True),
        Stage.CAPTURED: _go(State.CAPTURED, late=True),
        Stage.FAILED: _go(State.FAILED),
        Stage.CANCELED: _go(State.CANCELED),
    },
    PAST_GRACE: {**_NOTHING, Stage.AUTHORIZED: PAID_LATE, Stage.CAPTURED: PAID_LATE},
}
"""(row, stage proved) -> step. A row is a state, or ``PAST_GRACE``."""

CLOSED_TO_CALLBACKS = frozenset(
    {State.CAPTURED, State.PARTIALLY_REFUNDED, State.REFUNDED, State.CANCELED, State.FAILED, PAST_GRACE}
)
"""Rows in which a callback that was not applied before and moves nothing is refused ``repeated_final``."""

_CUSTOMER_STILL_ACTS = frozenset({Stage.AWAITING_CUSTOMER, Stage.UNKNOWN})
"""Stages in which a notification of the customer is news to the tenant; later on the customer has answered it."""

_REFUSED_AS = {ReviewReason.CURRENCY: Reason.CURRENCY, ReviewReason.AMOUNT: Reason.AMOUNT}
"""How a callback that does not fit is refused; one of another reference as not found, or as another attempt's."""


def row_of(payment: Payment, terms: Terms, at: datetime) -> str:
    """The row of ``STEPS`` a payment stands in."""
    ended = payment.expired_at
    if payment.state is State.EXPIRED and ended is not None and at > ended + terms.grace:
        return PAST_GRACE
    return payment.state


def apply(
    payment: Payment, operation: Operation | None, fact: Fact, *, cause: Cause, terms: Terms, at: datetime
) -> Change:
    """Decide what a fact changes. ``operation`` is the payment's open operation, or the one the reply belongs to.

    ``cause`` says who told the fact: with ``reply`` the operation is settled by it, with ``callback`` or ``lookup``
    as far as it shows the outcome.
    """
    draft = Draft(payment=payment, operation=operation, alerts=[], details={})
    match fact:
        case Observation():
            draft.seen = fact
            _observe(draft, fact, cause, terms, at)
        case Pending(observation=observation):
            draft.seen = observation
            _accept_pending(draft, observation, terms)
        case Declined():
            decline(draft, fact, at)
        case NeverSent():
            end_without_effect(draft, Failure(code=FailureCode.NOT_SENT, message=fact.message), Status.NOT_SENT)
        case Unknown():
            settle_as_known(draft, fact.message)
        case Absent():
            miss(draft, terms, at)
        case Expired():
            if payment.state in EXPIRES:
                draft.set(state=State.EXPIRED, expired_at=at)
        case DeadlineNear():
            _warn(draft)
        case Resolved():
            resolve(draft, fact, terms, at)
        case Ruled():
            rule(draft, fact, terms)
        case _:
            assert_never(fact)
    return finish(payment, operation, draft, cause=cause, messages=terms.rules.messages, at=at)


def note_unknown_status(
    payment: Payment, operation: Operation | None, seen: Observation, *, cause: Cause, terms: Terms, at: datetime
) -> Change | None:
    """Note the status word of a proved callback that is refused for it, once; nothing else of the payment changes."""
    draft = Draft(payment=payment, operation=operation, alerts=[], details={}, seen=seen)
    draft.note_status(seen.word_nobody_knows)
    made = finish(payment, operation, draft, cause=cause, messages=terms.rules.messages, at=at)
    return made if made.event is not None else None


def _accept_pending(draft: Draft, seen: Observation, terms: Terms) -> None:
    """Accepted, not done: learn what the answer names, and judge the operation by the payment as it is now."""
    seen = in_digits(seen, draft.payment.money.digits, terms.rules.amount)
    misfit = misfit_of(draft.payment, draft.operation, seen, terms)
    if misfit is not None:
        leave_open(draft, f"the answer names another {misfit}")
        return
    began = draft.payment.state
    draft.note_status(seen.word_nobody_knows)
    settle_as_known(draft, "provider_pending")
    _fill(draft, began, seen, terms)


def _observe(draft: Draft, seen: Observation, cause: Cause, terms: Terms, at: datetime) -> None:
    said, seen = seen, in_digits(seen, draft.payment.money.digits, terms.rules.amount)
    draft.details |= rest_cut_off(said, seen)
    misfit = misfit_of(draft.payment, draft.operation, seen, terms)
    if misfit is not None and cause is Cause.REPLY:
        leave_open(draft, f"the answer names another {misfit}")
    elif misfit is not None:
        another = Reason.NOT_FOUND if names_another(draft.payment, seen) else Reason.IN_PROGRESS
        draft.refusal = _REFUSED_AS.get(misfit, another)
        draft.flag(misfit, at)
    elif cause is Cause.CALLBACK and _other_attempt(draft.payment, seen):
        draft.refusal = Reason.IN_PROGRESS
    else:
        began = draft.payment.state
        draft.note_status(seen.word_nobody_knows)
        settle(draft, seen, cause, terms, at)
        _move(draft, seen, cause, terms, at)
        if draft.refusal is None:
            _fill(draft, began, seen, terms)


def _other_attempt(payment: Payment, seen: Observation) -> bool:
    known, named = payment.provider_reference, seen.provider_reference
    both = known is not None and named is not None and known != named
    return both and payment.state is State.PROCESSING and seen.stage is Stage.PROCESSING


def _fill(draft: Draft, began: State, seen: Observation, terms: Terms) -> None:
    """Learn what was not known; a reference that is no lookup key may still change until the payment has ended."""
    payment = draft.payment
    revived = began is State.EXPIRED and payment.state is not State.EXPIRED
    if seen.redirect_url and payment.redirect_url is None:
        draft.set(redirect_url=seen.redirect_url)
    awaits_reply = draft.operation is not None and draft.operation.status is Status.SENDING
    if seen.customer_notified and not payment.customer_notified and not awaits_reply:  # the reply says it, too
        draft.set(customer_notified=True)
        if seen.stage in _CUSTOMER_STILL_ACTS:
            draft.alerts.append("customer_will_be_notified")
    named, known = seen.provider_reference, payment.provider_reference
    if named and known is None:
        draft.set(provider_reference=named)
    elif named and named != known and not terms.lookups and (began in EXPIRES or revived):
        draft.set(provider_reference=named)
        draft.details["provider_reference_before"] = known or ""


def _move(draft: Draft, seen: Observation, cause: Cause, terms: Terms, at: datetime) -> None:
    row = row_of(draft.payment, terms, at)
    step = STEPS[row][seen.stage]
    if seen.stage is Stage.AUTHORIZED and not draft.payment.completed:
        step = STAY
    if seen.stage is Stage.CANCELED and is_all_returned(draft.payment, seen):
        step = STAY  # some providers call an order canceled whose whole amount went back
    before = draft.payment
    if step.review is not None:
        draft.flag(step.review, at)
    second = paid_again_by(before, seen) if cause is Cause.CALLBACK else None
    if second is not None:
        draft.note_second_payment(second, at)
    if step.to is not None:
        enter(draft, step.to, seen, terms, at)
        if step.late:
            draft.details["late"] = "true"
    follow_total(draft, seen)
    stayed = draft.payment.state == before.state and draft.payment.refunded == before.refunded
    if cause is Cause.CALLBACK and stayed and (row in CLOSED_TO_CALLBACKS or step.review is not None):
        draft.refusal = Reason.REPEATED_FINAL


def _warn(draft: Draft) -> None:
    if draft.payment.state is State.AUTHORIZED:
        draft.set(deadline_warnings=draft.payment.deadline_warnings + 1)
        draft.alerts.append("capture_deadline_near")
        draft.type = "payment.capture_deadline_near"
