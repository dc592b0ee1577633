"""What a provider reports of one operation by name: the open one ends by it, an ended one may be denied."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.change import Change
from gateway.core.commands import Kind
from gateway.core.errors import Reason
from gateway.core.facts import (
    Absent,
    Cause,
    Declined,
    Fact,
    NeverSent,
    Observation,
    OperationOutcome,
    Pending,
    Stage,
    Succeeded,
    Unknown,
)
from gateway.core.payment import Operation, Payment, ReviewReason, State, Status
from gateway.core.states import apply
from tests.support.factories.payments import (
    BEFORE_REPLY,
    LATER,
    POLICY,
    QUIET,
    apply_fact,
    make_payment,
    make_policy,
    operation_of,
    saw,
    status_of,
)

YES = Succeeded()
NO = Declined(code="D-1", message="no funds")
UNKNOWN, SENDING = Status.UNKNOWN, Status.SENDING
SUCCEEDED, DECLINED = Status.SUCCEEDED, Status.DECLINED
CAPTURED = State.CAPTURED
BY_OTHERS = [Cause.LOOKUP, Cause.CALLBACK]


def reports(outcome: Succeeded | Declined | None, stage: Stage = Stage.UNKNOWN, **facts: Any) -> Observation:
    """An observation that reports the operation ``op_1``, beside what it shows."""
    return saw(stage, operations=(OperationOutcome(operation_id="op_1", outcome=outcome),), **facts)


def judged(kind: Kind, fact: Fact, status: Status = UNKNOWN, cause: Cause = Cause.LOOKUP, **members: Any) -> Change:
    """What a fact makes of an open operation of this kind."""
    operation = replace(operation_of(kind, status), **members)
    return apply_fact(make_payment(BEFORE_REPLY[kind]), fact, operation=operation, cause=cause)


def ended(payment: Payment, fact: Observation, *others: Operation, cause: Cause = Cause.CALLBACK) -> Change:
    """What a fact makes of a payment that has no open operation."""
    return apply(payment, None, fact, cause=cause, policy=POLICY, at=LATER, ended=others)


# The open operation

OUTCOMES: Sequence[tuple[Kind, State, State]] = [
    (Kind.CREATE, State.CREATED, State.FAILED),
    (Kind.COMPLETE, State.AWAITING_CUSTOMER, State.AWAITING_CUSTOMER),
    (Kind.CAPTURE, State.CAPTURED, State.AUTHORIZED),
    (Kind.CANCEL, State.CANCELED, State.AUTHORIZED),
    (Kind.UPDATE, State.AUTHORIZED, State.AUTHORIZED),
    (Kind.REFUND, State.PARTIALLY_REFUNDED, State.CAPTURED),
]
"""Kind, where its payment stands once the provider says that it succeeded, and that it was declined."""


@pytest.mark.parametrize("cause", BY_OTHERS)
@pytest.mark.parametrize(("kind", "done", "refused"), OUTCOMES)
def test_an_unknown_operation_ends_as_it_is_told(kind: Kind, done: State, refused: State, cause: Cause) -> None:
    """By our id, where no stage and no total says anything."""
    yes, no = judged(kind, reports(YES), cause=cause), judged(kind, reports(NO), cause=cause)
    assert (status_of(yes), yes.payment.state, yes.payment.review) == (SUCCEEDED, done, None)
    assert (status_of(no), no.payment.state, no.payment.review) == (DECLINED, refused, None)
    assert (yes.refusal, no.refusal) == (None, None)
    assert no.operation is not None
    assert no.operation.failure is not None
    assert (no.operation.failure.provider_code, no.operation.failure.message) == ("D-1", "no funds")


def test_each_kind_is_told_of() -> None:
    """The table above is complete."""
    assert [kind for kind, *_ in OUTCOMES] == list(Kind)


def test_a_declined_refund_is_told_to_its_tenant() -> None:
    """With the provider's code, as if its own reply had declined it."""
    change = judged(Kind.REFUND, reports(NO))
    assert change.event is not None
    assert (change.event.type, change.event.details["provider_code"]) == ("operation.declined", "D-1")


def test_the_amount_of_a_confirmed_refund_is_added_once() -> None:
    """Without a total by the operation's amount; with one the total counts."""
    assert judged(Kind.REFUND, reports(YES)).payment.refunded == Decimal("80.00")
    assert judged(Kind.REFUND, reports(YES, refunded="80.00")).payment.refunded == Decimal("80.00")
    assert judged(Kind.REFUND, reports(YES, refunded="90.00")).payment.refunded == Decimal("90.00")


@pytest.mark.parametrize(("on_record", "after"), [("0", "80.00"), ("15", "95.00"), ("80", "80.00"), ("95", "95.00")])
def test_a_refund_beside_what_grew_meanwhile(on_record: str, after: str) -> None:
    """A total that grew by less than the refund does not hold it; one that grew by as much does."""
    state = State.PARTIALLY_REFUNDED if Decimal(on_record) else CAPTURED
    payment = make_payment(state, refunded=Decimal(on_record))
    change = apply_fact(payment, reports(YES), operation=operation_of(Kind.REFUND, UNKNOWN))
    assert (status_of(change), change.payment.refunded) == (SUCCEEDED, Decimal(after))


def test_a_total_beside_the_outcome_is_the_better_one() -> None:
    """Whatever was on record: the provider has counted."""
    payment = make_payment(State.PARTIALLY_REFUNDED, refunded=Decimal(15))
    change = apply_fact(payment, reports(YES, refunded="80.00"), operation=operation_of(Kind.REFUND, UNKNOWN))
    assert (status_of(change), change.payment.refunded) == (SUCCEEDED, Decimal(80))


def test_a_smaller_total_than_before_says_nothing() -> None:
    """Old news beside an outcome: the outcome counts."""
    before = replace(operation_of(Kind.REFUND).before, refunded=Decimal(40))
    operation = replace(operation_of(Kind.REFUND, UNKNOWN), before=before, amount=Decimal(10))
    payment = make_payment(State.PARTIALLY_REFUNDED)
    change = apply_fact(payment, reports(YES, refunded="30.00"), operation=operation)
    assert (status_of(change), change.payment.refunded, change.payment.review) == (SUCCEEDED, Decimal(50), None)


CONTRADICTIONS: Sequence[tuple[Kind, Observation, ReviewReason]] = [
    (Kind.REFUND, reports(YES, Stage.CAPTURED, refunded="0.00"), ReviewReason.REFUND_UNCLEAR),
    (Kind.REFUND, reports(YES, Stage.CAPTURED, refunded="15.00"), ReviewReason.REFUND_UNCLEAR),
    (Kind.REFUND, reports(NO, Stage.CAPTURED, refunded="80.00"), ReviewReason.REFUND_UNCLEAR),
    (Kind.UPDATE, reports(YES, amount="100.00"), ReviewReason.AMOUNT),
    (Kind.UPDATE, reports(NO, amount="80.00"), ReviewReason.AMOUNT),
    (Kind.CAPTURE, reports(YES, Stage.CANCELED), ReviewReason.CONTRADICTION),
    (Kind.CAPTURE, reports(NO, Stage.CAPTURED), ReviewReason.CONTRADICTION),
    (Kind.CANCEL, reports(YES, Stage.CAPTURED), ReviewReason.CONTRADICTION),
    (Kind.CANCEL, reports(NO, Stage.CANCELED), ReviewReason.CONTRADICTION),
    (Kind.COMPLETE, reports(YES, Stage.FAILED), ReviewReason.CONTRADICTION),
    (Kind.COMPLETE, reports(NO, Stage.CAPTURED), ReviewReason.CONTRADICTION),
    (Kind.CREATE, reports(NO, Stage.AUTHORIZED), ReviewReason.CONTRADICTION),
]


@pytest.mark.parametrize("cause", BY_OTHERS)
@pytest.mark.parametrize(("kind", "seen", "reason"), CONTRADICTIONS)
def test_what_is_told_and_shown_otherwise_is_a_persons(
    kind: Kind, seen: Observation, reason: ReviewReason, cause: Cause
) -> None:
    """Nothing is guessed: the outcome stays open, under review, with both in one sentence."""
    change = judged(kind, seen, cause=cause)
    assert change.payment.review is not None
    assert change.operation is not None
    assert (status_of(change), change.payment.review.reason) == (UNKNOWN, reason)
    assert change.operation.note == change.payment.review.detail
    assert "and shows otherwise" in str(change.operation.note)


def test_a_later_read_may_resolve_what_was_unclear() -> None:
    """A total that lagged behind: once it agrees the refund has succeeded; the review is a person's to clear."""
    unclear = judged(Kind.REFUND, reports(YES, refunded="0.00"))
    later = apply_fact(unclear.payment, reports(YES, refunded="80.00"), operation=unclear.operation)
    assert (status_of(later), later.payment.refunded) == (SUCCEEDED, Decimal(80))
    assert later.payment.review == unclear.payment.review


def test_both_outcomes_at_once_are_a_persons() -> None:
    """Whatever comes last."""
    both = saw(operations=(*reports(YES).operations, *reports(NO).operations))
    change = judged(Kind.REFUND, both)
    assert (status_of(change), change.payment.refunded) == (UNKNOWN, Decimal(0))
    assert change.payment.review is not None


# Its own reply


@pytest.mark.parametrize("cause", BY_OTHERS)
@pytest.mark.parametrize("reported", [YES, NO])
def test_what_is_being_sent_waits_for_its_reply(reported: Succeeded | Declined, cause: Cause) -> None:
    """The outcome is kept; the reply may say otherwise."""
    change = judged(Kind.REFUND, reports(reported), SENDING, cause)
    assert change.operation is not None
    assert (status_of(change), change.operation.reported, change.payment.refunded) == (SENDING, reported, Decimal(0))
    assert change.refusal is None


REPLIES: Sequence[tuple[Succeeded | Declined, Fact, Status, bool]] = [
    (YES, saw(Stage.CAPTURED), SUCCEEDED, False),
    (YES, Pending(observation=saw()), SUCCEEDED, False),
    (YES, Unknown(message="timeout"), SUCCEEDED, False),
    (YES, saw(Stage.CAPTURED, refunded="80.00"), SUCCEEDED, False),
    (YES, NO, UNKNOWN, True),
    (YES, NeverSent(message="429"), UNKNOWN, True),
    (YES, saw(Stage.CAPTURED, refunded="0.00"), UNKNOWN, True),
    (NO, NO, DECLINED, False),
    (NO, Pending(observation=saw()), DECLINED, False),
    (NO, Unknown(message="timeout"), DECLINED, False),
    (NO, NeverSent(message="429"), Status.NOT_SENT, False),
    (NO, saw(Stage.CAPTURED), UNKNOWN, True),
]
"""What was reported before, the operation's own reply, how it ends, whether that is a person's."""


@pytest.mark.parametrize(("reported", "reply", "status", "is_reviewed"), REPLIES)
def test_the_reply_agrees_or_is_reviewed(
    reported: Succeeded | Declined, reply: Fact, status: Status, is_reviewed: bool
) -> None:
    """A reply that leaves the outcome open lets what was reported decide; the amount is added once."""
    change = judged(Kind.REFUND, reply, SENDING, Cause.REPLY, reported=reported)
    refunded = Decimal(80 if status is SUCCEEDED else 0)
    assert (status_of(change), change.payment.refunded) == (status, refunded)
    assert (change.payment.review is not None) is is_reviewed


def test_a_capture_told_before_its_reply_moves_with_it() -> None:
    """A reply of "accepted" after the webhook that said it was done."""
    change = judged(Kind.CAPTURE, Pending(observation=saw(Stage.AUTHORIZED)), SENDING, Cause.REPLY, reported=YES)
    assert (status_of(change), change.payment.state, change.payment.captured) == (SUCCEEDED, CAPTURED, Decimal(100))


@pytest.mark.parametrize(("outcome", "status"), [(YES, SUCCEEDED), (NO, DECLINED), (None, UNKNOWN)])
def test_a_reply_that_tells_of_itself(outcome: Succeeded | Declined | None, status: Status) -> None:
    """Accepted, with the outcome in the same answer, or with the provider's id alone."""
    one = OperationOutcome(operation_id="op_1", provider_id="R-1", outcome=outcome)
    change = judged(Kind.REFUND, Pending(observation=saw(operations=(one,))), SENDING, Cause.REPLY)
    assert change.operation is not None
    assert (status_of(change), change.operation.provider_id) == (status, "R-1")


def test_a_reply_declined_by_name_is_declined() -> None:
    """A 200 whose refund has the status "failed", read as an observation."""
    assert status_of(judged(Kind.REFUND, reports(NO, Stage.CAPTURED), SENDING, Cause.REPLY)) is DECLINED


# The provider's own id


@pytest.mark.parametrize("status", [SENDING, UNKNOWN])
@pytest.mark.parametrize("cause", list(Cause)[1:4])
def test_an_id_without_an_outcome_is_bound(cause: Cause, status: Status) -> None:
    """Named once together with ours; no version is made of it."""
    one = OperationOutcome(operation_id="op_1", provider_id="R-1")
    change = judged(Kind.CAPTURE, saw(Stage.AUTHORIZED, operations=(one,)), status, cause)
    assert change.operation is not None
    assert (change.operation.provider_id, change.event) == ("R-1", None)


def test_the_providers_id_names_what_has_it() -> None:
    """And nothing that has none yet."""
    by_theirs = saw(operations=(OperationOutcome(provider_id="R-1", outcome=YES),))
    assert status_of(judged(Kind.REFUND, by_theirs, provider_id="R-1")) is SUCCEEDED
    for other in (None, "R-2"):
        change = judged(Kind.REFUND, by_theirs, provider_id=other)
        assert (status_of(change), change.payment.refunded) == (UNKNOWN, Decimal(0))


def test_our_id_decides_where_both_are_given() -> None:
    """Another operation with our id does not become this one by a provider's id."""
    one = OperationOutcome(operation_id="op_2", provider_id="R-1", outcome=YES)
    assert status_of(judged(Kind.REFUND, saw(operations=(one,)), provider_id="R-1")) is UNKNOWN


def test_what_the_provider_says_is_under_way_is_not_lost() -> None:
    """Two reads that do not show the effect prove nothing while the operation itself is named without an outcome."""
    change, at = judged(Kind.CAPTURE, saw(Stage.AUTHORIZED)), LATER
    assert change.operation is not None
    assert change.operation.contrary_since == LATER
    for _ in range(3):
        at += QUIET + timedelta(seconds=1)
        change = apply_fact(change.payment, reports(None, Stage.AUTHORIZED), operation=change.operation, at=at)
        assert (status_of(change), change.operation and change.operation.contrary_since) == (UNKNOWN, None)
    refund = judged(Kind.REFUND, reports(None, refunded="15.00"))
    assert (status_of(refund), refund.payment.review) == (UNKNOWN, None)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.COMPLETE])
def test_an_operation_that_the_provider_does_not_know(kind: Kind) -> None:
    """Two reads, a quiet period apart and under a rule that says so, prove that it was never done."""
    proves, payment = make_policy(absence_proves=True), make_payment(BEFORE_REPLY[kind])
    absent, soon, late = Absent(operation_id="op_1"), LATER + QUIET / 2, LATER + QUIET
    first = apply_fact(payment, absent, operation=operation_of(kind, UNKNOWN), policy=proves)
    assert status_of(first) is UNKNOWN
    assert status_of(apply_fact(payment, absent, operation=first.operation, policy=proves, at=soon)) is UNKNOWN
    assert status_of(apply_fact(payment, absent, operation=first.operation, policy=POLICY, at=late)) is UNKNOWN
    other = apply_fact(payment, Absent(operation_id="op_2"), operation=first.operation, policy=proves, at=late)
    assert status_of(other) is UNKNOWN
    last = apply_fact(payment, absent, operation=first.operation, policy=proves, at=late)
    assert status_of(last) is DECLINED
    assert last.event is not None
    assert last.event.type == ("payment.failed" if kind is Kind.CREATE else "operation.declined")


# Operations that have ended

REFUND = replace(operation_of(Kind.REFUND, SUCCEEDED), provider_id="R-1")
PAID_BACK = make_payment(State.PARTIALLY_REFUNDED, refunded=Decimal(80))


@pytest.mark.parametrize("cause", BY_OTHERS)
def test_a_refund_that_did_not_succeed_after_all(cause: Cause) -> None:
    """Review, reported with refund, amount and code; totals stay until a person knows better."""
    seen = saw(operations=(OperationOutcome(provider_id="R-1", outcome=NO),))
    change = ended(PAID_BACK, seen, REFUND, cause=cause)
    assert change.payment.review is not None
    assert change.payment.review.reason is ReviewReason.REFUND_REVERSED
    detail = "refund ref_1 of 80.00 is succeeded; the provider says that it was declined (D-1)"
    assert change.payment.review.detail == detail
    assert (change.payment.refunded, change.payment.state) == (Decimal(80), State.PARTIALLY_REFUNDED)
    assert change.event is not None
    assert change.event.type == "payment.review"
    reported = {
        "refund_id": "ref_1",
        "amount": "80.00",
        "provider_code": "D-1",
        "kind": "refund",
        "operation_id": "op_1",
    }
    assert reported.items() <= change.event.details.items()
    assert change.refusal is None


def test_it_is_reported_once() -> None:
    """Every lookup reports it again, also after a person has cleared the review."""
    first = ended(PAID_BACK, reports(NO), REFUND)
    again = ended(replace(first.payment, review=None), reports(NO), REFUND)
    assert (again.event, again.payment.review, again.refusal) == (None, None, Reason.REPEATED_FINAL)


def test_beside_another_review_it_is_a_version_of_its_own() -> None:
    """The first reason stays; the timeline has both."""
    first = ended(PAID_BACK, saw(currency="EUR"), REFUND)
    second = ended(first.payment, reports(NO), REFUND)
    assert second.payment.review == first.payment.review
    assert second.event is not None
    assert (second.event.type, second.event.details["refund_id"]) == ("payment.updated", "ref_1")


ENDED: Sequence[tuple[Kind, Status, Succeeded | Declined, ReviewReason | None]] = [
    (Kind.REFUND, SUCCEEDED, YES, None),
    (Kind.REFUND, DECLINED, NO, None),
    (Kind.REFUND, Status.NOT_SENT, NO, None),
    (Kind.REFUND, Status.WRITTEN_OFF, NO, None),
    (Kind.REFUND, DECLINED, YES, ReviewReason.CONTRADICTION),
    (Kind.REFUND, Status.NOT_SENT, YES, ReviewReason.CONTRADICTION),
    (Kind.REFUND, Status.WRITTEN_OFF, YES, ReviewReason.CONTRADICTION),
    (Kind.CAPTURE, SUCCEEDED, NO, ReviewReason.CONTRADICTION),
    (Kind.CANCEL, DECLINED, YES, ReviewReason.CONTRADICTION),
    (Kind.UPDATE, SUCCEEDED, YES, None),
]


@pytest.mark.parametrize(("kind", "status", "reported", "reason"), ENDED)
def test_an_ended_operation_stays_as_it_ended(
    kind: Kind, status: Status, reported: Succeeded | Declined, reason: ReviewReason | None
) -> None:
    """The same outcome again is nothing; the opposite is a person's, and books nothing."""
    payment = make_payment(CAPTURED)
    change = ended(payment, reports(reported), operation_of(kind, status))
    assert (change.payment.review and change.payment.review.reason) == reason
    assert (change.payment.refunded, change.payment.state) == (payment.refunded, payment.state)
    assert (change.refusal is None) is (reason is not None)


def test_an_id_that_nobody_knows_moves_nothing() -> None:
    """A refund made at the provider's portal: its total may come, its name alone says nothing."""
    unknown = saw(operations=(OperationOutcome(provider_id="portal-1", outcome=YES),))
    change = ended(make_payment(CAPTURED), unknown, REFUND, cause=Cause.LOOKUP)
    assert (change.payment, change.event) == (make_payment(CAPTURED), None)


def test_beside_an_open_operation() -> None:
    """A lookup that lists all refunds: the open one ends, the old one is as it was."""
    older = replace(REFUND, id="op_0", provider_id="R-0")
    payment = make_payment(State.PARTIALLY_REFUNDED, refunded=Decimal(10))
    before = replace(operation_of(Kind.REFUND).before, refunded=Decimal(10))
    newer = replace(operation_of(Kind.REFUND, UNKNOWN), amount=Decimal(20), before=before)
    seen = saw(operations=(OperationOutcome(provider_id="R-0", outcome=YES), *reports(YES).operations))
    change = apply(payment, newer, seen, cause=Cause.LOOKUP, policy=POLICY, at=LATER, ended=(older, newer))
    assert (status_of(change), change.payment.refunded, change.payment.review) == (SUCCEEDED, Decimal(30), None)


def test_a_misfit_tells_of_nothing() -> None:
    """What is another payment's is not believed of this one's operation either."""
    change = judged(Kind.REFUND, reports(YES, currency="EUR"))
    assert (status_of(change), change.payment.refunded) == (UNKNOWN, Decimal(0))
