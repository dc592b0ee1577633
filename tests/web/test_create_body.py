"""The create body: every rule, the member that is named, and what passes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.stack import GatewayStack, Reply, creditkey_body, new_key, psp_body

shared = pytest.mark.asyncio(loop_scope="module")


async def send(stack: GatewayStack, text: bytes, *, content_type: str = "application/json") -> Reply:
    """Send raw bytes as a create."""
    headers = {"Content-Type": content_type}
    return await stack.call("POST", "/v1/payments", data=text, key=new_key(), headers=headers)


def refused(reply: Reply) -> tuple[int, str, list[str]]:
    """Status, code and the members that are named."""
    return reply.status, reply.json["code"], [one["field"] for one in reply.json.get("errors", [])]


def item(**changes: Any) -> dict[str, Any]:
    return {"items": [{"merchant_id": "PJ-1", "name": "Pallet jack", "price": "1.00", "quantity": 1, **changes}]}


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
        ("capture", "manual", "$.capture"),
        ("capture", True, "$.capture"),
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
