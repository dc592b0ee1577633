"""The state machine: a table as data, and ``apply()``, the only function over it.

A provider reports facts; this module decides what they move. Rules in prose:

- Observations are monotone: an earlier stage or a smaller total than known moves nothing and contradicts nothing.
- ``failed`` and the states after money moved never turn back; what contradicts them raises the review flag.
- A dispute is a total, too, and moves no state: it stays between the customer, the banks and the provider.
- Where a payment is captured in parts, it is ``authorized`` while some of it is open; what is captured is a total.
- A success under another transaction than the one that captured is not a repetition: the customer may have paid
  twice. It is refused, nothing is booked, and the review flag is raised once for each such transaction.
- ``expired`` is soft: proof within grace still moves it, proof of money after grace raises the review flag.
- At providers that wait for a completion, ``authorized`` is believed only after a completion succeeded.
- What an operator enters counts until the provider speaks: what agrees with it confirms it and moves nothing, what
  contradicts it raises the review flag.
- An operation is resolved by its own reply, by what a lookup or a proved callback shows or says of it, or by an
  operator; never by the clock.
- Each versioned change is one version, one event, one webhook.

Nothing here reads a clock, a store or the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import assert_never

import msgspec

from gateway.core.change import Change, ChangeBuilder, finish_change
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
    OperationResolved,
    PaymentResolved,
    Pending,
    ReviewResolved,
    Stage,
    Succeeded,
    Unknown,
)
from gateway.core.matching import (
    denies_statement,
    is_fully_refunded,
    mismatch_of,
    names_another_payment,
    paid_again_by,
    truncated_amount_details,
    with_currency_digits,
)
from gateway.core.named_outcomes import end_as_reported, leave_to_a_person, names, note_outcomes, waits_for_reply
from gateway.core.operation_outcome import (
    apply_refunded_total,
    decline,
    end_without_effect,
    leave_open,
    record_absence,
    resolve,
    resolve_by_operator,
    resolve_from_payment,
)
from gateway.core.payment import ACCEPTED, Failure, FailureCode, Operation, Payment, ReviewReason, State, Status
from gateway.core.resolution import confirm_statement, resolve_payment
from gateway.core.rules import Policy
from gateway.core.state_entry import enter, resolve_review
from gateway.core.state_members import EXPIRABLE
from gateway.core.totals import apply_disputed_total, note_captured_total


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

_moves = attrgetter("state", "refunded", "disputed")
"""What of a payment a callback moves; one that moves none of it may be refused."""

_CUSTOMER_STILL_ACTS = frozenset({Stage.AWAITING_CUSTOMER, Stage.UNKNOWN})
"""Stages in which a notification of the customer is news to the tenant; later on the customer has answered it."""

_REFUSED_AS = {ReviewReason.CURRENCY: Reason.CURRENCY, ReviewReason.AMOUNT: Reason.AMOUNT}
"""How a callback that does not fit is refused; one of another reference as not found, or as another attempt's."""


def row_of(payment: Payment, policy: Policy, at: datetime) -> str:
    """Return the row of ``STEPS`` that applies to a payment: its state, or ``PAST_GRACE``."""
    ended = payment.expired_at
    if payment.state is State.EXPIRED and ended is not None and at > ended + policy.grace:
        return PAST_GRACE
    return payment.state


def apply(
    payment: Payment,
    operation: Operation | None,
    fact: Fact,
    *,
    cause: Cause,
    policy: Policy,
    at: datetime,
    ended: Sequence[Operation] = (),
) -> Change:
    """Decide what a fact changes. ``operation`` is the payment's open operation, or the one the reply belongs to.

    ``cause`` says who reported the fact. A ``reply`` resolves the operation; a ``callback`` or a ``lookup`` resolves it
    as far as it shows the outcome. ``ended``: the payment's other operations, where the fact names one.
    """
    builder = ChangeBuilder(payment=payment, operation=operation, alerts=[], details={}, ended=ended)
    match fact:
        case Observation():
            _observe(builder, fact, cause, policy, at)
        case Pending(observation=observation):
            _accept_pending(builder, observation, policy, at)
        case Declined() | NeverSent():
            _end_refused(builder, fact, at)
        case Unknown():
            _resolve_open(builder, Observation(stage=Stage.UNKNOWN), fact.message, policy, at)
        case Absent():
            record_absence(builder, fact, policy, at)
        case Expired():
            if payment.state in EXPIRABLE:
                builder.set(state=State.EXPIRED, expired_at=at)
        case DeadlineNear():
            _warn(builder)
        case ReviewResolved() | OperationResolved() | PaymentResolved():
            _take_word(builder, fact, policy, at)
        case _:
            assert_never(fact)
    return finish_change(payment, operation, builder, cause=cause, messages=policy.rules.messages, at=at)


def _take_word(
    builder: ChangeBuilder, decided: ReviewResolved | OperationResolved | PaymentResolved, policy: Policy, at: datetime
) -> None:
    match decided:
        case ReviewResolved():
            resolve_review(builder, decided, policy, at)
        case OperationResolved():
            resolve_by_operator(builder, decided, policy)
        case PaymentResolved():
            resolve_payment(builder, decided, policy, at)


def note_unknown_status(
    payment: Payment, operation: Operation | None, seen: Observation, *, cause: Cause, policy: Policy, at: datetime
) -> Change | None:
    """Note the status word of a proved callback that is refused for it, once; nothing else of the payment changes."""
    builder = ChangeBuilder(payment=payment, operation=operation, alerts=[], details={}, seen=seen)
    builder.note_status(seen.word_nobody_knows)
    made = finish_change(payment, operation, builder, cause=cause, messages=policy.rules.messages, at=at)
    return made if made.event is not None else None


def _end_refused(builder: ChangeBuilder, no: Declined | NeverSent, at: datetime) -> None:
    """End an operation that had no effect, unless the provider said before that it had."""
    reported = builder.operation.reported if builder.operation is not None else None
    if isinstance(reported, Succeeded):
        leave_to_a_person(builder, reported, at)
    elif isinstance(no, Declined):
        decline(builder, no, at)
    else:
        end_without_effect(builder, Failure(code=FailureCode.NOT_SENT, message=no.message), Status.NOT_SENT)


def _accept_pending(builder: ChangeBuilder, seen: Observation, policy: Policy, at: datetime) -> None:
    """Take what a reply names that accepted the command without doing it, and resolve the operation by the payment."""
    builder.seen = seen
    seen = with_currency_digits(seen, builder.payment.money.digits, policy.rules.amount)
    mismatch = mismatch_of(builder.payment, builder.operation, seen, policy)
    if mismatch is not None:
        leave_open(builder, f"the answer names another {mismatch}")
        return
    began = builder.payment.state
    builder.note_status(seen.word_nobody_knows)
    if seen.operations:
        note_outcomes(builder, seen.operations, at)
    _resolve_open(builder, seen, ACCEPTED, policy, at)
    builder.remember(seen.memory)
    _fill(builder, began, seen, policy)


def _resolve_open(builder: ChangeBuilder, seen: Observation, why: str, policy: Policy, at: datetime) -> None:
    """Resolve an operation whose reply leaves it open: as was reported of it before, else from the payment as it is."""
    reported = builder.operation.reported if builder.operation is not None else None
    if reported is None:
        resolve_from_payment(builder, why)
    else:
        _move(builder, end_as_reported(builder, reported, seen, Cause.CALLBACK, at), Cause.REPLY, policy, at)


def _observe(builder: ChangeBuilder, seen: Observation, cause: Cause, policy: Policy, at: datetime) -> None:
    builder.seen = seen
    said, seen = seen, with_currency_digits(seen, builder.payment.money.digits, policy.rules.amount)
    builder.details |= truncated_amount_details(said, seen)
    mismatch = mismatch_of(builder.payment, builder.operation, seen, policy)
    if mismatch is None and cause is not Cause.REPLY and denies_statement(builder.payment, seen, policy):
        mismatch = ReviewReason.AMOUNT
    if mismatch is not None and cause is Cause.REPLY:
        leave_open(builder, f"the answer names another {mismatch}")
    elif mismatch is not None:
        another = Reason.NOT_FOUND if names_another_payment(builder.payment, seen) else Reason.IN_PROGRESS
        builder.refusal = _REFUSED_AS.get(mismatch, another)
        builder.flag(mismatch, at)
    elif cause is Cause.CALLBACK and _other_attempt(builder.payment, seen):
        builder.refusal = Reason.IN_PROGRESS
    else:
        began = builder.payment.state
        builder.note_status(seen.word_nobody_knows)
        if seen.operations:
            note_outcomes(builder, seen.operations, at)
        seen = _resolve(builder, seen, cause, policy, at)
        _move(builder, seen, cause, policy, at)
        if builder.refusal is None:
            _fill(builder, began, seen, policy)


def _resolve(builder: ChangeBuilder, seen: Observation, cause: Cause, policy: Policy, at: datetime) -> Observation:
    """Resolve the open operation, as is reported of it or else as is shown. Returns what is seen with what follows."""
    operation = builder.operation
    is_named = bool(seen.operations) and operation is not None and any(names(operation, one) for one in seen.operations)
    if operation is None or operation.reported is None:
        resolve(builder, seen, cause, policy, at, is_under_way=is_named)
        return seen
    if waits_for_reply(operation, cause):
        return seen
    shown_by = Cause.CALLBACK if is_named else cause  # a reply that names it says more than that it came
    return end_as_reported(builder, operation.reported, seen, shown_by, at)


def _other_attempt(payment: Payment, seen: Observation) -> bool:
    known, named = payment.provider_reference, seen.provider_reference
    both = known is not None and named is not None and known != named
    return both and payment.state is State.PROCESSING and seen.stage is Stage.PROCESSING


def _fill(builder: ChangeBuilder, began: State, seen: Observation, policy: Policy) -> None:
    """Fill in what was not known. A reference that is not a lookup key may change until the payment has ended."""
    payment = builder.payment
    revived = began is State.EXPIRED and payment.state is not State.EXPIRED
    if seen.redirect_url and payment.redirect_url is None:
        builder.set(redirect_url=seen.redirect_url, form=seen.form)
    if seen.instructions and seen.instructions != payment.instructions:
        builder.set(instructions=seen.instructions)
    awaits_reply = builder.operation is not None and builder.operation.status is Status.SENDING
    if seen.customer_notified and not payment.customer_notified and not awaits_reply:  # the reply says it, too
        builder.set(customer_notified=True)
        if seen.stage in _CUSTOMER_STILL_ACTS:
            builder.alerts.append("customer_will_be_notified")
    named, known = seen.provider_reference, payment.provider_reference
    if named and known is None:
        builder.set(provider_reference=named)
    elif named and named != known and not policy.lookups and (began in EXPIRABLE or revived):
        builder.set(provider_reference=named)
        builder.details["provider_reference_before"] = known or ""


def _move(builder: ChangeBuilder, seen: Observation, cause: Cause, policy: Policy, at: datetime) -> None:
    row = row_of(builder.payment, policy, at)
    stage = seen.stage if seen.stage is not Stage.CANCELED else _stage_of_cancel(builder.payment, seen, policy)
    step = STEPS[row][stage]
    if stage is Stage.AUTHORIZED and not builder.payment.completed:
        step = STAY
    if stage is Stage.CANCELED and is_fully_refunded(builder.payment, seen):
        step = STAY  # some providers call an order canceled whose whole amount went back
    before = builder.payment
    if step.review is not None:
        builder.flag(step.review, at)
    elif before.stated is not None:
        confirm_statement(builder, seen, policy)
    second = paid_again_by(before, seen) if cause is Cause.CALLBACK else None
    if second is not None:
        builder.note_second_payment(second, at)
    elif seen.memory:
        builder.remember(seen.memory)
    if step.to is not None:
        enter(builder, step.to, seen, policy, at)
        if step.late:
            builder.details["late"] = "true"
    if seen.captured and policy.rules.captures == "many":
        note_captured_total(builder, seen.captured, at)
    if seen.refunded is not None:
        apply_refunded_total(builder, seen.refunded)
    if seen.disputed is not None:
        apply_disputed_total(builder, seen.disputed, at)
    stayed = _moves(builder.payment) == _moves(before)
    is_over = row in CLOSED_TO_CALLBACKS and not builder.is_news
    if cause is Cause.CALLBACK and stayed and (is_over or step.review is not None):
        builder.refusal = Reason.REPEATED_FINAL


def _stage_of_cancel(payment: Payment, seen: Observation, policy: Policy) -> Stage:
    """What a cancel proves. Where a part was captured, only the rest was given up: the payment is captured."""
    is_partly = policy.rules.captures == "many" and (payment.captured or seen.captured)
    return Stage.CAPTURED if is_partly else Stage.CANCELED


def _warn(builder: ChangeBuilder) -> None:
    if builder.payment.state is State.AUTHORIZED:
        builder.set(deadline_warnings=builder.payment.deadline_warnings + 1)
        builder.alerts.append("capture_deadline_near")
        builder.type = "payment.capture_deadline_near"
