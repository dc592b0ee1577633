"""What tenants read: every member of the API's payment, in its form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from gateway.core.commands import Kind
from gateway.core.facts import Cause
from gateway.core.money import Money
from gateway.core.payment import (
    Alert,
    AlertCode,
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
from gateway.core.view_types import (
    FailureView,
    OperationView,
    PaymentWithOperation,
    RefundWithPayment,
    WebhookBody,
    WebhookData,
)
from gateway.core.views import (
    event_view,
    operation_answer,
    payment_json,
    payment_view,
    refund_view,
    rfc3339,
    to_json,
    webhook_body,
)
from tests.support.factories.payments import AT, LATER, PAYMENT_MEMBERS, make_operation, make_payment


def shown(view: msgspec.Struct) -> dict[str, Any]:
    """A view as a tenant decodes it."""
    decoded: dict[str, Any] = msgspec.json.decode(to_json(view))
    return decoded


def test_a_payment_has_every_member_in_order() -> None:
    """The payment's members are those of the API, absent ones as null."""
    found = shown(payment_view(make_payment(), None))
    assert list(found) == PAYMENT_MEMBERS
    assert {name for name, value in found.items() if value is None} == {
        "provider_reference",
        "redirect_url",
        "pending_operation",
        "review",
        "failure",
        "replaces",
        "replaced_by",
        "capture_by",
        "expires_at",
        "authorized_at",
        "captured_at",
        "canceled_at",
    }


@pytest.mark.parametrize("state", State)
def test_instructions_are_shown_while_something_can_be_paid(state: State) -> None:
    """Nobody is asked to pay what failed or was canceled, neither on a page nor by a transfer."""
    found = shown(
        payment_view(make_payment(state, redirect_url="https://p.example", instructions={"iban": "DE02"}), None)
    )
    is_shown = state not in (State.FAILED, State.CANCELED)
    assert found["instructions"] == ({"iban": "DE02"} if is_shown else {})
    assert found["redirect_url"] == ("https://p.example" if is_shown else None)


@pytest.mark.parametrize(
    ("currency", "digits", "texts"),
    [
        ("USD", 2, ["100.00", "40.00", "0.00"]),
        ("JPY", 0, ["100", "40", "0"]),
        ("KWD", 3, ["100.000", "40.000", "0.000"]),
    ],
)
def test_amounts_have_the_digits_of_the_currency(currency: str, digits: int, texts: list[str]) -> None:
    """All three amounts are decimal text with the currency's digits, nothing captured included."""
    money = Money.of(Decimal(100), currency, digits)
    found = shown(payment_view(make_payment(money=money, captured=Decimal(40)), None))
    assert [found[name] for name in ("amount", "amount_captured", "amount_refunded")] == texts


def test_what_is_nested() -> None:
    """Pending operation, review, failure and alerts have just their documented members."""
    payment = make_payment(
        State.FAILED,
        review=Review(reason=ReviewReason.AMOUNT, since=AT),
        failure=Failure(code=FailureCode.NOT_SENT, message="connect_failed"),
        alerts=(Alert(code="c", message="m"),),
    )
    found = shown(payment_view(payment, make_operation(Kind.CAPTURE, note="timeout")))
    assert found["pending_operation"] == {"id": "op_1", "kind": "capture", "status": "unknown", "note": "timeout"}
    assert found["review"] == {"reason": "amount", "since": "2026-01-02T03:04:05.000Z", "detail": None}
    assert found["failure"] == {"code": "not_sent", "message": "connect_failed", "provider_code": None}
    assert found["alerts"] == [{"code": "c", "message": "m"}]


@pytest.mark.parametrize("status", [status for status in Status if status not in (Status.SENDING, Status.UNKNOWN)])
def test_a_settled_operation_is_not_pending(status: Status) -> None:
    """Only what is sending or unknown is pending."""
    assert payment_view(make_payment(), make_operation(Kind.CAPTURE, status)).pending_operation is None


def test_an_answer_has_the_operation_beside_the_payment() -> None:
    """Answers of create, capture, cancel and PATCH are the payment with one more member."""
    failure = Failure(code=FailureCode.DECLINED, message="no", provider_code="D-1")
    operation = make_operation(Kind.CAPTURE, Status.DECLINED, failure=failure)
    found = msgspec.json.decode(operation_answer(make_payment(), payment_json(make_payment(), None), operation))
    assert list(found) == [*PAYMENT_MEMBERS, "operation"]
    assert found["operation"] == {
        "id": "op_1",
        "kind": "capture",
        "status": "declined",
        "failure": {"code": "declined", "message": "no", "provider_code": "D-1"},
    }


def test_a_refund_is_answered_with_its_payment() -> None:
    """A refund has its own id, amount and status, and its payment inside."""
    refund = make_operation(Kind.REFUND, Status.SUCCEEDED, amount=Decimal("40.00"), reason="damaged")
    whole = make_payment(State.CAPTURED)
    found = msgspec.json.decode(operation_answer(whole, payment_json(whole, None), refund))
    payment = found.pop("payment")
    assert list(payment) == PAYMENT_MEMBERS
    assert found == {
        "id": "ref_1",
        "payment_id": "pay_1",
        "amount": "40.00",
        "currency": "USD",
        "status": "succeeded",
        "reason": "damaged",
        "failure": None,
        "created_at": "2026-01-02T03:04:05.000Z",
    }


def test_private_members_are_not_shown() -> None:
    """Customer, order, fields and checkout are kept for later commands and not returned."""
    found = shown(payment_view(replace(make_payment(), fields={"custom_1": "canary"}), None))
    assert not {"customer", "order", "fields", "checkout", "accepted_amount", "completed"} & set(found)
    assert "canary" not in repr(found)


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (AT, "2026-01-02T03:04:05.000Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 678999, tzinfo=UTC), "2026-01-02T03:04:05.678Z"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2))), "2026-01-02T01:04:05.000Z"),
    ],
)
def test_times(at: datetime, text: str) -> None:
    """Times are RFC 3339 in UTC with milliseconds."""
    assert rfc3339(at) == text


@given(st.datetimes(timezones=st.timezones()))
def test_every_time_is_written_as_isoformat_does(at: datetime) -> None:
    """From the first year to the last, in whatever zone."""
    try:
        utc = at.astimezone(UTC)
    except OverflowError:  # a zone's offset leads out of the calendar
        return
    assert rfc3339(at) == utc.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def test_an_event_is_one_line_of_the_timeline() -> None:
    """An event shows cause, both states and its details."""
    event = PaymentEvent(
        type="payment.created", version=1, cause=Cause.TENANT, state_before=None, state_after=State.CREATED, at=AT
    )
    assert shown(event_view("evt_1", event)) == {
        "id": "evt_1",
        "type": "payment.created",
        "version": 1,
        "cause": "tenant",
        "state_before": None,
        "state_after": "created",
        "at": "2026-01-02T03:04:05.000Z",
        "details": {},
    }


EVENT = PaymentEvent(
    type="payment.captured",
    version=6,
    cause=Cause.REPLY,
    state_before=State.AUTHORIZED,
    state_after=State.CAPTURED,
    at=LATER,
)


def test_a_webhook_tells_the_payment() -> None:
    """A webhook's body is type, timestamp and data.payment; without a refund there is no such member."""
    found = msgspec.json.decode(webhook_body(EVENT, payment_json(make_payment(State.CAPTURED), None)))
    assert (found["type"], found["timestamp"]) == ("payment.captured", "2026-01-02T03:04:06.000Z")
    assert list(found["data"]) == ["payment"]
    assert list(found["data"]["payment"]) == PAYMENT_MEMBERS


def test_a_webhook_of_a_refund_tells_the_refund() -> None:
    """Where the change is a refund's outcome, the refund stands beside the payment."""
    payment, refund = make_payment(State.PARTIALLY_REFUNDED), make_operation(Kind.REFUND, Status.SUCCEEDED)
    found = msgspec.json.decode(webhook_body(EVENT, payment_json(payment, None), refund_view(payment, refund)))
    assert found["data"]["refund"]["id"] == "ref_1"


TEXTS = st.text(max_size=8)
PAYMENTS = st.builds(
    make_payment,
    st.sampled_from(State),
    merchant_reference=TEXTS,
    provider_reference=st.none() | TEXTS,
    redirect_url=st.none() | TEXTS,
    instructions=st.dictionaries(TEXTS, TEXTS, max_size=2),
    review=st.none() | st.builds(Review, reason=st.sampled_from(ReviewReason), since=st.just(AT), detail=TEXTS),
    failure=st.none() | st.builds(Failure, code=st.sampled_from(FailureCode), message=TEXTS),
    alerts=st.just(()) | st.tuples(st.builds(Alert, code=st.sampled_from(AlertCode), message=TEXTS)),
    expires_at=st.none() | st.just(LATER),
    metadata=st.dictionaries(TEXTS, TEXTS, max_size=3),
)
OPERATIONS = st.builds(
    make_operation,
    st.sampled_from(Kind),
    st.sampled_from(Status),
    amount=st.just(Decimal("40.00")),
    note=st.none() | TEXTS,
    reason=st.none() | TEXTS,
    failure=st.none() | st.builds(Failure, code=st.sampled_from(FailureCode), message=TEXTS),
)


@given(PAYMENTS, st.none() | OPERATIONS, OPERATIONS)
def test_what_is_put_together_is_as_if_written_at_once(
    payment: Payment, open_operation: Operation | None, operation: Operation
) -> None:
    """Byte for byte: answers and webhooks hold the payment's view as it was written."""
    view, written = payment_view(payment, open_operation), payment_json(payment, open_operation)
    assert written == to_json(view)
    refund = refund_view(payment, operation)
    shown_operation = OperationView(
        id=operation.id,
        kind=operation.kind,
        status=operation.status,
        note=operation.note if operation.is_open and operation.note is not None else msgspec.UNSET,
        failure=None if operation.failure is None else FailureView(**asdict(operation.failure)),
    )
    at_once = (
        RefundWithPayment(**asdict(refund), payment=view)
        if operation.kind is Kind.REFUND
        else PaymentWithOperation(**asdict(view), operation=shown_operation)
    )
    assert operation_answer(payment, written, operation) == to_json(at_once)
    for of_refund in (None, refund):
        data = WebhookData(payment=view, refund=of_refund)
        body = WebhookBody(type=EVENT.type, timestamp=rfc3339(EVENT.at), data=data)
        assert webhook_body(EVENT, written, of_refund) == to_json(body)
