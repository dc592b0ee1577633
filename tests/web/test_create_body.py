"""The create body: every rule, the member that is named, and what passes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.stack import GatewayStack, Reply, creditkey_body, new_key, order_of, psp_body

shared = pytest.mark.asyncio(loop_scope="module")

VISA = "4111111111111111"
"""A card number from the card brands' published test numbers."""


async def send(stack: GatewayStack, text: bytes, *, content_type: str = "application/json") -> Reply:
    """Send raw bytes as a create."""
    headers = {"Content-Type": content_type}
    return await stack.call("POST", "/v1/payments", data=text, key=new_key(), headers=headers)


def with_literal(member: str, literal: str, **changes: Any) -> bytes:
    """A create whose top member is written as this JSON literal."""
    return json.dumps(psp_body(**{member: "LITERAL", **changes})).replace('"LITERAL"', literal).encode()


def refused(reply: Reply) -> tuple[int, str, list[str]]:
    """Status, code and the members that are named."""
    return reply.status, reply.json["code"], [one["field"] for one in reply.json.get("errors", [])]


def item(**changes: Any) -> dict[str, Any]:
    return {"items": [{"merchant_id": "PJ-1", "name": "Pallet jack", "price": "1.00", "quantity": 1, **changes}]}


# Amounts


@shared
@pytest.mark.parametrize(
    ("literal", "currency", "shown"),
    [
        ('"10.50"', "USD", "10.50"),
        ("10.50", "USD", "10.50"),
        ("10.5", "USD", "10.50"),
        ("10", "USD", "10.00"),
        ('"10.5"', "USD", "10.50"),
        ('"0.01"', "USD", "0.01"),
        ('"500"', "JPY", "500"),
        ("500", "JPY", "500"),
        ('"1.250"', "KWD", "1.250"),
        ('"1.25"', "KWD", "1.250"),
        ('"9999999999999.99"', "USD", "9999999999999.99"),
        ("1067.33", "USD", "1067.33"),
        ("0.1", "USD", "0.10"),
    ],
)
async def test_amounts_that_are_taken(shared_stack: GatewayStack, literal: str, currency: str, shown: str) -> None:
    """An amount is decimal text or a JSON number, read from its text, and shown with its currency's digits."""
    reply = await send(shared_stack, with_literal("amount", literal, currency=currency))
    assert (reply.status, reply.json["amount"], reply.json["currency"]) == (201, shown, currency)


@shared
@pytest.mark.parametrize(
    ("literal", "currency"),
    [
        ('"10.505"', "USD"),
        ("10.505", "USD"),
        ('"500.5"', "JPY"),
        ('"500.0"', "JPY"),
        ('"10.500"', "USD"),
        ('"1.2505"', "KWD"),
        ('"0"', "USD"),
        ('"0.00"', "USD"),
        ("0", "USD"),
        ("-1", "USD"),
        ('"-1.00"', "USD"),
        ('"12345678901234.56"', "USD"),
        ('"1e2"', "USD"),
        ("1e2", "USD"),
        ("1E400", "USD"),
        ("1e-400", "USD"),
        ("9" * 400, "USD"),
        ('"10,50"', "USD"),
        ('"1 000"', "USD"),
        ('" 10.50"', "USD"),
        ('"+10.50"', "USD"),
        ('"10."', "USD"),
        ('".5"', "USD"),
        ('"٣"', "USD"),
        ('"NaN"', "USD"),
        ('"Infinity"', "USD"),
        ('"0x10"', "USD"),
        ('""', "USD"),
        ("true", "USD"),
        ("null", "USD"),
        ("[]", "USD"),
        ("{}", "USD"),
    ],
)
async def test_amounts_that_are_refused(shared_stack: GatewayStack, literal: str, currency: str) -> None:
    """Nothing is rounded, and no float, exponent, separator or zero passes for an amount."""
    reply = await send(shared_stack, with_literal("amount", literal, currency=currency))
    assert refused(reply) == (422, "validation_failed", ["$.amount"])


@shared
@pytest.mark.parametrize(
    ("currency", "status", "code"),
    [
        ("usd", 422, "validation_failed"),
        ("US", 422, "currency_not_supported"),
        ("ZZZ", 422, "currency_not_supported"),
        ("XXX", 422, "currency_not_supported"),
        ("XAU", 422, "currency_not_supported"),
        ("USDT", 422, "currency_not_supported"),
        ("", 422, "validation_failed"),
        ("€", 422, "validation_failed"),
    ],
)
async def test_currencies_that_are_refused(shared_stack: GatewayStack, currency: str, status: int, code: str) -> None:
    """A currency is an ISO 4217 code in upper case in which money can be paid, unless settings list it."""
    reply = await shared_stack.create(psp_body(currency=currency))
    assert (reply.status, reply.json["code"]) == (status, code)


@shared
async def test_a_currency_the_provider_does_not_take(shared_stack: GatewayStack) -> None:
    """Credit Key takes dollars only."""
    body = creditkey_body(currency="EUR")
    assert (await shared_stack.create(body)).json["code"] == "currency_not_supported"


# Members


@shared
@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("amout", "1"),
        ("id", "pay_1"),
        ("state", "captured"),
        ("customer.nick", "D"),
        ("order.totals", {}),
        ("order.charges.vat", "1"),
        ("order.billing_address.country", "US"),
        ("order.shipping_address.country", "US"),
        ("checkout.colour", "red"),
    ],
)
async def test_an_unknown_member_is_named_at_its_path(shared_stack: GatewayStack, member: str, value: Any) -> None:
    """A member that is not known is an error that names it, at every level."""
    body = creditkey_body()
    body["order"] = {**body["order"], "shipping_address": {}}
    parts = member.split(".")
    place = body
    for part in parts[:-1]:
        place[part] = dict(place[part])
        place = place[part]
    place[parts[-1]] = value
    assert refused(await shared_stack.create(body)) == (422, "validation_failed", [f"$.{member}"])


@shared
async def test_an_unknown_member_of_an_item_is_named_with_its_number(shared_stack: GatewayStack) -> None:
    """In a list the place of the wrong item is named."""
    order = item()
    order["items"].append({**order["items"][0], "weight": "3"})
    reply = await shared_stack.create(psp_body(order=order))
    assert refused(reply) == (422, "validation_failed", ["$.order.items[1].weight"])


@shared
@pytest.mark.parametrize("member", ["merchant_reference", "amount", "currency"])
async def test_a_missing_member_is_named(shared_stack: GatewayStack, member: str) -> None:
    """Each mandatory member that is absent is named."""
    body = {key: value for key, value in psp_body().items() if key != member}
    assert refused(await shared_stack.create(body)) == (422, "validation_failed", [f"$.{member}"])


@shared
@pytest.mark.parametrize("member", ["merchant_id", "name", "price", "quantity"])
async def test_a_missing_member_of_an_item_is_named(shared_stack: GatewayStack, member: str) -> None:
    """Each mandatory member of an item that is absent is named with the item's number."""
    order = item()
    del order["items"][0][member]
    reply = await shared_stack.create(psp_body(order=order))
    assert refused(reply) == (422, "validation_failed", [f"$.order.items[0].{member}"])


@shared
@pytest.mark.parametrize(
    ("member", "value", "field"),
    [
        ("merchant_reference", "", "$.merchant_reference"),
        ("merchant_reference", "x" * 65, "$.merchant_reference"),
        ("merchant_reference", "ÄÖ-1", "$.merchant_reference"),
        ("merchant_reference", "a\nb", "$.merchant_reference"),
        ("merchant_reference", "a\n", "$.merchant_reference"),
        ("merchant_reference", 7001, "$.merchant_reference"),
        ("currency", "USD\n", "$.currency"),
        ("customer", "Dana", "$.customer"),
        ("customer", {"name": 7}, "$.customer.name"),
        ("customer", {"name": "x" * 256}, "$.customer.name"),
        ("order", [], "$.order"),
        ("order", {"items": {}}, "$.order.items"),
        ("order", item(price="1.001"), "$.order.items[0].price"),
        ("order", item(price="-1"), "$.order.items[0].price"),
        ("order", item(price=None), "$.order.items[0].price"),
        ("order", item(quantity=0), "$.order.items[0].quantity"),
        ("order", item(quantity=1.5), "$.order.items[0].quantity"),
        ("order", item(quantity="2"), "$.order.items[0].quantity"),
        ("order", item(quantity=10**30), "$.order.items[0].quantity"),
        ("order", item(name=""), "$.order.items[0].name"),
        ("order", {"charges": {"total": "1.001", "grand_total": "162.48"}}, "$.order.charges.total"),
        ("order", {"charges": {"total": "x", "grand_total": "162.48"}}, "$.order.charges.total"),
        ("checkout", {"mode": "popup"}, "$.checkout.mode"),
        ("checkout", {"contact_method": "fax"}, "$.checkout.contact_method"),
        ("checkout", {"notify_rep": "true"}, "$.checkout.notify_rep"),
        ("metadata", {str(number): "x" for number in range(21)}, "$.metadata"),
        ("metadata", [], "$.metadata"),
        ("return_url", "", "$.return_url"),
        ("return_url", "https://shop.example/" + "x" * 2048, "$.return_url"),
        ("account", 7, "$.account"),
        ("account", "", "$.account"),
        ("deposit_method", {}, "$.deposit_method"),
    ],
)
async def test_a_member_of_another_kind_is_named(
    shared_stack: GatewayStack, member: str, value: Any, field: str
) -> None:
    """A value of another type, form or length is refused by the path of its member."""
    assert refused(await shared_stack.create(psp_body(**{member: value}))) == (422, "validation_failed", [field])


@shared
@pytest.mark.parametrize(
    "metadata", [{"k": "x" * 501}, {"k" * 41: "x"}, {"": "x"}, {"k": 7}, {"k": None}, {"k": {"a": "b"}}], ids=str
)
async def test_metadata_that_is_refused(shared_stack: GatewayStack, metadata: Any) -> None:
    """Metadata are text pairs of at most 40 and 500 characters."""
    status, code, fields = refused(await shared_stack.create(psp_body(metadata=metadata)))
    assert (status, code) == (422, "validation_failed")
    assert fields[0].startswith("$.metadata")


@shared
@pytest.mark.parametrize("reference", ["x", "A-1 (new) ~!", "x" * 64])
async def test_references_that_are_taken(shared_stack: GatewayStack, reference: str) -> None:
    """A reference is 1 to 64 printable ASCII characters, and comes back as given."""
    reply = await shared_stack.create(psp_body(merchant_reference=reference))
    assert (reply.status, reply.json["merchant_reference"]) == (201, reference)


@shared
async def test_metadata_comes_back(shared_stack: GatewayStack) -> None:
    """Twenty pairs at their longest are kept and shown."""
    metadata = {f"{number:02}".ljust(40, "k"): "ü" * 500 for number in range(20)}
    reply = await shared_stack.create(psp_body(metadata=metadata))
    assert (reply.status, reply.json["metadata"]) == (201, metadata)


@shared
async def test_customer_order_and_fields_are_not_shown(shared_stack: GatewayStack) -> None:
    """What is kept for later commands is not returned."""
    created = (await shared_stack.create(psp_body(fields={"custom_1": "VIP"}))).json
    assert {"customer", "order", "fields", "checkout"}.isdisjoint(await shared_stack.payment(created["id"]))
    assert "dana@reyes.example" not in json.dumps(created)


# Charges


@shared
@pytest.mark.parametrize(
    ("charges", "amount", "field"),
    [
        ({"total": "10.00", "grand_total": "11.00"}, "11.00", "$.order.charges.grand_total"),
        ({"total": "10.00", "tax": "1.00", "grand_total": "11.00"}, "11.01", "$.order.charges.grand_total"),
        (
            {"total": "10.00", "discount_amount": "1.00", "grand_total": "11.00"},
            "11.00",
            "$.order.charges.grand_total",
        ),
        (
            {"total": "10.00", "discount_amount": "-1.00", "grand_total": "11.00"},
            "11.00",
            "$.order.charges.discount_amount",
        ),
    ],
)
async def test_charges_must_come_to_the_amount(
    shared_stack: GatewayStack, charges: dict[str, str], amount: str, field: str
) -> None:
    """total + shipping + tax - discount_amount = grand_total = amount, to the cent."""
    reply = await shared_stack.create(psp_body(amount=amount, order={"charges": charges}))
    assert refused(reply) == (422, "validation_failed", [field])


@shared
@pytest.mark.parametrize(
    "charges",
    [
        {"total": "10.00", "grand_total": "10.00"},
        {"total": 10, "shipping": 0.1, "tax": "0.2", "grand_total": "10.30"},
        {"total": "12", "shipping": None, "tax": None, "discount_amount": "2", "grand_total": "10"},
    ],
    ids=str,
)
async def test_charges_that_come_to_the_amount(shared_stack: GatewayStack, charges: dict[str, Any]) -> None:
    """Absent and null charges are zero; numbers are read from their text."""
    order = {**order_of("1.00"), "charges": charges}
    reply = await shared_stack.create(creditkey_body(amount=str(charges["grand_total"]), order=order))
    assert reply.status == 201, reply.text


@shared
async def test_item_sums_are_not_checked(shared_stack: GatewayStack) -> None:
    """Items need not add up to the total: discounts and bundles are the tenant's affair."""
    assert (await shared_stack.create(creditkey_body(amount="1.00", order=order_of("1.00")))).status == 201


# Addresses of browsers, link mode


@shared
@pytest.mark.parametrize("member", ["return_url", "cancel_url"])
@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "http://shop.example/",
        "https://shop.example:8443/",
        "https://shop.example.evil.example/",
        "https://shop.example@evil.example/",
        "https://user@shop.example/",
        "https://shop.example\\@evil.example/",
        "//shop.example/",
        "/paid",
        "javascript:alert(1)",
        "https://shop.example/a b",
        "https://shop.example/\nx",
        "https://shop.exämple/",
        "https://[",
    ],
)
async def test_a_browser_is_sent_to_registered_origins_only(shared_stack: GatewayStack, member: str, url: str) -> None:
    """An address outside the tenant's origins, or one that can be read in two ways, is refused."""
    reply = await shared_stack.create(creditkey_body(**{member: url}))
    assert refused(reply) == (422, "validation_failed", [f"$.{member}"])


@shared
@pytest.mark.parametrize("url", ["https://shop.example", "https://SHOP.example/x", "https://shop.example/?a#b"])
async def test_registered_origins_are_taken(shared_stack: GatewayStack, url: str) -> None:
    """The registered origin with any path, in any spelling of its host, is taken."""
    assert (await shared_stack.create(psp_body(return_url=url))).status == 201


@shared
@pytest.mark.parametrize(
    ("method", "missing", "status"),
    [("email", "email", 422), ("phone", "phone_number", 422), ("email", "phone_number", 201), ("phone", "email", 201)],
)
async def test_link_mode_needs_its_contact(shared_stack: GatewayStack, method: str, missing: str, status: int) -> None:
    """A link needs the billing e-mail or phone that ``contact_method`` names."""
    order = creditkey_body()["order"]
    order = {**order, "billing_address": {**order["billing_address"], missing: ""}}
    body = creditkey_body(order=order, checkout={"mode": "link", "contact_method": method})
    reply = await shared_stack.create(body)
    assert reply.status == status
    if status == 422:
        assert refused(reply)[2] == [f"$.order.billing_address.{missing}"]


@shared
async def test_redirect_mode_needs_no_contact(shared_stack: GatewayStack) -> None:
    """Where the customer is sent by the tenant's page, nobody writes to them."""
    order = creditkey_body()["order"]
    order = {**order, "billing_address": {**order["billing_address"], "email": None, "phone_number": None}}
    reply = await shared_stack.create(creditkey_body(order=order, checkout={"mode": "redirect"}))
    assert (reply.status, reply.json["customer_notified"]) == (201, False)


@shared
@pytest.mark.parametrize("member", ["items", "charges", "billing_address"])
async def test_credit_key_needs_an_order(shared_stack: GatewayStack, member: str) -> None:
    """What Credit Key needs and the order lacks is named."""
    order = {key: value for key, value in creditkey_body()["order"].items() if key != member}
    reply = await shared_stack.create(creditkey_body(order=order))
    assert refused(reply) == (422, "validation_failed", [f"$.order.{member}"])


# Card numbers


@shared
@pytest.mark.parametrize(
    "change",
    [
        {"customer": {"name": VISA}},
        {"customer": {"name": "Dana 4111 1111 1111 1111"}},
        {"customer": {"name": "5555-5555-5555-4444"}},
        {"fields": {"custom_1": VISA}},
        {"metadata": {"note": f"card {VISA}."}},
        {"metadata": {"note": "378282246310005"}},
        {"metadata": {"note": "4222222222222"}},
        {"order": item(name=f"Gift {VISA}")},
        {"metadata": {"note": "4111.1111/1111_1111"}},
        {"metadata": {"first": "41111111", "other": "x", "second": "11111111"}},
        {"customer": {"id": "4111 1111 1111 1111"}},
        {"customer": {"phone": "4111 1111 1111 1111"}},
        {"customer": {"email": f"{VISA}@shop.example"}},
        {"merchant_reference": "4111-1111-1111-1111"},
        {"return_url": f"https://shop.example/paid?card={VISA}"},
    ],
    ids=str,
)
async def test_card_numbers_are_refused(shared_stack: GatewayStack, change: dict[str, Any]) -> None:
    """A card number anywhere in a body is refused, and the answer does not repeat it."""
    reply = await shared_stack.create(psp_body(**change))
    assert (reply.status, reply.json["code"]) == (422, "card_data_refused")
    assert not any(number in reply.text for number in (VISA, "5555", "378282246310005", "4222222222222"))


@shared
@pytest.mark.parametrize(
    "change",
    [
        {"merchant_reference": VISA},
        {"customer": {"id": VISA}},
        {"customer": {"phone": VISA}},
        {"order": item(sku=VISA)},
        {"order": item(merchant_id=VISA)},
        {"metadata": {"note": "4111111111111112"}},
        {"metadata": {"note": "1234567812345670"}},
        {"metadata": {"note": "41111111111"}},
    ],
    ids=str,
)
async def test_numbers_that_are_no_card_numbers_pass(shared_stack: GatewayStack, change: dict[str, Any]) -> None:
    """Ids, references, SKUs and phones may be long numbers, and digits without the right sum are no card."""
    assert (await shared_stack.create(psp_body(**change))).status == 201


@shared
async def test_a_card_number_as_idempotency_key_is_refused(shared_stack: GatewayStack) -> None:
    """A key is stored like everything else."""
    reply = await shared_stack.create(psp_body(), key=VISA)
    assert (reply.status, reply.json["code"]) == (422, "card_data_refused")
    assert "Idempotency-Key" in reply.json["detail"]
    assert VISA not in reply.text


@shared
async def test_an_unknown_member_that_is_a_card_number_is_not_quoted(shared_stack: GatewayStack) -> None:
    """What is wrong is said without it."""
    reply = await shared_stack.create(psp_body(**{VISA: "x"}))
    assert reply.status == 422
    assert VISA not in reply.text


# Accounts, methods, routes


@shared
@pytest.mark.parametrize(
    ("change", "code", "fields"),
    [
        ({"account": "nowhere"}, "unknown_account", ["$.account"]),
        ({"account": None}, "no_route", ["$.account"]),
        ({"account": None, "deposit_method": "cash"}, "deposit_method_not_found", ["$.deposit_method"]),
        ({"deposit_method": "bank", "account": "creditkey-main"}, "validation_failed", ["$.account"]),
    ],
    ids=str,
)
async def test_accounts_that_cannot_be_chosen(
    shared_stack: GatewayStack, change: dict[str, Any], code: str, fields: list[str]
) -> None:
    """An unknown account, none at all, an unknown method, or a method of another account: each its own code."""
    assert refused(await shared_stack.create(psp_body(**change))) == (422, code, fields)


@shared
@pytest.mark.parametrize("change", [{"account": None}, {"account": "psp-main"}], ids=str)
async def test_a_deposit_method_brings_its_account(shared_stack: GatewayStack, change: dict[str, Any]) -> None:
    """The method's account is used, named or not."""
    reply = await shared_stack.create(psp_body(deposit_method="bank", **change))
    assert (reply.status, reply.json["account"]) == (201, "psp-main")


@shared
async def test_the_only_account_need_not_be_named(shared_stack: GatewayStack) -> None:
    """A tenant with one account needs to name nothing."""
    reply = await shared_stack.create(psp_body(account=None), tenant="globex")
    assert (reply.status, reply.json["account"]) == (201, "psp-main")


# The body as such


@shared
@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"nothing",
        b'{"amount": 1,}',
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"amount": NaN}',
        b'{"amount": Infinity}',
        b'{"customer": {"name": "\\ud800"}}',
        b'{"amount": "1", "amount": "2"}',
        b'{"amount": "1", "\\u0061mount": "2"}',
        b'{"customer": {"id": "1", "id": "2"}}',
        b"[" * 100 + b"]" * 100,
        b"{} {}",
    ],
)
async def test_what_is_no_json(shared_stack: GatewayStack, text: bytes) -> None:
    """Bytes that are not JSON, or that two parsers would read apart, are 400 ``malformed_json``."""
    reply = await send(shared_stack, text)
    assert (reply.status, reply.json["code"]) == (400, "malformed_json")


@shared
@pytest.mark.parametrize("text", [b"[]", b'"text"', b"7", b"null", b"true"])
async def test_json_that_is_no_object(shared_stack: GatewayStack, text: bytes) -> None:
    """JSON of another kind is refused as a whole."""
    assert refused(await send(shared_stack, text)) == (422, "validation_failed", ["$"])


@shared
@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "text/json", "nonsense"])
async def test_another_media_type(shared_stack: GatewayStack, content_type: str) -> None:
    """Only application/json is taken."""
    reply = await send(shared_stack, json.dumps(psp_body()).encode(), content_type=content_type)
    assert (reply.status, reply.json["code"]) == (415, "unsupported_media_type")


@shared
@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
async def test_spellings_of_the_media_type(shared_stack: GatewayStack, content_type: str) -> None:
    """Parameters and letter case of the media type do not matter."""
    assert (await send(shared_stack, json.dumps(psp_body()).encode(), content_type=content_type)).status == 201


@shared
@pytest.mark.parametrize(("size", "status"), [(64 * 1024, 201), (64 * 1024 + 1, 413)])
async def test_the_size_of_a_body(shared_stack: GatewayStack, size: int, status: int) -> None:
    """64 KiB are read, one byte more is 413."""
    text = json.dumps(psp_body()).encode()
    reply = await send(shared_stack, text + b" " * (size - len(text)))
    assert reply.status == status
    if status == 413:
        assert reply.json["code"] == "body_too_large"


@shared
async def test_every_mistake_about_money_and_addresses_is_told_at_once(shared_stack: GatewayStack) -> None:
    """A body with several wrong members names them all, so that it is mended in one go."""
    body = psp_body(amount="1.001", return_url="https://evil.example/", order=item(price="0.001"))
    fields = refused(await shared_stack.create(body))[2]
    assert fields == ["$.amount", "$.order.items[0].price", "$.return_url"]
