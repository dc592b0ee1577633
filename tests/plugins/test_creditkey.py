"""The Credit Key adapter: what it sends, what it reads, what it believes."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from gateway_creditkey import CreditKey, gateway_providers, gateway_simulators
from gateway_creditkey.config import CreditKeyConfig

import gateway
from gateway.core.field_mapping import FieldChange
from tests.support.factories.creditkey import (
    AT,
    CREDENTIALS,
    answer,
    command,
    create,
    fetch,
    fixture,
    make_account,
    make_order,
    usd,
)

CK = CreditKey()
ACCOUNT = make_account()
CHANGING = (gateway.CompletePayment, gateway.CapturePayment, gateway.CancelPayment, gateway.UpdatePayment)
ORDERS = (gateway.CapturePayment, gateway.CancelPayment, gateway.UpdatePayment, gateway.RefundPayment)


def sent(given: gateway.Command, account: gateway.Account = ACCOUNT) -> dict[str, Any]:
    """The body that is sent, credentials taken out, numbers as their text."""
    body = gateway.loads(CK.build(given, account).body)
    assert {name: body.pop(name) for name in CREDENTIALS} == CREDENTIALS
    return body


def number(text: str) -> gateway.JsonNumber:
    return gateway.JsonNumber(text)


def problems(given: gateway.Command, account: gateway.Account = ACCOUNT) -> list[str]:
    """The paths that a refused command names."""
    with pytest.raises(gateway.FieldProblem) as refused:
        CK.build(given, account)
    return [path for path, _ in refused.value.problems]


# build


def test_a_new_order_is_the_published_sample():
    """A new order in link mode is sent as the sample shows it, digit by digit."""
    request = CK.build(create(), ACCOUNT)
    assert (request.method, request.url) == ("POST", "https://ck.example/app/ecomm/begin_standalone_checkout")
    assert gateway.media_type(request.headers) == "application/json"
    assert sent(create()) == gateway.loads(fixture("begin_request.json"))


def test_building_twice_gives_the_same_bytes():
    """Building depends on the command and the account alone."""
    assert CK.build(create(), ACCOUNT) == CK.build(create(), ACCOUNT)


def test_the_placeholder_leaves_unescaped():
    """The order key's placeholder stands in the three URLs as literal text."""
    body = CK.build(create(), ACCOUNT).body
    assert body.count(b"?key=%CKKEY%") == 3
    assert b"%25CKKEY" not in body


def test_the_placeholder_follows_an_existing_query():
    """An address that has a query already gets one more member."""
    urls = gateway.Urls(callback="https://p/", return_="https://p/r?a=b", cancel="https://p/c", complete="https://p/d")
    assert sent(create(urls=urls))["return_url"] == "https://p/r?a=b&key=%CKKEY%"


def test_a_fragment_is_refused():
    """A placeholder behind a fragment would never reach a server, so such an address is refused."""
    urls = gateway.Urls(callback="https://p/", return_="https://p/r#x", cancel="https://p/c", complete="https://p/d")
    with pytest.raises(ValueError, match="fragment"):
        CK.build(create(urls=urls), ACCOUNT)


def test_the_accounts_defaults_fill_the_checkout():
    """What the tenant leaves open is taken from the account."""
    account = make_account(contact_method="phone", notify_rep=True, rep_email="desk@merchant.example")
    body = sent(create(checkout=gateway.Checkout()), account)
    assert body["mode"] == "link"
    assert body["merchant_data"] == {"contact_method": "phone", "cc_rep": True, "csr": "desk@merchant.example"}


def test_the_tenant_can_switch_the_representative_off():
    """A tenant's false wins over an account that tells its representative by default."""
    account = make_account(notify_rep=True)
    assert "cc_rep" not in sent(create(checkout=gateway.Checkout(notify_rep=False)), account)["merchant_data"]


def test_the_representatives_flag_can_be_text():
    """An account can ask for the text that Credit Key's Magento plugin sends."""
    assert sent(create(), make_account(rep_flag_as_text=True))["merchant_data"]["cc_rep"] == "true"


def test_redirect_mode_tells_nobody():
    """In redirect mode no notification is asked for and no contact is needed."""
    order = make_order(billing_address=gateway.Address(first_name="Dana"))
    body = sent(create(order=order, checkout=gateway.Checkout(mode="redirect")))
    assert body["mode"] == "redirect"
    assert "merchant_data" not in body


def test_additional_parameters_travel_in_merchant_data():
    """Constants and answers of the customer are sent under their keys, beside the notification's members."""
    account = make_account({"channel": FieldChange(value="web"), "custom_1": FieldChange(key="vip")})
    data = sent(create(fields={"custom_1": "GOLD"}), account)["merchant_data"]
    assert (data["channel"], data["vip"], data["contact_method"]) == ("web", "GOLD", "email")


def test_a_reserved_name_can_only_be_renamed():
    """The notification's members keep their meaning under another key."""
    account = make_account({"csr": FieldChange(key="rep")})
    assert sent(create(), account)["merchant_data"]["rep"] == "rep@merchant.example"


def test_metadata_stays_with_us():
    """A tenant's metadata is not told to Credit Key."""
    assert b"warehouse" not in CK.build(create(), ACCOUNT).body


@pytest.mark.parametrize("name", ["items", "charges", "billing_address"])
def test_an_order_that_lacks_a_part_is_refused(name: str):
    """Each part that Credit Key needs is named when it is missing."""
    assert problems(create(order=make_order(**{name: None}))) == [f"$.order.{name}"]


@pytest.mark.parametrize(("method", "member"), [("email", "email"), ("phone", "phone_number")])
def test_link_mode_needs_its_contact(method: Any, member: str):
    """In link mode the contact that the method names must be in the billing address."""
    order = make_order(billing_address=gateway.Address(first_name="Dana"))
    checkout = gateway.Checkout(mode="link", contact_method=method)
    assert problems(create(order=order, checkout=checkout)) == [f"$.order.billing_address.{member}"]


@pytest.mark.parametrize("order", [make_order(shipping="60.01"), make_order(shipping="61.00", grand_total="1068.33")])
def test_charges_must_add_up_to_the_amount(order: gateway.Order):
    """Charges that do not add up, or to another amount, are refused."""
    assert problems(create(order=order)) == ["$.order.charges.grand_total"]


def test_a_negative_discount_is_refused():
    """A discount is written as a positive amount."""
    charges = gateway.Charges(
        total=gateway.Amount("10"), discount_amount=gateway.Amount("-1"), grand_total=gateway.Amount("11")
    )
    assert problems(create(order=make_order(charges=charges), money=usd("11"))) == ["$.order.charges.discount_amount"]


def test_a_price_of_three_decimals_is_refused():
    """A price with more than cents names the line instead of being rounded."""
    item = gateway.Item(merchant_id="A", name="A", price=gateway.Amount("1.005"), quantity=1)
    assert problems(create(order=make_order(items=[item]))) == ["$.order.items[0].price"]


@pytest.mark.parametrize(("currency", "digits"), [("JPY", 0), ("KWD", 3)])
def test_other_currencies_are_refused(currency: str, digits: int):
    """Credit Key takes dollars only."""
    assert problems(create(money=gateway.Money.of(Decimal(5), currency, digits))) == ["$.currency"]


def test_an_update_is_the_published_sample():
    """An update sends number, status, lines and charges as the sample shows them."""
    order = make_order(shipping="135.00", grand_total="1142.33")
    given = command(gateway.UpdatePayment, order=order, merchant_status="processing")
    assert CK.build(given, ACCOUNT).url.endswith("/ecomm/update_order")
    assert sent(given) == gateway.loads(fixture("update_request.json"))


def test_an_update_without_an_order_still_sends_the_amount():
    """An update that only tells our number repeats the total, which Credit Key requires."""
    assert sent(command(gateway.UpdatePayment)) == {
        "id": "CK-TST1001",
        "merchant_order_id": "SO-7001",
        "charges": {"total": number("1142.33"), "grand_total": number("1142.33")},
    }


def test_a_shipping_address_is_sent_where_known():
    """Create, update and capture carry the shipping address; members nobody gave are null."""
    order = make_order(shipping_address=gateway.Address(city="Reno"))
    for given in (create(order=order), command(gateway.CapturePayment, "1067.33", order=order)):
        address = sent(given)["shipping_address"]
        assert (address["city"], address["zip"], len(address)) == ("Reno", None, 10)


def test_a_capture_is_the_published_sample():
    """A capture confirms the order; it is shipped unless the tenant says another word."""
    order = make_order(shipping="135.00", grand_total="1142.33")
    given = command(gateway.CapturePayment, order=order)
    assert CK.build(given, ACCOUNT).url.endswith("/ecomm/confirm_order")
    assert sent(given) == gateway.loads(fixture("confirm_request.json"))
    assert sent(command(gateway.CapturePayment, merchant_status="sent"))["merchant_status"] == "sent"


def test_a_part_is_captured_by_its_amount():
    """A partial capture without charges of its own sends the amount alone, not the whole order's charges."""
    order = make_order(shipping="135.00", grand_total="1142.33")
    charges = sent(command(gateway.CapturePayment, "500.00", order=order))["charges"]
    assert charges == {"total": number("500.00"), "grand_total": number("500.00")}


def test_the_key_of_confirmed_items_is_a_setting():
    """Credit Key's clients disagree about the name of the lines, so the account decides."""
    account = make_account(confirm_items_key="cart_contents")
    body = sent(command(gateway.CapturePayment, "1067.33", order=make_order()), account)
    assert len(body["cart_contents"]) == 2
    assert "cart_items" not in body


@pytest.mark.parametrize(
    ("kind", "operation"), [(gateway.CancelPayment, "cancel_order"), (gateway.CompletePayment, "complete_checkout")]
)
def test_some_commands_send_the_key_alone(kind: type[gateway.Command], operation: str):
    """Cancel and complete name the order and nothing else."""
    assert CK.build(command(kind), ACCOUNT).url.endswith(f"/ecomm/{operation}")
    assert sent(command(kind)) == {"id": "CK-TST1001"}


def test_a_refund_sends_what_is_given_back():
    """A refund's amount is what goes back, with two decimals."""
    given = command(gateway.RefundPayment, "122.5")
    assert CK.build(given, ACCOUNT).url.endswith("/ecomm/refund")
    assert sent(given) == {"id": "CK-TST1001", "amount": number("122.50")}


@pytest.mark.parametrize("kind", [*CHANGING, gateway.RefundPayment])
def test_a_command_without_an_order_key_is_refused(kind: type[gateway.Command]):
    """What changes an order needs the key that Credit Key gave it."""
    assert problems(command(kind, provider_reference=None)) == ["$.provider_reference"]


def test_a_lookup_asks_by_key():
    """A lookup is a GET whose query is percent-encoded."""
    request = CK.build(fetch("CK-1&x"), make_account(shared_secret=gateway.Secret("s s+&")))
    assert (request.method, request.body) == ("GET", b"")
    assert request.url.startswith("https://ck.example/app/ecomm/find_order?id=CK-1%26x&")
    assert parse_qs(urlsplit(request.url).query)["shared_secret"] == ["s s+&"]


def test_a_lookup_without_a_key_asks_by_our_number():
    """Before Credit Key named the order it is looked up by the merchant's reference."""
    url = urlsplit(CK.build(fetch(None, merchant_reference="SO 7/1"), ACCOUNT).url)
    assert url.path == "/app/ecomm/find_order_by_merchant_order_id"
    assert url.query == "merchant_order_id=SO%207%2F1&public_key=pk_test&shared_secret=ss_test"


def test_credentials_can_travel_in_the_query():
    """An account can ask for its credentials in the query; the body is pure then."""
    request = CK.build(command(gateway.CancelPayment), make_account(auth_in="query"))
    assert request.url.endswith("/ecomm/cancel_order?public_key=pk_test&shared_secret=ss_test")
    assert gateway.loads(request.body) == {"id": "CK-TST1001"}


def test_no_repr_shows_the_secret():
    """Neither request nor account show a secret when printed."""
    account = make_account(auth_in="query")
    shown = f"{CK.build(create(), account)!r} {CK.build(fetch(), account)!r} {account!r}"
    assert "ss_test" not in shown
    assert "pk_test" not in shown


# account


@pytest.mark.parametrize(
    ("environment", "base"),
    [("staging", "https://staging.creditkey.com/app"), ("production", "https://www.creditkey.com/app")],
)
def test_an_environment_names_its_address(environment: Any, base: str):
    """Each environment has its published address."""
    account = make_account(base_url=None, environment=environment)
    assert CK.build(command(gateway.CancelPayment), account).url == f"{base}/ecomm/cancel_order"


@pytest.mark.parametrize(
    "config",
    [
        {"environment": "staging"},
        {"base_url": None},
        {"base_url": "ck.example/app"},
        {"base_url": "ftp://ck.example"},
        {"base_url": "https://user@ck.example"},
        {"base_url": "https://ck.example?x=1"},
        {"base_url": "https://ck.example/app/ecomm/"},
        {"base_url": "https://[::1"},
        {"expires_after": timedelta(0)},
        {"deadline_warning": timedelta(days=30)},
    ],
)
def test_a_contradictory_account_is_refused(config: dict[str, Any]):
    """Settings that contradict themselves do not load."""
    with pytest.raises(ValueError, match=next(iter(config))):
        make_account(**config)


@pytest.mark.parametrize("slash", ["", "/", "//"])
@pytest.mark.parametrize("base", ["https://ck.example", "https://ck.example/app", "https://ck.example/a/b.c"])
@pytest.mark.parametrize("given", [create(), fetch(), *(command(kind) for kind in CHANGING)])
def test_a_base_may_end_with_a_slash(given: gateway.Command, base: str, slash: str):
    """Production's address has none and staging's has one: the path is the same, and no part of it is lost."""
    path = CK.build(given, make_account(base_url=base + slash)).url.partition("?")[0]
    assert path == CK.build(given, make_account(base_url=base)).url.partition("?")[0]
    assert path.rpartition("/")[0] == f"{base}/ecomm"


def test_unknown_settings_are_refused():
    """The account's settings are a closed list."""
    assert CreditKeyConfig.__struct_config__.forbid_unknown_fields


# rules


def test_the_rules_are_credit_keys():
    """Dollars, a rise of at most 100.00, one partial capture, cancel before capture, the account's clocks."""
    rules = CK.rules(make_account(confirm_deadline=timedelta(days=10), absence_proves=True))
    assert rules.currencies == {"USD"}
    assert rules.max_increase == usd("100.00")
    assert (rules.capture_deadline, rules.deadline_warning) == (timedelta(days=10), timedelta(days=3))
    assert rules.expires_after == timedelta(days=30)
    assert rules.cancel_from == {"created", "awaiting_customer", "processing", "authorized", "expired"}
    assert rules.partial_capture
    assert rules.absence_proves
    assert rules.amount == gateway.Exact()


def test_the_published_alerts_are_word_for_word():
    """The two sentences that Credit Key prescribes are given as they stand; each alert has one."""
    messages = CK.rules(ACCOUNT).messages
    selected = (
        "You have selected Credit Key as the payment method. "
        "A new notification will be sent to the customer to complete this order."
    )
    assert messages["customer_will_be_notified"] == selected
    assert messages["new_checkout_started"] == selected
    assert messages["increase_over_limit"] == (
        "Credit Key order amounts can only be increased by $100. "
        "A new notification will be sent to the customer to complete this order."
    )
    assert messages["customer_notified_of_cancel"]
    assert messages["capture_deadline_near"]


# parse


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


@pytest.mark.parametrize(("mode", "is_told"), [("link", True), ("redirect", False), (None, True)])
def test_a_begun_checkout_waits_for_the_customer(mode: Any, is_told: bool):
    """The answer to a new order gives its key and page; only in link mode the customer was told."""
    result = seen(create(checkout=gateway.Checkout(mode=mode)), answer(fixture("begin_answer.json")))
    assert result == gateway.Observation(
        stage=gateway.Stage.AWAITING_CUSTOMER,
        provider_reference="CK-TST1001",
        redirect_url="https://fake.creditkey.example/checkout/CK-TST1001",
        customer_notified=is_told,
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


def test_the_total_stands_in_for_the_amount():
    """Where ``amount`` is absent the charges' total is read; where both are there ``amount`` counts."""
    charges = {"grand_total": "7.00"}
    assert seen(fetch(), order_answer(amount=None, charges=charges)).amount == Decimal("7.00")
    assert seen(fetch(), order_answer(charges=charges)).amount == Decimal("1142.33")


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
    """Credit Key's own client does not look at it. What is not documented is named."""
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


# verify and answer


def callback(suffix: str = "complete", method: str = "GET", **changes: Any) -> gateway.Callback:
    given: dict[str, Any] = {
        "query": "key=CK-TST1001",
        "headers": (),
        "body": b"",
        "remote": "192.0.2.1",
        "received_at": AT,
        "payment_id": "pay_1",
    }
    return gateway.Callback(method=method, suffix=suffix, **{**given, **changes})


@pytest.mark.parametrize(
    ("suffix", "method"), [("return", "GET"), ("cancel", "GET"), ("complete", "GET"), ("complete", "POST")]
)
def test_a_visit_is_a_hint(suffix: str, method: str):
    """A visit of our own addresses names an order key and proves nothing."""
    assert CK.verify(callback(suffix, method), ACCOUNT) == gateway.Hint(provider_reference="CK-TST1001")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "id=CK-1",
        "key=",
        "key=%CKKEY%",
        "key=CK-1&key=CK-2",
        "key=" + "x" * 65,
        "key=CK-1%0A",
        "key=CK%001",
        "key=a%20b",
        "key=%FF",
        "%%%",
        "&" * 5000,
    ],
)
def test_an_unusable_key_is_left_out(query: str):
    """A key that cannot be one leaves the hint without it."""
    assert CK.verify(callback("return", query=query), ACCOUNT) == gateway.Hint(provider_reference=None)


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b'{"id":"CK-7"}', "CK-7"),
        (b'{"id":7}', None),
        (b'{"id":"a b"}', None),
        (b"[]", None),
        (b"key=CK-7", None),
        (b"", None),
        (b"\xff", None),
    ],
)
def test_a_posted_key_is_a_fallback(body: bytes, key: str | None):
    """Without a key in the query the JSON body's id is taken; any other body is ignored."""
    assert CK.verify(callback(method="POST", query="", body=body), ACCOUNT) == gateway.Hint(provider_reference=key)


def test_the_querys_key_wins():
    """The query's key counts before the body's."""
    hint = CK.verify(callback(method="POST", body=b'{"id":"CK-7"}'), ACCOUNT)
    assert hint.provider_reference == "CK-TST1001"


def test_a_get_has_no_body():
    """The body of a GET is not read."""
    assert CK.verify(callback(query="", body=b'{"id":"CK-7"}'), ACCOUNT).provider_reference is None


@pytest.mark.parametrize(("suffix", "method"), [("return", "POST"), ("cancel", "POST"), ("complete", "PUT")])
def test_other_methods_are_refused(suffix: str, method: str):
    """Browsers come by GET; Credit Key itself by GET or POST."""
    with pytest.raises(gateway.CallbackRejected) as refused:
        CK.verify(callback(suffix, method), ACCOUNT)
    assert refused.value.reason is gateway.Reason.METHOD


@pytest.mark.parametrize("changes", [{"suffix": ""}, {"suffix": "pay/callback"}, {"payment_id": None}])
def test_addresses_that_nobody_was_given_are_not_found(changes: dict[str, Any]):
    """Another path, or one without our own token, is not found."""
    with pytest.raises(gateway.CallbackRejected) as refused:
        CK.verify(callback(**changes), ACCOUNT)
    assert refused.value.reason is gateway.Reason.NOT_FOUND


@pytest.mark.parametrize(
    ("verdict", "status", "extra"),
    [
        (gateway.Recorded(), 200, ()),
        (gateway.Repeated(), 200, ()),
        (gateway.Repeated(is_final=True), 200, ()),
        (gateway.Refused(reason=gateway.Reason.NOT_FOUND), 404, ()),
        (gateway.Refused(reason=gateway.Reason.UNAUTHENTIC), 404, ()),
        (gateway.Refused(reason=gateway.Reason.METHOD), 405, (("Allow", "GET, POST"),)),
        (gateway.Refused(reason=gateway.Reason.TOO_LARGE), 413, ()),
        (gateway.Refused(reason=gateway.Reason.MEDIA_TYPE), 415, ()),
        (gateway.Busy(limited=True, retry_after=7), 429, (("Retry-After", "7"),)),
        (gateway.Busy(retry_after=3), 503, (("Retry-After", "3"),)),
    ],
)
def test_each_verdict_has_its_answer(verdict: gateway.Verdict, status: int, extra: gateway.Headers):
    """Stored hints are answered 200; every refusal and fault has its status."""
    result = CK.answer(verdict, callback())
    assert (result.status, result.headers[1:]) == (status, extra)
    assert gateway.media_type(result.headers) == "application/json"
    assert gateway.loads(result.body) == {"ok": status == 200}


# plugin


def test_the_plugin_offers_one_provider():
    """The hook returns a provider named creditkey that fits the protocol and hands out no credentials."""
    [provider] = gateway_providers()
    assert isinstance(provider, gateway.Provider)
    assert (provider.name, provider.secret_headers, provider.credentials(ACCOUNT)) == ("creditkey", frozenset(), {})
    assert gateway.FetchPayment in provider.commands
    assert len(provider.commands) == 7


def test_the_plugin_offers_its_far_side():
    """The simulator's hook names provider and port."""
    [simulator] = gateway_simulators()
    assert (simulator.provider, simulator.port) == ("creditkey", 9101)


def test_the_plugin_loads_no_web_framework():
    """Importing the plugin does not import aiohttp."""
    code = "import sys, gateway_creditkey; sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


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
    """A secret in a member that has a wrong word is not repeated in the error."""
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
