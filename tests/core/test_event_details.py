"""What an event says besides its states: amounts, references and the provider's own words, as texts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from gateway.core.callback_rules import evaluate
from gateway.core.change import MAX_UNKNOWN_STATUSES
from gateway.core.commands import Kind
from gateway.core.errors import Reason
from gateway.core.facts import Cause, Declined, Event, Fact, OperationResolved, Pending, Refused, Stage
from gateway.core.ids import refund_id
from gateway.core.payment import Before, Operation, Payment, State, Status
from tests.support.factories.payments import LATER, POLICY, TOTAL, apply_fact, make_operation, make_payment, saw

OP = "op_01a22112b67070d4aaa6e287dfd95976"
NO = Declined(code="D-17", message="not today")
USD = {"currency": "USD"}


class Row(NamedTuple):
    """A payment's state, the operation that is open, a fact by a cause, and the details of the event."""

    state: State
    kind: Kind | None
    fact: Fact
    cause: Cause
    details: dict[str, str]
    amount: Decimal = TOTAL


CAPTURED = {"amount_captured": "100.00", **USD, "provider_status": "shipped"}
CANCELED = {"provider_status": "canceled"}
ELSEWHERE = {"made_elsewhere": "true"}
SHIPPED = saw(Stage.CAPTURED, raw_status="shipped")
GONE = saw(Stage.CANCELED, raw_status="canceled")
RULED = OperationResolved(actor="ops", reason="asked", outcome="succeeded")
BY_HAND = {"actor": "ops", "reason": "asked", "outcome": "succeeded"}
FORTY = Decimal("40.00")

ROWS = {
    "captured by a reply": Row(State.AUTHORIZED, Kind.CAPTURE, SHIPPED, Cause.REPLY, CAPTURED),
    "captured by a callback": Row(State.CREATED, None, SHIPPED, Cause.CALLBACK, CAPTURED),
    "captured elsewhere": Row(
        State.AUTHORIZED,
        None,
        SHIPPED,
        Cause.LOOKUP,
        {**CAPTURED, **ELSEWHERE, "note": "captured at the provider; no capture from here was under way"},
    ),
    "canceled by a lookup of a lost cancel": Row(State.AUTHORIZED, Kind.CANCEL, GONE, Cause.LOOKUP, CANCELED),
    "given up by the provider": Row(
        State.AUTHORIZED,
        None,
        GONE,
        Cause.LOOKUP,
        {**CANCELED, **ELSEWHERE, "note": "canceled at the provider; no cancel from here was under way"},
    ),
    "a refund": Row(
        State.PARTIALLY_REFUNDED,
        Kind.REFUND,
        saw(Stage.CAPTURED, refunded="80.00", raw_status="shipped"),
        Cause.REPLY,
        {
            "kind": "refund",
            "amount": "40.00",
            "amount_refunded": "80.00",
            **USD,
            "provider_status": "shipped",
            "refund_id": refund_id(OP),
        },
        FORTY,
    ),
    "a refund by a person's word": Row(
        State.PARTIALLY_REFUNDED,
        Kind.REFUND,
        RULED,
        Cause.OPERATOR,
        {
            "kind": "refund",
            "amount": "40.00",
            "amount_refunded": "80.00",
            **USD,
            "refund_id": refund_id(OP),
            **BY_HAND,
        },
        FORTY,
    ),
    "a refund elsewhere": Row(
        State.CAPTURED,
        None,
        saw(Stage.CAPTURED, refunded="30.00"),
        Cause.LOOKUP,
        {"amount": "30.00", "amount_refunded": "30.00", **USD, **ELSEWHERE},
    ),
    "an update": Row(
        State.AUTHORIZED,
        Kind.UPDATE,
        saw(Stage.AUTHORIZED, amount="40.00"),
        Cause.REPLY,
        {"amount": "40.00", "amount_before": "100.00", **USD},
        FORTY,
    ),
    "a declined capture": Row(
        State.AUTHORIZED,
        Kind.CAPTURE,
        NO,
        Cause.REPLY,
        {"kind": "capture", "amount": "100.00", **USD, "failure": "declined", "provider_code": "D-17"},
    ),
    "a declined create": Row(
        State.CREATED, Kind.CREATE, NO, Cause.REPLY, {"failure": "declined", "provider_code": "D-17"}
    ),
    "a failure": Row(
        State.AWAITING_CUSTOMER,
        None,
        saw(Stage.FAILED, raw_status="0"),
        Cause.CALLBACK,
        {"failure": "declined", "provider_code": "0", "provider_status": "0"},
    ),
    "another amount": Row(
        State.AUTHORIZED,
        None,
        saw(Stage.AUTHORIZED, amount="99.00", raw_status="placed"),
        Cause.LOOKUP,
        {
            "review": "amount",
            "detail": "the provider shows 99.00 USD; this payment is of 100.00 USD",
            "provider_amount": "99.00",
            "provider_status": "placed",
        },
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_an_event_says_what_moved(name: str) -> None:
    """Amounts with their currency, the provider's words, and its reference wherever something moved."""
    row = ROWS[name]
    payment = make_payment(row.state, provider_reference="CK-1")
    before = Before(amount=TOTAL, captured=payment.captured, refunded=payment.refunded)
    operation = None
    if row.kind is not None:
        status = Status.SENDING if row.cause is Cause.REPLY else Status.UNKNOWN
        operation = make_operation(row.kind, status, id=OP, amount=row.amount, before=before)
    event = apply_fact(payment, row.fact, operation=operation, cause=row.cause).event
    assert event is not None
    expected = row.details if row.kind is None else {**row.details, "operation_id": OP}
    assert event.details == {**expected, "provider_reference": "CK-1"}
    assert all(isinstance(text, str) for text in event.details.values())


# A status that nobody here knows


def unknown(word: str | None, **more: Any) -> Any:
    """What a plugin says of it."""
    return saw(Stage.UNKNOWN, unknown_status=word, **more)


def noted(payment: Payment, fact: Fact, cause: Cause, operation: Operation | None = None) -> str | None:
    """The word that one event told, None where nothing was told."""
    event = apply_fact(payment, fact, operation=operation, cause=cause).event
    return None if event is None else event.details.get("unknown_status")


@pytest.mark.parametrize("cause", [Cause.LOOKUP, Cause.CALLBACK, Cause.REPLY])
@pytest.mark.parametrize("state", list(State))
def test_an_unknown_status_is_told_once_and_moves_nothing(state: State, cause: Cause) -> None:
    """One version per new word, whoever said it; state and totals stay as they are."""
    payment = make_payment(state)
    first = apply_fact(payment, unknown("Placed"), cause=cause)
    assert first.event is not None
    assert (first.event.type, first.event.details["unknown_status"]) == ("payment.updated", "Placed")
    now = first.payment
    assert (now.state, now.captured, now.refunded, now.review) == (state, payment.captured, payment.refunded, None)
    assert noted(now, unknown("Placed"), cause) is None
    assert noted(now, unknown("pending"), cause) == "pending"


def test_a_plugin_that_names_no_stage_is_believed_that_the_word_is_unknown() -> None:
    """Plugins made before there was a member for it say ``raw_status`` beside the stage ``unknown``."""
    assert noted(make_payment(), saw(Stage.UNKNOWN, raw_status="Placed"), Cause.LOOKUP) == "Placed"
    assert noted(make_payment(), saw(Stage.UNKNOWN), Cause.REPLY) is None


def test_an_unknown_status_of_an_operation_is_told() -> None:
    """An answer that shows no effect, one that is accepted and not done, and a refund that only its sum proves."""
    capture = make_operation(Kind.CAPTURE, Status.SENDING)
    authorized = make_payment(State.AUTHORIZED)
    for fact in (unknown("Shipped"), Pending(observation=unknown("Shipped"))):
        change = apply_fact(authorized, fact, operation=capture, cause=Cause.REPLY)
        assert change.event is not None
        assert change.event.details["unknown_status"] == "Shipped"
        assert change.operation is not None
        assert (change.payment.state, change.operation.status) == (State.AUTHORIZED, Status.UNKNOWN)
    before = Before(amount=TOTAL, captured=TOTAL, refunded=Decimal(0))
    refund = make_operation(Kind.REFUND, Status.SENDING, amount=FORTY, before=before)
    seen = saw(Stage.CAPTURED, refunded="40.00", unknown_status="part_refunded")
    change = apply_fact(make_payment(State.CAPTURED), seen, operation=refund, cause=Cause.REPLY)
    assert change.event is not None
    assert (change.event.type, change.event.details["unknown_status"]) == (
        "payment.partially_refunded",
        "part_refunded",
    )


def test_a_provider_that_invents_words_is_told_of_so_often_and_no_more() -> None:
    """A new word with every look makes no endless timeline."""
    payment = make_payment()
    for number in range(2 * MAX_UNKNOWN_STATUSES):
        payment = apply_fact(payment, unknown(f"word {number}")).payment
    assert payment.version == make_payment().version + MAX_UNKNOWN_STATUSES


def test_a_callback_refused_for_its_status_is_told_and_stays_refused() -> None:
    """The word goes into the timeline once; the refusal is the same as ever, and nothing else is read."""

    said = Event(event_id="1", observation=unknown("9", currency="EUR"), problem=Reason.STATUS)
    first = evaluate(make_payment(), None, said, seen_before=False, policy=POLICY, at=LATER)
    assert first.verdict == Refused(reason=Reason.STATUS)
    assert first.change is not None
    assert first.change.event is not None
    assert first.change.event.details == {"unknown_status": "9"}
    again = evaluate(first.change.payment, None, said, seen_before=False, policy=POLICY, at=LATER)
    assert (again.verdict, again.change) == (first.verdict, None)
