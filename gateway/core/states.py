"""The state machine: a table as data, and ``apply()``, the only function over it.

A provider reports facts; this module decides what they move. Rules in prose:

- Observations are monotone: an earlier stage or a smaller total than known moves nothing and contradicts nothing.
- ``failed`` and the states after money moved never turn back; what contradicts them raises the review flag.
- ``expired`` is soft: proof within grace still moves it, proof of money after grace raises the review flag.
- At providers that wait for a completion, ``authorized`` is believed only after a completion succeeded.
- An operation is settled by its own reply, or by what a lookup or a proved callback shows; never by the clock.
- Each versioned change is one version, one event, one webhook.

Nothing here reads a clock, a store or the network.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, assert_never

import msgspec
from msgspec.structs import replace

from gateway.core.commands import Kind
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
from gateway.core.money import quantized
from gateway.core.payment import (
    Alert,
    Failure,
    FailureCode,
    Operation,
    Payment,
    PaymentEvent,
    Review,
    ReviewReason,
    State,
    Status,
)
from gateway.core.rules import Actual, Rules, Terms, fits


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

EXPIRES = frozenset({State.CREATED, State.AWAITING_CUSTOMER, State.PROCESSING})
"""States the expiry clock may end."""

_VERSIONED = (
    "state",
    "money",
    "captured",
    "refunded",
    "provider_reference",
    "redirect_url",
    "failure",
    "review",
    "replaced_by",
)
"""Members whose change makes a new version; an alert and a declined tenant command make one too."""

_REFUSED_AS = {
    ReviewReason.CURRENCY: Reason.CURRENCY,
    ReviewReason.AMOUNT: Reason.AMOUNT,
    ReviewReason.REFERENCE: Reason.NOT_FOUND,
}


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a fact did: payment and operation as they are now, the event if a version was made, a callback's refusal."""

    payment: Payment
    operation: Operation | None
    event: PaymentEvent | None = None
    refusal: Reason | None = None


class _Draft(msgspec.Struct, kw_only=True):
    """The change being made; ``_finish`` turns it into a version, if it is one."""

    payment: Payment
    operation: Operation | None
    alerts: list[str]
    details: dict[str, str]
    refusal: Reason | None = None
    type: str | None = None

    def set(self, **members: Any) -> None:
        self.payment = replace(self.payment, **members)

    def settle(self, status: Status, **members: Any) -> None:
        if self.operation is not None:
            self.operation = replace(self.operation, status=status, **members)

    def flag(self, reason: ReviewReason, at: datetime) -> None:
        """Raise the review flag; the first reason stands until a person clears it."""
        if self.payment.review is None:
            self.set(review=Review(reason=reason, since=at))
            self.details["review"] = reason


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
    draft = _Draft(payment=payment, operation=operation, alerts=[], details={})
    match fact:
        case Observation():
            _observe(draft, fact, cause, terms, at)
        case Pending(observation=observation):
            _leave_open(draft, "provider_pending")
            _fill(draft, payment.state, observation, terms)
        case Declined():
            _decline(draft, fact, at)
        case NeverSent():
            _end_without_effect(draft, Failure(code=FailureCode.NOT_SENT, message=fact.message), Status.NOT_SENT)
        case Unknown():
            _leave_open(draft, fact.message)
        case Absent():
            _miss(draft, terms, at)
        case Expired():
            if payment.state in EXPIRES:
                draft.set(state=State.EXPIRED, expired_at=at)
        case DeadlineNear():
            _warn(draft)
        case Resolved():
            _resolve(draft, fact, terms, at)
        case Ruled():
            _rule(draft, fact)
        case _:
            assert_never(fact)
    return _finish(payment, operation, draft, cause=cause, messages=terms.rules.messages, at=at)


# Observations


def _observe(draft: _Draft, seen: Observation, cause: Cause, terms: Terms, at: datetime) -> None:
    seen = _in_digits(seen, draft.payment.money.digits)
    misfit = _misfit(draft.payment, draft.operation, seen, terms)
    if misfit is not None and cause is Cause.REPLY:
        _leave_open(draft, f"the answer names another {misfit}")
    elif misfit is not None:
        draft.refusal = _REFUSED_AS[misfit]
        draft.flag(misfit, at)
    elif cause is Cause.CALLBACK and _other_attempt(draft.payment, seen):
        draft.refusal = Reason.IN_PROGRESS
    else:
        began = draft.payment.state
        _settle(draft, seen, cause, terms, at)
        _move(draft, seen, cause, terms, at)
        if draft.refusal is None:
            _fill(draft, began, seen, terms)


def _in_digits(seen: Observation, digits: int) -> Observation:
    """Give the amounts the currency's digits; one that does not fit stays as it is and is a misfit."""

    def exact(amount: Decimal | None) -> Decimal | None:
        try:
            return None if amount is None else quantized(amount, digits)
        except ValueError:
            return Decimal("NaN")

    return replace(seen, amount=exact(seen.amount), captured=exact(seen.captured), refunded=exact(seen.refunded))


def _misfit(payment: Payment, operation: Operation | None, seen: Observation, terms: Terms) -> ReviewReason | None:
    """The first thing a proved observation says that cannot be this payment's."""
    if seen.currency is not None and seen.currency != payment.money.currency:
        return ReviewReason.CURRENCY
    if not _totals_fit(payment, operation, seen, terms):
        return ReviewReason.AMOUNT
    if seen.payment_id not in (None, payment.id):
        return ReviewReason.REFERENCE
    if seen.merchant_reference not in (None, payment.merchant_reference):
        return ReviewReason.REFERENCE
    known = payment.provider_reference
    if terms.lookups and known is not None and seen.provider_reference not in (None, known):
        return ReviewReason.REFERENCE
    return None


def _totals_fit(payment: Payment, operation: Operation | None, seen: Observation, terms: Terms) -> bool:
    """Whether the amounts can be this payment's: none negative, no more captured than agreed, or refunded than taken.

    Under a known total a smaller one is old news; a larger captured one is not, since a payment is captured once.
    """
    if any(amount is not None and (amount.is_nan() or amount < 0) for amount in (seen.captured, seen.refunded)):
        return False
    expected = _expected(payment, operation)
    if seen.amount is not None and not _one_fits(seen.amount, expected, terms.rules):
        return False
    if seen.captured is not None and not _captured_fits(payment, expected, seen, seen.captured, terms.rules):
        return False
    return seen.refunded is None or seen.refunded <= (payment.captured or _captured(payment, operation, seen, terms))


def _expected(payment: Payment, operation: Operation | None) -> set[Decimal]:
    """The amounts a provider may name: the payment's, what was captured, that of an open update or capture."""
    expected = {payment.money.amount}
    if payment.captured:
        expected.add(payment.captured)
    if operation is not None and operation.kind in (Kind.UPDATE, Kind.CAPTURE):
        expected.add(operation.amount)
    return expected


def _one_fits(amount: Decimal, expected: set[Decimal], rules: Rules) -> bool:
    return not amount.is_nan() and any(fits(rules.amount, amount, one) for one in expected)


def _captured_fits(payment: Payment, expected: set[Decimal], seen: Observation, total: Decimal, rules: Rules) -> bool:
    if payment.captured:
        return total <= payment.captured
    if total == 0:
        return seen.stage is not Stage.CAPTURED
    return total <= max(expected) or _one_fits(total, expected, rules)


def _other_attempt(payment: Payment, seen: Observation) -> bool:
    known, named = payment.provider_reference, seen.provider_reference
    both = known is not None and named is not None and known != named
    return both and payment.state is State.PROCESSING and seen.stage is Stage.PROCESSING


def _fill(draft: _Draft, began: State, seen: Observation, terms: Terms) -> None:
    """Learn what was not known; a reference that is no lookup key may still change until the payment has ended."""
    payment = draft.payment
    revived = began is State.EXPIRED and payment.state is not State.EXPIRED
    if seen.redirect_url and payment.redirect_url is None:
        draft.set(redirect_url=seen.redirect_url)
    if seen.customer_notified and not payment.customer_notified:
        draft.set(customer_notified=True)
        draft.alerts.append("customer_will_be_notified")
    named, known = seen.provider_reference, payment.provider_reference
    if named and known is None:
        draft.set(provider_reference=named)
    elif named and named != known and not terms.lookups and (began in EXPIRES or revived):
        draft.set(provider_reference=named)
        draft.details["provider_reference_before"] = known or ""


def _move(draft: _Draft, seen: Observation, cause: Cause, terms: Terms, at: datetime) -> None:
    row = row_of(draft.payment, terms, at)
    step = STEPS[row][seen.stage]
    if seen.stage is Stage.AUTHORIZED and not draft.payment.completed:
        step = STAY
    before = draft.payment
    if step.review is not None:
        draft.flag(step.review, at)
    if step.to is not None:
        _enter(draft, step.to, seen, terms, at)
        if step.late:
            draft.details["late"] = "true"
    _total(draft, seen)
    stayed = draft.payment.state == before.state and draft.payment.refunded == before.refunded
    if cause is Cause.CALLBACK and stayed and (row in CLOSED_TO_CALLBACKS or step.review is not None):
        draft.refusal = Reason.REPEATED_FINAL


def _enter(draft: _Draft, state: State, seen: Observation, terms: Terms, at: datetime) -> None:
    payment = draft.payment
    draft.set(state=state)
    match state:
        case State.AUTHORIZED:
            deadline = terms.rules.capture_deadline
            draft.set(
                accepted_amount=payment.money.amount,
                capture_by=at + deadline if deadline is not None else None,
                expires_at=None,
            )
        case State.CAPTURED:
            taken = _captured(payment, draft.operation, seen, terms)
            draft.set(captured=taken, capture_by=None, expires_at=None)
        case State.FAILED:
            draft.set(failure=Failure(code=FailureCode.DECLINED, message="failed", provider_code=seen.raw_status))
        case State.CANCELED:
            draft.set(capture_by=None)
            draft.alerts.append("customer_notified_of_cancel")
        case _:
            pass


def _captured(payment: Payment, operation: Operation | None, seen: Observation, terms: Terms) -> Decimal:
    """What was taken: the provider's total, else what was received (rule Actual), else the capture's, else all."""
    if seen.captured:
        return seen.captured
    if isinstance(terms.rules.amount, Actual) and seen.amount is not None:
        return seen.amount
    if operation is not None and operation.kind is Kind.CAPTURE:
        return operation.amount
    return payment.money.amount


def _total(draft: _Draft, seen: Observation) -> None:
    """Follow the refunded total; the state follows from the money."""
    payment = draft.payment
    if seen.refunded is None or seen.refunded <= payment.refunded or not payment.captured:
        return
    whole = seen.refunded >= payment.captured
    draft.set(refunded=seen.refunded, state=State.REFUNDED if whole else State.PARTIALLY_REFUNDED)
    if draft.operation is None or draft.operation.kind is not Kind.REFUND:
        draft.details["made_elsewhere"] = "true"


# Operations


REPLY_KNOWS_MORE = frozenset({Kind.CREATE, Kind.COMPLETE})
"""While these are on their way no lookup settles them: only the reply knows the address of the payment page, and
whether the provider took the completion."""


class Shown(enum.Enum):
    """What an observation says about an operation's effect."""

    DONE = enum.auto()
    NOT_YET = enum.auto()
    EXCLUDED = enum.auto()
    UNCLEAR = enum.auto()


_SHOWN_BY_STAGE: dict[Kind, dict[Stage, Shown]] = {
    Kind.COMPLETE: {
        Stage.AWAITING_CUSTOMER: Shown.NOT_YET,
        Stage.PROCESSING: Shown.NOT_YET,
        Stage.AUTHORIZED: Shown.DONE,
        Stage.CAPTURED: Shown.DONE,
        Stage.FAILED: Shown.EXCLUDED,
        Stage.CANCELED: Shown.EXCLUDED,
    },
    Kind.CAPTURE: {
        Stage.AUTHORIZED: Shown.NOT_YET,
        Stage.CAPTURED: Shown.DONE,
        Stage.FAILED: Shown.EXCLUDED,
        Stage.CANCELED: Shown.EXCLUDED,
    },
    Kind.CANCEL: {
        Stage.AWAITING_CUSTOMER: Shown.NOT_YET,
        Stage.PROCESSING: Shown.NOT_YET,
        Stage.AUTHORIZED: Shown.NOT_YET,
        Stage.CAPTURED: Shown.EXCLUDED,
        Stage.FAILED: Shown.EXCLUDED,
        Stage.CANCELED: Shown.DONE,
    },
}


def shows(operation: Operation, seen: Observation, cause: Cause) -> Shown:
    """Judge an operation by the stage or total it should have brought about, against the facts before it."""
    match operation.kind:
        case Kind.CREATE:
            return Shown.DONE
        case Kind.UPDATE:
            return _shown_by_total(seen.amount, operation.amount, operation.before.amount, cause)
        case Kind.REFUND:
            before = operation.before.refunded
            return _shown_by_total(seen.refunded, before + operation.amount, before, cause)
        case Kind.COMPLETE:
            if cause is Cause.REPLY and seen.stage is Stage.UNKNOWN:
                return Shown.DONE
            if cause is not Cause.REPLY and seen.stage is operation.before.stage is Stage.AUTHORIZED:
                return Shown.NOT_YET
    return _SHOWN_BY_STAGE[operation.kind].get(seen.stage, Shown.UNCLEAR)


def _shown_by_total(seen: Decimal | None, after: Decimal, before: Decimal, cause: Cause) -> Shown:
    if seen == after or (seen is None and cause is Cause.REPLY):
        return Shown.DONE
    return Shown.NOT_YET if seen == before else Shown.UNCLEAR


def _settle(draft: _Draft, seen: Observation, cause: Cause, terms: Terms, at: datetime) -> None:
    operation = draft.operation
    if operation is None or not operation.is_open:
        return
    own_reply_first = cause is Cause.CALLBACK or (cause is Cause.LOOKUP and operation.kind in REPLY_KNOWS_MORE)
    if operation.status is Status.SENDING and own_reply_first:
        return
    shown = shows(operation, seen, cause)
    if shown is Shown.DONE:
        _succeed(draft, operation, seen)
    elif shown is Shown.EXCLUDED:
        _not_done(draft)
    elif cause is Cause.REPLY:
        _leave_open(draft, "the answer does not show the effect")
    elif cause is Cause.LOOKUP and shown is Shown.NOT_YET:
        _read_contrary(draft, terms, at)
    elif cause is Cause.LOOKUP and operation.kind is Kind.REFUND and seen.refunded is not None:
        draft.flag(ReviewReason.REFUND_UNCLEAR, at)


def _succeed(draft: _Draft, operation: Operation, seen: Observation) -> None:
    draft.settle(Status.SUCCEEDED, note=None, failure=None)
    match operation.kind:
        case Kind.COMPLETE:
            draft.set(completed=True)
        case Kind.UPDATE:
            order = operation.order if operation.order is not None else draft.payment.order
            draft.set(money=draft.payment.money.with_amount(operation.amount), order=order)
        case Kind.REFUND if seen.refunded is None:
            _total(draft, replace(seen, refunded=operation.before.refunded + operation.amount))
        case _:
            pass


def _read_contrary(draft: _Draft, terms: Terms, at: datetime) -> None:
    """Two reads a quiet period apart prove that an effect did not happen; the first only starts the period."""
    operation = draft.operation
    if operation is None or operation.status is not Status.UNKNOWN:
        return
    if operation.contrary_since is None:
        draft.operation = replace(operation, contrary_since=at)
    elif at - operation.contrary_since >= terms.quiet_period:
        _not_done(draft)


def _not_done(draft: _Draft) -> None:
    operation = draft.operation
    failure = Failure(code=FailureCode.NOT_DONE, message="the provider shows that it was not done")
    draft.settle(Status.DECLINED, failure=failure, note=None)
    if operation is not None and operation.is_tenants:
        draft.type = "operation.declined"


def _decline(draft: _Draft, no: Declined, at: datetime) -> None:
    failure = Failure(code=FailureCode.DECLINED, message=no.message[:500], provider_code=no.code)
    moved_already = draft.payment.state is not State.CREATED
    if draft.operation is not None and draft.operation.kind is Kind.CREATE and moved_already:
        draft.settle(Status.DECLINED, failure=failure)
        if draft.payment.state not in (State.FAILED, State.CANCELED, State.EXPIRED):
            draft.flag(ReviewReason.CONTRADICTION, at)
    else:
        _end_without_effect(draft, failure, Status.DECLINED)


def _end_without_effect(draft: _Draft, failure: Failure, status: Status) -> None:
    operation = draft.operation
    draft.settle(status, failure=failure, note=None)
    if operation is None:
        return
    if operation.kind is Kind.CREATE:
        if draft.payment.state is State.CREATED:
            draft.set(state=State.FAILED, failure=failure)
    elif operation.is_tenants and status is Status.DECLINED:
        draft.type = "operation.declined"


def _leave_open(draft: _Draft, why: str) -> None:
    """Keep the outcome open, unless a proved fact already showed that a create had its effect."""
    operation = draft.operation
    if operation is None or not operation.is_open:
        return
    if operation.kind is Kind.CREATE and draft.payment.state not in (State.CREATED, State.EXPIRED):
        draft.settle(Status.SUCCEEDED, note=why)
    else:
        draft.settle(Status.UNKNOWN, note=why)


def _miss(draft: _Draft, terms: Terms, at: datetime) -> None:
    """A lookup found nothing: it may prove, the second time, that an unknown create had no effect."""
    operation = draft.operation
    if operation is None or operation.kind is not Kind.CREATE or not terms.rules.absence_proves:
        return
    _read_contrary(draft, terms, at)
    if draft.operation is not None and draft.operation.status is Status.DECLINED:
        failure = Failure(code=FailureCode.NOT_CREATED, message="the provider knows no such payment")
        draft.settle(Status.DECLINED, failure=failure)
        if draft.payment.state is State.CREATED:
            draft.type = None
            draft.set(state=State.FAILED, failure=failure)


# The clock and people


def _warn(draft: _Draft) -> None:
    if draft.payment.state is State.AUTHORIZED:
        draft.set(deadline_warnings=draft.payment.deadline_warnings + 1)
        draft.alerts.append("capture_deadline_near")
        draft.type = "payment.capture_deadline_near"


def _resolve(draft: _Draft, decided: Resolved, terms: Terms, at: datetime) -> None:
    draft.set(review=None)
    payment = draft.payment
    state = State(decided.state) if decided.state is not None else payment.state
    if state in (State.AUTHORIZED, State.CAPTURED) and state is not payment.state:
        _enter(draft, state, Observation(stage=Stage.UNKNOWN, captured=payment.captured or None), terms, at)
    elif state is not payment.state:
        draft.set(state=state, expired_at=at if state is State.EXPIRED else payment.expired_at)
    draft.details |= {"actor": decided.actor, "reason": decided.reason}
    draft.type = "payment.updated"


def _rule(draft: _Draft, decided: Ruled) -> None:
    """Settle by a person's word. What the operation would have moved is moved only by proof; this frees the payment."""
    operation = draft.operation
    if operation is None or operation.status is not Status.UNKNOWN:
        return
    failure = None
    if decided.outcome == Status.DECLINED:
        failure = Failure(code=FailureCode.NOT_DONE, message=decided.reason)
    if operation.kind is Kind.CREATE and failure is not None and draft.payment.state is State.CREATED:
        draft.set(state=State.FAILED, failure=failure)
    if decided.outcome == Status.SUCCEEDED:
        _succeed(draft, operation, Observation(stage=Stage.UNKNOWN))
    draft.settle(Status(decided.outcome), failure=failure, note=f"{decided.actor}: {decided.reason}")
    draft.details |= {"actor": decided.actor, "reason": decided.reason, "outcome": decided.outcome}
    is_no = failure is not None and operation.is_tenants
    draft.type = draft.type or ("operation.declined" if is_no else "payment.updated")


# Succession: a payment may be replaced by a successor for a higher total


def replaced(payment: Payment, successor: str, *, rules: Rules, at: datetime) -> Change:
    """The payment makes way for its successor: its capture and update stop, its cancel stays."""
    draft = _Draft(payment=payment, operation=None, alerts=["new_checkout_started"], details={"successor": successor})
    draft.set(replaced_by=successor)
    return _finish(payment, None, draft, cause=Cause.TENANT, messages=rules.messages, at=at)


def released(payment: Payment, operation: Operation | None, *, cause: Cause, at: datetime) -> Change:
    """The successor came to nothing: the payment stands for itself again."""
    draft = _Draft(payment=payment, operation=operation, alerts=[], details={"successor": payment.replaced_by or ""})
    draft.set(replaced_by=None)
    return _finish(payment, operation, draft, cause=cause, messages={}, at=at)


def two_live_orders(payment: Payment, operation: Operation | None, *, cause: Cause, at: datetime) -> Change:
    """Two orders for one reference may both stand: a person must look at both."""
    draft = _Draft(payment=payment, operation=operation, alerts=[], details={})
    draft.flag(ReviewReason.TWO_LIVE_ORDERS, at)
    return _finish(payment, operation, draft, cause=cause, messages={}, at=at)


# Versions


def _finish(
    before: Payment,
    operation: Operation | None,
    draft: _Draft,
    *,
    cause: Cause,
    messages: Mapping[str, str],
    at: datetime,
) -> Change:
    if draft.operation is not None and draft.operation != operation:
        draft.operation = replace(draft.operation, updated_at=at)
        draft.details["operation_id"] = draft.operation.id
    alerts = tuple(Alert(code=code, message=messages[code]) for code in draft.alerts if code in messages)
    changed = any(getattr(before, name) != getattr(draft.payment, name) for name in _VERSIONED)
    if not (changed or alerts or draft.type):
        return Change(payment=draft.payment, operation=draft.operation, refusal=draft.refusal)
    after = replace(draft.payment, version=before.version + 1, updated_at=at, alerts=alerts)
    event = PaymentEvent(
        type=_type_of(before, after, draft.type),
        version=after.version,
        cause=cause,
        state_before=before.state,
        state_after=after.state,
        at=at,
        details=draft.details,
    )
    return Change(payment=after, operation=draft.operation, event=event, refusal=draft.refusal)


def _type_of(before: Payment, after: Payment, named: str | None) -> str:
    if after.state is not before.state or after.refunded != before.refunded:
        return f"payment.{after.state}"
    if after.review is not None and before.review is None:
        return "payment.review"
    return named or "payment.updated"


EVENT_TYPES = (
    *(f"payment.{state}" for state in State),
    "payment.updated",
    "payment.capture_deadline_near",
    "payment.review",
    "operation.declined",
    "webhook.test",
)
"""Every ``type`` a webhook can have (Standard Webhooks body)."""
