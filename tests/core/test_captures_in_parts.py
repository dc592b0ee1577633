"""Where a provider captures in parts: what each part's outcome follows from, and when the payment is captured."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gateway.core.commands import Kind
from gateway.core.errors import Reason
from gateway.core.facts import (
    Cause,
    Declined,
    Fact,
    Observation,
    OperationOutcome,
    Pending,
    ReviewResolved,
    Stage,
    Succeeded,
    Unknown,
)
from gateway.core.payment import Before, Operation, Payment, ReviewReason, State, Status
from tests.core.test_states_explored import after_any_order, plain
from tests.support.factories.payments import LATER, TOTAL, apply_fact, make_operation, make_payment, make_policy, saw

PARTS = make_policy(captures="many")
FORTY, SEVENTY = Decimal("40.00"), Decimal("70.00")


def partly(captured: Decimal = FORTY, **members: object) -> Payment:
    """An authorized payment of which a part was captured."""
    return make_payment(State.AUTHORIZED, captured=captured, **members)


def part(kind: Kind = Kind.CAPTURE, status: Status = Status.SENDING, *, final: bool | None = False) -> Operation:
    """The capture of another 30.00 of a payment of which 40.00 were captured before."""
    before = Before(amount=TOTAL, captured=FORTY, refunded=Decimal(0))
    return make_operation(kind, status, amount=Decimal("30.00"), before=before, final=final)


# (what came, whose word, final) -> (status of the operation, state, captured)
OUTCOMES: list[tuple[Fact, Cause, bool, Status, State, Decimal]] = [
    (saw(Stage.AUTHORIZED), Cause.REPLY, False, Status.SUCCEEDED, State.AUTHORIZED, SEVENTY),
    (saw(Stage.AUTHORIZED), Cause.REPLY, True, Status.SUCCEEDED, State.CAPTURED, SEVENTY),
    (saw(Stage.CAPTURED), Cause.REPLY, True, Status.SUCCEEDED, State.CAPTURED, SEVENTY),
    (saw(Stage.CAPTURED), Cause.REPLY, False, Status.SUCCEEDED, State.CAPTURED, SEVENTY),
    (saw(Stage.AUTHORIZED, captured="70.00"), Cause.REPLY, False, Status.SUCCEEDED, State.AUTHORIZED, SEVENTY),
    (saw(Stage.AUTHORIZED, captured="70.00"), Cause.REPLY, True, Status.SUCCEEDED, State.CAPTURED, SEVENTY),
    (saw(Stage.AUTHORIZED, captured="40.00"), Cause.REPLY, False, Status.UNKNOWN, State.AUTHORIZED, FORTY),
    (saw(), Cause.REPLY, False, Status.UNKNOWN, State.AUTHORIZED, FORTY),
    (saw(Stage.CANCELED, captured="40.00"), Cause.REPLY, False, Status.DECLINED, State.CAPTURED, FORTY),
    (Pending(observation=saw()), Cause.REPLY, False, Status.UNKNOWN, State.AUTHORIZED, FORTY),
    (Pending(observation=saw(captured="70.00")), Cause.REPLY, False, Status.UNKNOWN, State.AUTHORIZED, FORTY),
    (Unknown(message="silence"), Cause.REPLY, False, Status.UNKNOWN, State.AUTHORIZED, FORTY),
    (saw(Stage.AUTHORIZED, captured="70.00"), Cause.LOOKUP, False, Status.SUCCEEDED, State.AUTHORIZED, SEVENTY),
    (saw(Stage.AUTHORIZED, captured="70.00"), Cause.LOOKUP, True, Status.SUCCEEDED, State.CAPTURED, SEVENTY),
    (saw(Stage.AUTHORIZED, captured="40.00"), Cause.LOOKUP, False, Status.UNKNOWN, State.AUTHORIZED, FORTY),
    (saw(Stage.AUTHORIZED), Cause.LOOKUP, False, Status.UNKNOWN, State.AUTHORIZED, FORTY),
    (saw(Stage.CAPTURED, captured="40.00"), Cause.LOOKUP, False, Status.DECLINED, State.CAPTURED, FORTY),
    (saw(Stage.CANCELED), Cause.LOOKUP, False, Status.DECLINED, State.CAPTURED, FORTY),
    (saw(Stage.CAPTURED, captured="70.00"), Cause.CALLBACK, False, Status.SUCCEEDED, State.CAPTURED, SEVENTY),
]


@pytest.mark.parametrize(("fact", "cause", "final", "status", "state", "captured"), OUTCOMES)
def test_the_outcome_of_a_part(
    fact: Fact, cause: Cause, final: bool, status: Status, state: State, captured: Decimal
) -> None:
    """The total decides; a stage alone only in the part's own reply. The last part closes the payment."""
    began = Status.SENDING if cause is Cause.REPLY else Status.UNKNOWN
    made = apply_fact(partly(), fact, operation=part(status=began, final=final), cause=cause, policy=PARTS)
    assert made.operation is not None
    assert (made.operation.status, made.payment.state, made.payment.captured) == (status, state, captured)
    assert made.payment.review is None


def test_two_reads_of_the_total_before_prove_that_a_part_was_not_captured() -> None:
    """As for a refund; reads that say no total prove nothing, however many there are."""
    operation: Operation | None = part(status=Status.UNKNOWN)
    for seen, status in [(saw(Stage.AUTHORIZED), Status.UNKNOWN)] * 3 + [
        (saw(Stage.AUTHORIZED, captured="40.00"), Status.UNKNOWN),
        (saw(Stage.AUTHORIZED, captured="40.00"), Status.DECLINED),
    ]:
        at = LATER if status is Status.UNKNOWN else LATER + PARTS.quiet_period
        operation = apply_fact(partly(), seen, operation=operation, policy=PARTS, at=at).operation
        assert operation is not None
        assert operation.status is status


def test_a_total_that_no_part_explains_is_for_a_person() -> None:
    """60.00 are neither 40.00 nor 70.00: the total is taken over, the operation stays open."""
    made = apply_fact(
        partly(), saw(Stage.AUTHORIZED, captured="60.00"), operation=part(status=Status.UNKNOWN), policy=PARTS
    )
    assert made.operation is not None
    assert made.payment.review is not None
    assert (made.operation.status, made.payment.captured) == (Status.UNKNOWN, Decimal("60.00"))
    assert made.payment.review.reason is ReviewReason.AMOUNT


def test_a_callback_may_come_before_the_reply() -> None:
    """It moves the total at once; the reply that says it again, or nothing, finds it and adds nothing."""
    first = apply_fact(
        partly(), saw(Stage.AUTHORIZED, captured="70.00"), operation=part(), cause=Cause.CALLBACK, policy=PARTS
    )
    assert (first.payment.captured, first.operation) == (SEVENTY, part())
    for reply in (saw(Stage.AUTHORIZED), Unknown(message="silence"), Pending(observation=saw())):
        after = apply_fact(first.payment, reply, operation=part(), cause=Cause.REPLY, policy=PARTS)
        assert after.operation is not None
        assert (after.operation.status, after.payment.captured) == (Status.SUCCEEDED, SEVENTY)


def test_a_callback_that_shows_the_last_part_is_no_repetition() -> None:
    """It closes the payment by resolving the part, whatever stage it still names."""
    seen = saw(Stage.AUTHORIZED, captured="70.00")
    last = part(status=Status.UNKNOWN, final=True)
    made = apply_fact(partly(), seen, operation=last, cause=Cause.CALLBACK, policy=PARTS)
    assert (made.payment.state, made.refusal) == (State.CAPTURED, None)


@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize("cause", [Cause.LOOKUP, Cause.CALLBACK])
@pytest.mark.parametrize("facts", [{}, {"stage": Stage.AUTHORIZED}, {"captured": "70.00"}])
def test_a_part_that_is_reported_by_name(facts: dict[str, Any], cause: Cause, final: bool) -> None:
    """Succeeded adds its amount; only the last one closes the payment."""
    seen = saw(**facts, operations=(OperationOutcome(operation_id="op_1", outcome=Succeeded()),))
    operation = part(status=Status.UNKNOWN, final=final)
    made = apply_fact(partly(), seen, operation=operation, cause=cause, policy=PARTS)
    assert made.operation is not None
    assert (made.operation.status, made.payment.captured, made.refusal) == (Status.SUCCEEDED, SEVENTY, None)
    assert made.payment.state is (State.CAPTURED if final else State.AUTHORIZED)


@pytest.mark.parametrize(
    ("outcome", "total", "status"),
    [
        (Succeeded(), "40.00", Status.UNKNOWN),
        (Declined(code="no", message=""), "70.00", Status.UNKNOWN),
        (Declined(code="no", message=""), "40.00", Status.DECLINED),
    ],
)
def test_a_total_denies_what_is_reported(outcome: Succeeded | Declined, total: str, status: Status) -> None:
    """Then a person looks; a total that agrees decides nothing else."""
    seen = saw(captured=total, operations=(OperationOutcome(operation_id="op_1", outcome=outcome),))
    made = apply_fact(partly(), seen, operation=part(status=Status.UNKNOWN), policy=PARTS)
    assert made.operation is not None
    assert made.operation.status is status
    assert (made.payment.review is not None) is (status is Status.UNKNOWN)


# Totals without a capture from here


@pytest.mark.parametrize(
    ("seen", "state", "captured", "kind"),
    [
        (saw(Stage.AUTHORIZED, captured="55.00"), State.AUTHORIZED, "55.00", "payment.updated"),
        (saw(captured="55.00"), State.AUTHORIZED, "55.00", "payment.updated"),
        (saw(Stage.AUTHORIZED, captured="100.00"), State.CAPTURED, "100.00", "payment.captured"),
        (saw(Stage.CAPTURED), State.CAPTURED, "40.00", "payment.captured"),
        (saw(Stage.CAPTURED, captured="10.00"), State.CAPTURED, "40.00", "payment.captured"),
        (saw(Stage.CANCELED), State.CAPTURED, "40.00", "payment.captured"),
        (saw(Stage.CANCELED, refunded="40.00"), State.REFUNDED, "40.00", "payment.refunded"),
    ],
)
def test_what_a_look_shows(seen: Observation, state: State, captured: str, kind: str) -> None:
    """The payment stays open while some of its amount is; what is canceled is the rest."""
    made = apply_fact(partly(), seen, policy=PARTS)
    assert (made.payment.state, made.payment.captured) == (state, Decimal(captured))
    assert made.event is not None
    assert (made.event.type, made.event.details["made_elsewhere"]) == (kind, "true")


@pytest.mark.parametrize("total", ["0.00", "39.99", "40.00"])
def test_a_smaller_total_is_old_news(total: str) -> None:
    """It changes nothing, and a callback of it is no error: the payment is not over."""
    made = apply_fact(partly(), saw(Stage.AUTHORIZED, captured=total), cause=Cause.CALLBACK, policy=PARTS)
    assert (made.payment, made.event, made.refusal) == (partly(), None, None)


def test_more_than_agreed_or_after_the_end_is_for_a_person() -> None:
    """Neither above the amount, nor above what a payment was closed at."""
    closed = make_payment(State.CAPTURED, captured=FORTY)
    for payment, total in ((partly(), "100.01"), (closed, "70.00")):
        made = apply_fact(payment, saw(Stage.CAPTURED, captured=total), cause=Cause.CALLBACK, policy=PARTS)
        assert (made.payment.captured, made.refusal) == (FORTY, Reason.AMOUNT)


def test_money_of_a_canceled_payment_is_for_a_person() -> None:
    """It was canceled before its first capture, as far as was known."""
    made = apply_fact(make_payment(State.CANCELED), saw(Stage.AUTHORIZED, captured="40.00"), policy=PARTS)
    assert made.payment.review is not None
    assert made.payment.review.reason is ReviewReason.CONTRADICTION


def test_a_refunded_total_waits_for_the_end() -> None:
    """While parts are open the state says so; the total is taken over with the first look afterwards."""
    while_open = apply_fact(partly(), saw(Stage.AUTHORIZED, captured="40.00", refunded="10.00"), policy=PARTS)
    assert (while_open.payment.refunded, while_open.payment.review) == (Decimal(0), None)
    closed = apply_fact(partly(), saw(Stage.CAPTURED, captured="40.00", refunded="10.00"), policy=PARTS).payment
    assert (closed.state, closed.refunded) == (State.PARTIALLY_REFUNDED, Decimal("10.00"))


def test_the_date_is_that_of_the_end() -> None:
    """``captured_at`` is set when the payment becomes captured, not with its first part."""
    first = apply_fact(make_payment(State.AUTHORIZED), saw(Stage.AUTHORIZED, captured="40.00"), policy=PARTS).payment
    assert (first.captured, first.captured_at) == (FORTY, None)
    last = apply_fact(first, saw(Stage.CAPTURED, captured="40.00"), policy=PARTS).payment
    assert (last.captured, last.captured_at) == (FORTY, LATER)


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        (saw(Stage.CANCELED), Status.SUCCEEDED),
        (saw(Stage.CAPTURED), Status.SUCCEEDED),
        (saw(Stage.CAPTURED, captured="40.00"), Status.SUCCEEDED),
        (saw(Stage.CAPTURED, captured="70.00"), Status.DECLINED),
        (saw(Stage.AUTHORIZED, captured="40.00"), Status.UNKNOWN),
    ],
)
def test_a_cancel_gives_up_the_rest(seen: Observation, status: Status) -> None:
    """The payment is captured then, with what was; more than that shows that something else closed it."""
    made = apply_fact(partly(), seen, operation=part(Kind.CANCEL, final=None), cause=Cause.REPLY, policy=PARTS)
    assert made.operation is not None
    assert made.operation.status is status
    assert made.payment.state is (State.AUTHORIZED if status is Status.UNKNOWN else State.CAPTURED)


def test_a_person_closes_at_what_was_captured() -> None:
    """An operator who says captured does not make the parts the whole."""
    made = apply_fact(
        partly(), ReviewResolved(actor="dana", reason="x", state="captured"), cause=Cause.OPERATOR, policy=PARTS
    )
    assert (made.payment.state, made.payment.captured) == (State.CAPTURED, FORTY)


def test_with_one_capture_nothing_of_this_holds() -> None:
    """An authorized payment has nothing captured, whatever is named beside the stage."""
    made = apply_fact(make_payment(State.AUTHORIZED), saw(Stage.AUTHORIZED, captured="40.00"))
    assert (made.payment.captured, made.event) == (Decimal(0), None)
    assert apply_fact(make_payment(State.AUTHORIZED), saw(Stage.CANCELED)).payment.state is State.CANCELED


# The order of proved facts

PROVED = {
    "authorized": saw(Stage.AUTHORIZED, captured="0.00"),
    "captured 40": saw(Stage.AUTHORIZED, captured="40.00"),
    "captured 70": saw(Stage.AUTHORIZED, captured="70.00"),
    "closed": saw(Stage.CAPTURED, captured="70.00"),
    "canceled": saw(Stage.CANCELED, captured="70.00"),
    "refunded a part": saw(Stage.CAPTURED, captured="70.00", refunded="40.00"),
    "refunded": saw(Stage.CAPTURED, captured="70.00", refunded="70.00"),
}


@pytest.mark.parametrize("state", [State.CREATED, State.AWAITING_CUSTOMER, State.AUTHORIZED])
@pytest.mark.parametrize("cause", [Cause.LOOKUP, Cause.CALLBACK])
def test_the_order_of_facts_does_not_matter(cause: Cause, state: State) -> None:
    """The same proved totals in any order give the same money, or a person is asked to look."""
    found = after_any_order(plain(make_payment(state)), PROVED, cause, PARTS)
    assert {told: totals for told, totals in found.items() if len(totals) > 1} == {}
    assert found[frozenset({"captured 40", "captured 70"})].keys() == {(SEVENTY, Decimal(0))}
    assert found[frozenset(PROVED)].keys() == {(SEVENTY, SEVENTY)}
