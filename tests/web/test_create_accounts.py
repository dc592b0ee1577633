"""Which account, deposit method, order and contact a create names, and which addresses it may lead to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.stack import GatewayStack, Reply, creditkey_body, psp_body


async def test_a_default_port_is_the_same_origin(stack: GatewayStack) -> None:
    """``https://shop.example:443`` is ``https://shop.example``."""
    reply = await stack.create(psp_body(return_url="https://shop.example:443/paid"))
    assert reply.status == 201, reply.text


shared = pytest.mark.asyncio(loop_scope="module")


def refused(reply: Reply) -> tuple[int, str, list[str]]:
    """Status, code and the members that are named."""
    return reply.status, reply.json["code"], [one["field"] for one in reply.json.get("errors", [])]


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
