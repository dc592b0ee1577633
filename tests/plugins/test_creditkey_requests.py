"""What the Credit Key adapter sends, as the published samples show it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from gateway_creditkey import CreditKey

import gateway
from gateway.core.field_mapping import FieldChange
from tests.support.factories.creditkey import (
    CREDENTIALS,
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
    """The three URLs carry the order key's placeholder as literal text."""
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


NESTED = {
    "order.items[].sku": FieldChange(key="part_no", required=True),
    "order.items[].color": FieldChange(enabled=False),
    "order.items[].unit": FieldChange(value="pcs"),
    "order.charges.shipping": FieldChange(key="freight"),
    "order.billing_address.company_name": FieldChange(key="business", required=True),
    "order.shipping_address.state": FieldChange(values={"NV": "Nevada"}),
}


@pytest.mark.parametrize("kind", [gateway.CreatePayment, gateway.UpdatePayment, gateway.CapturePayment])
def test_nested_members_leave_as_the_account_says(kind: type[gateway.Command]):
    """Items, charges and addresses are renamed in all that sends them; all else is as without rules."""
    order = make_order(shipping_address=gateway.Address(city="Reno", state="NV"))
    given = create(order=order) if kind is gateway.CreatePayment else command(kind, "1067.33", order=order)
    plain, changed = sent(given), sent(given, make_account(NESTED))
    for item in plain["cart_items"]:
        item["part_no"] = item.pop("sku")
        item["unit"] = "pcs"
        del item["color"]
    plain["charges"]["freight"] = plain["charges"].pop("shipping")
    plain["shipping_address"]["state"] = "Nevada"
    if "billing_address" in plain:
        plain["billing_address"]["business"] = plain["billing_address"].pop("company_name")
    assert changed == plain


def test_a_nested_member_that_is_required():
    """What an account requires is named by its place in the order, in whichever command lacks it."""
    item = gateway.Item(merchant_id="A", name="A", price=gateway.Amount("1067.33"), quantity=1)
    order = make_order(items=[item], billing_address=gateway.Address(email="dana@reyes.example"))
    account = make_account({**NESTED, "order.charges.tax": FieldChange(required=True)})
    sku, company = "$.order.items[0].sku", "$.order.billing_address.company_name"
    assert problems(create(order=order), account) == [sku, company]
    assert problems(command(gateway.UpdatePayment, "1067.33", order=order), account) == [sku]


def test_commands_without_an_order_require_nothing_of_it():
    """A change that sends no items, no address and not all charges is not refused for what they would lack."""
    account = make_account(
        {**NESTED, **{f"order.{name}": FieldChange(required=True) for name in ("charges.tax", "shipping_address.city")}}
    )
    assert (
        sent(command(gateway.CapturePayment, "500.00"), account)["charges"]
        == sent(command(gateway.CapturePayment, "500.00"))["charges"]
    )
    assert problems(create(), account) == ["$.order.shipping_address.city"]


def test_charges_nobody_gave_are_zero():
    """Absent parts of the charges are sent as zero, under the account's key too."""
    charges = gateway.Charges(total=gateway.Amount("10"), grand_total=gateway.Amount("10"))
    given = create(order=make_order(charges=charges), money=usd("10"))
    shown = sent(given, make_account({"order.charges.tax": FieldChange(key="vat")}))["charges"]
    assert list(shown) == ["total", "shipping", "vat", "discount_amount", "grand_total"]
    assert (shown["vat"], shown["shipping"]) == (number("0.00"), number("0.00"))


def test_metadata_stays_with_us():
    """A tenant's metadata is not sent to Credit Key."""
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
    """Neither a request nor an account shows a secret when printed."""
    account = make_account(auth_in="query")
    shown = f"{CK.build(create(), account)!r} {CK.build(fetch(), account)!r} {account!r}"
    assert "ss_test" not in shown
    assert "pk_test" not in shown
