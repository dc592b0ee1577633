"""What the Credit Key adapter reads in an answer, and which answers prove nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from gateway_creditkey import CreditKey

import gateway
from tests.support.factories.creditkey import answer, command, create, fetch, fixture, make_account

CK = CreditKey()
ACCOUNT = make_account()
CHANGING = (gateway.CompletePayment, gateway.CapturePayment, gateway.CancelPayment, gateway.UpdatePayment)
ORDERS = (gateway.CapturePayment, gateway.CancelPayment, gateway.UpdatePayment, gateway.RefundPayment)


def order_answer(**changes: Any) -> gateway.HttpResponse:
    given = {
        "id": "CK-TST1001",
        "status": "placed",
        "amount": "1142.33",
        "refunded_amount": "0",
        "merchant_order_id": "SO-7001",
    }
    return answer({**given, **changes})


def seen(given: gateway.Command, response: gateway.HttpResponse) -> gateway.Observation:
    result = CK.parse(given, response, ACCOUNT)
    assert isinstance(result, gateway.Observation)
    return result


@pytest.mark.parametrize(("mode", "is_notified"), [("link", True), ("redirect", False), (None, True)])
def test_a_begun_checkout_waits_for_the_customer(mode: Any, is_notified: bool):
    """The answer to a new order gives its key and page; only in link mode was the customer notified."""
    result = seen(create(checkout=gateway.Checkout(mode=mode)), answer(fixture("begin_answer.json")))
    assert result == gateway.Observation(
        stage=gateway.Stage.AWAITING_CUSTOMER,
        provider_reference="CK-TST1001",
        redirect_url="https://fake.creditkey.example/checkout/CK-TST1001",
        customer_notified=is_notified,
    )


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"id": "CK-1"},
        {"checkout_url": "https://a/b"},
        {"id": 7, "checkout_url": "https://a/b"},
        {"id": "", "checkout_url": "https://a/b"},
        {"id": "CK 1", "checkout_url": "https://a/b"},
        {"id": "CK-1\n", "checkout_url": "https://a/b"},
        {"id": "x" * 65, "checkout_url": "https://a/b"},
    ],
)
def test_an_unusable_beginning_is_unknown(body: dict[str, Any]):
    """A new order whose key or page cannot be used may still exist."""
    with pytest.raises(gateway.OutcomeUnknown):
        CK.parse(create(), answer(body), ACCOUNT)


@pytest.mark.parametrize("success", [True, "true"])
def test_a_completed_checkout(success: Any):
    """Success says that the checkout is completed, not where the order stands."""
    assert seen(command(gateway.CompletePayment), answer({"success": success})) == gateway.Observation(
        stage=gateway.Stage.UNKNOWN, provider_reference="CK-TST1001"
    )


@pytest.mark.parametrize("success", [False, "false"])
def test_a_checkout_that_is_not_completed(success: Any):
    """No success is a definite no."""
    result = CK.parse(command(gateway.CompletePayment), answer({"success": success}), ACCOUNT)
    assert isinstance(result, gateway.Declined)
    assert result.code == "not_completed"


@pytest.mark.parametrize("body", [{}, {"success": None}, {"success": 1}, {"success": "yes"}])
def test_an_unclear_completion_is_unknown(body: dict[str, Any]):
    """Any other word is neither yes nor no."""
    with pytest.raises(gateway.OutcomeUnknown):
        CK.parse(command(gateway.CompletePayment), answer(body), ACCOUNT)


@pytest.mark.parametrize(
    ("kind", "sample", "stage", "captured", "refunded"),
    [
        (gateway.UpdatePayment, "update_answer.json", "authorized", "0.00", "0.00"),
        (gateway.CapturePayment, "confirm_answer.json", "captured", "1142.33", "0.00"),
        (gateway.RefundPayment, "refund_part_answer.json", "captured", "1142.33", "122.50"),
        (gateway.RefundPayment, "refund_rest_answer.json", "captured", "1142.33", "1142.33"),
    ],
)
def test_the_published_answers(kind: type[gateway.Command], sample: str, stage: str, captured: str, refunded: str):
    """The samples' orders are read as facts."""
    result = seen(command(kind), answer(fixture(sample)))
    assert (result.stage, result.provider_reference, result.merchant_reference) == (stage, "CK-TST1001", "SO-7001")
    assert (result.currency, result.amount) == ("USD", Decimal("1142.33"))
    assert (result.captured, result.refunded) == (Decimal(captured), Decimal(refunded))


def test_the_published_cancel():
    """A canceled order has captured nothing."""
    result = seen(command(gateway.CancelPayment), answer(fixture("cancel_answer.json")))
    assert (result.stage, result.captured, result.raw_status) == ("canceled", Decimal(0), "canceled")


@pytest.mark.parametrize(
    ("status", "stage"),
    [
        ("new", "awaiting_customer"),
        ("placed", "authorized"),
        ("authorized", "authorized"),
        ("shipped", "captured"),
        ("canceled", "canceled"),
        ("returned", "captured"),
        ("refunded", "captured"),
        ("PLACED", "unknown"),
        ("disputed", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_each_status_has_its_stage(status: str | None, stage: str):
    """Known words have a stage; any other stays unknown and is kept as it was said."""
    result = seen(fetch(), order_answer(status=status))
    assert (result.stage, result.raw_status) == (stage, status or None)


@pytest.mark.parametrize(
    ("status", "stage"),
    [("placed", "captured"), ("shipped", "captured"), ("disputed", "unknown"), ("canceled", "unknown")],
)
def test_a_capture_status_completes_the_status(status: str, stage: str):
    """A captured order is captured, unless its status is unknown or says the opposite."""
    assert seen(fetch(), order_answer(status=status, capture_status="captured")).stage == stage


def test_an_unknown_status_claims_no_capture():
    """An order of an unknown status says nothing about captured money."""
    assert seen(fetch(), order_answer(status="disputed")).captured is None


@pytest.mark.parametrize("status", ["shipped", "returned", "refunded", "part_refunded", None])
def test_a_refund_is_not_judged_by_its_status(status: str | None):
    """After a refund the sum given back counts, whatever the status is called."""
    result = seen(command(gateway.RefundPayment, "10"), order_answer(status=status, refunded_amount="10"))
    assert (result.stage, result.refunded) == ("captured", Decimal("10.00"))


def test_a_refund_that_shows_nothing_is_read_by_its_status():
    """An answer without a sum given back is read like any other order."""
    assert seen(command(gateway.RefundPayment), order_answer(status="placed")).stage == "authorized"


def test_the_total_replaces_an_absent_amount():
    """Where ``amount`` is absent the charges' total is read; where both are there ``amount`` counts."""
    charges = {"grand_total": "7.00"}
    assert seen(fetch(), order_answer(amount=None, charges=charges)).amount == Decimal("7.00")
    assert seen(fetch(), order_answer(charges=charges)).amount == Decimal("1142.33")
    assert seen(fetch(), order_answer(charges={"grand_total": "unreadable"})).amount == Decimal("1142.33")


def test_absent_facts_stay_absent():
    """An order that says no more than its key and status gives no amounts."""
    result = seen(fetch(), answer({"id": "CK-TST1001", "status": "shipped"}))
    assert (result.amount, result.captured, result.refunded, result.merchant_reference) == (None, None, None, None)


def test_a_reference_may_come_back_as_a_number():
    """An order number made of digits is the same as text and as number."""
    assert seen(fetch(), order_answer(merchant_order_id=7001)).merchant_reference == "7001"


@pytest.mark.parametrize("name", ["amount", "refunded_amount"])
@pytest.mark.parametrize(
    "literal",
    [
        '"NaN"',
        '"Infinity"',
        "1.005",
        "1e400",
        "1e99999999999999999999",
        '"1,142.33"',
        '""',
        "true",
        "[]",
        "-1",
        '"ten"',
    ],
)
def test_an_unreadable_amount_is_unknown(name: str, literal: str):
    """Amounts that are not exact, finite, positive dollars make the answer unreadable."""
    body = f'{{"id":"CK-1","status":"shipped","{name}":{literal}}}'.encode()
    with pytest.raises(gateway.OutcomeUnknown, match=name):
        CK.parse(fetch(), answer(body), ACCOUNT)


@pytest.mark.parametrize("kind", ORDERS)
@pytest.mark.parametrize(
    "changes", [{"id": None}, {"id": "x" * 65}, {"status": 3}, {"merchant_order_id": []}, {"charges": "none"}]
)
def test_an_unreadable_order_is_unknown(kind: type[gateway.Command], changes: dict[str, Any]):
    """An order without a usable key or with members of a wrong shape proves nothing."""
    with pytest.raises(gateway.OutcomeUnknown):
        CK.parse(command(kind), order_answer(**changes), ACCOUNT)


BAD_ANSWERS = [
    answer(b"<html>ok</html>", kind="text/html"),
    answer(b""),
    answer(b'{"id":"CK-1"'),
    answer(b'{"id":"CK-1","id":"CK-2"}'),
    answer(b"\xff"),
    answer(b'{"amount":NaN}'),
    answer([]),
    gateway.HttpResponse(status=200, body=b"{}"),
    answer(b'for(;;);{"id":"CK-1"}'),
]


@pytest.mark.parametrize("response", BAD_ANSWERS)
@pytest.mark.parametrize("given", [create(), fetch(), *(command(kind) for kind in (*CHANGING, gateway.RefundPayment))])
def test_garbage_is_unknown(given: gateway.Command, response: gateway.HttpResponse):
    """What is not Credit Key's JSON says nothing about what was done."""
    with pytest.raises(gateway.OutcomeUnknown):
        CK.parse(given, response, ACCOUNT)


@pytest.mark.parametrize("status", [201, 202, 204, 302, 409, 429, 500])
def test_success_is_200_alone(status: int):
    """An order under any other status is not a success."""
    with pytest.raises(gateway.OutcomeUnknown):
        CK.parse(command(gateway.CapturePayment), answer(fixture("confirm_answer.json"), status=status), ACCOUNT)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
@pytest.mark.parametrize("kind", [*CHANGING, gateway.RefundPayment])
def test_a_client_error_with_json_is_declined(kind: type[gateway.Command], status: int):
    """A well-formed client error is a definite no in Credit Key's own words."""
    result = CK.parse(command(kind), answer({"result": "order already confirmed"}, status=status), ACCOUNT)
    assert result == gateway.Declined(code="order already confirmed", message="order already confirmed")


@pytest.mark.parametrize("status", [402, 405, 409, 410, 423, 451])
def test_a_client_error_that_is_not_documented_is_unknown(status: int):
    """Credit Key has no idempotency key: what its own client does not know as a refusal may have been done."""
    with pytest.raises(gateway.OutcomeUnknown):
        CK.parse(command(gateway.CapturePayment), answer({"result": "conflict"}, status=status), ACCOUNT)


@pytest.mark.parametrize("body", [{}, {"result": None}, {"result": ""}, {"result": {"a": 1}}])
def test_a_client_error_without_words_is_named_by_its_status(body: dict[str, Any]):
    """Without a text the status is the code."""
    result = CK.parse(create(), answer(body, status=422), ACCOUNT)
    assert result == gateway.Declined(code="422", message="credit key answered 422")


def test_a_decline_is_one_short_line():
    """A provider's text is shown as one line of at most 500 characters."""
    result = CK.parse(create(), answer({"result": "a\r\nb\x00" + "c" * 900}, status=400), ACCOUNT)
    assert isinstance(result, gateway.Declined)
    assert result.message.startswith("a b c")
    assert len(result.message) == 500


@pytest.mark.parametrize("given", [create(), fetch(), command(gateway.RefundPayment)])
@pytest.mark.parametrize("body", [b"<html>", b'{"result":"not found"}', b"{}"])
@pytest.mark.parametrize("kind", ["text/html", "text/plain", ""])
def test_a_404_that_is_not_json_is_unknown(given: gateway.Command, body: bytes, kind: str):
    """A refusal counts under its own media type only: some server in between may have written it."""
    with pytest.raises(gateway.OutcomeUnknown):
        CK.parse(given, answer(body, status=404, kind=kind), ACCOUNT)


@pytest.mark.parametrize(
    ("kind", "mark", "unusual"),
    [
        ("application/json; charset=utf-8", b"", ()),
        ("text/html", b"", ("media type text/html",)),
        ("text/plain", b"", ("media type text/plain",)),
        ("", b"", ("no media type",)),
        ("application/json", b"\xef\xbb\xbf", ("a byte order mark",)),
    ],
)
def test_success_is_read_whatever_its_media_type(kind: str, mark: bytes, unusual: tuple[str, ...]):
    """Credit Key's own client does not check it. What is not documented is named."""
    response = answer(mark + fixture("confirm_answer.json"), kind=kind)
    taken = CK.parse(command(gateway.CapturePayment), response, ACCOUNT)
    assert isinstance(taken, gateway.Observation)
    assert (taken.stage, CK.unusual(response)) == (gateway.Stage.CAPTURED, unusual)


def test_a_lookup_that_finds_nothing_is_absent():
    """Only a lookup's 404 means that there is no such order."""
    assert CK.parse(fetch(), answer({"result": "not found"}, status=404), ACCOUNT) == gateway.Absent()


@pytest.mark.parametrize("status", [400, 401, 403, 422])
def test_a_refused_lookup_is_declined(status: int):
    """A lookup that is refused says nothing about the order's absence."""
    assert isinstance(CK.parse(fetch(), answer({"result": "no"}, status=status), ACCOUNT), gateway.Declined)


@pytest.mark.parametrize("quoted", ["s s+&", "s%20s%2B%26", "s+s%2B%26", "s s\0+\n&"])
@pytest.mark.parametrize("status", [200, 401])
def test_no_answer_quotes_a_secret(quoted: str, status: int):
    """A secret that comes back, as text or as in a query, is masked wherever an answer's words are kept."""
    account = make_account(shared_secret=gateway.Secret("s s+&"))
    body = {"id": "CK-1", "status": f"for {quoted}!", "result": f"for {quoted}!"}
    result = CK.parse(command(gateway.CancelPayment), answer(body, status=status), account)
    assert quoted not in repr(result)
    assert "for ***!" in repr(result)


def test_what_cannot_be_read_quotes_no_secret():
    """A secret in a member with an unexpected value is not repeated in the error."""
    with pytest.raises(gateway.OutcomeUnknown) as unread:
        CK.parse(command(gateway.CompletePayment), answer({"success": "ss_test"}), ACCOUNT)
    assert "ss_test" not in str(unread.value)


def test_a_code_is_short():
    """A decline's code and a raw status are at most 64 characters."""
    declined = CK.parse(create(), answer({"result": "c" * 900}, status=400), ACCOUNT)
    order = CK.parse(command(gateway.CancelPayment), answer({"id": "CK-1", "status": "s" * 900}), ACCOUNT)
    assert isinstance(declined, gateway.Declined)
    assert isinstance(order, gateway.Observation)
    assert (len(declined.code), len(order.raw_status or "")) == (64, 64)
