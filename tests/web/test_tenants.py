"""Many tenants on one URL: their own wire keys at the provider, and nobody sees or touches another's payment."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gateway.web.api.routes import ROUTES
from gateway.web.routing import Route
from tests.support.clients.psp_callbacks import call_back, credentials, sign
from tests.support.stack import GatewayStack, key_of, new_key, psp_body

shared = pytest.mark.asyncio(loop_scope="module")


async def received(stack: GatewayStack, payment_id: str) -> tuple[dict[str, str], dict[str, Any]]:
    """API-1 of a payment as the provider received it: headers, and the body with number texts kept."""
    [one] = [one for one in await stack.provider_requests("psp") if payment_id in one["body"]]
    return one["headers"], json.loads(one["body"], parse_float=str, parse_int=str)


# Two tenants, one reference, other wire keys


@shared
async def test_two_tenants_use_one_reference_at_once(shared_stack: GatewayStack) -> None:
    """The same reference from two tenants at the same moment is two payments, each awaiting its own customer."""
    body = psp_body()
    replies = await asyncio.gather(*(shared_stack.create(body, tenant=tenant) for tenant in ("acme", "globex")))
    assert [(reply.status, reply.json["state"]) for reply in replies] == [(201, "awaiting_customer")] * 2
    assert [reply.json["tenant"] for reply in replies] == ["acme", "globex"]
    assert {reply.json["merchant_reference"] for reply in replies} == {body["merchant_reference"]}


@shared
async def test_each_account_sends_exactly_its_own_keys(shared_stack: GatewayStack) -> None:
    """A renamed key, one switched off, a constant and an additional parameter: the wire shows these and no others."""
    fields = {"custom_1": "VIP"}
    acme = (await shared_stack.create(psp_body(fields=fields))).json
    globex = (await shared_stack.create(psp_body(), tenant="globex")).json
    _, first = await received(shared_stack, acme["id"])
    _, second = await received(shared_stack, globex["id"])
    both = {"merchant_id", "currency", "sign", "user_id", "user_name", "email"}
    assert set(first) == both | {"order_no", "sum", "channel", "custom_1"}
    assert set(second) == both | {"invoice", "total", "nationality"}
    assert (first["order_no"], first["sum"], first["channel"], first["custom_1"]) == (
        acme["id"],
        "162.48",
        "web",
        "VIP",
    )
    assert (second["invoice"], second["total"], second["nationality"]) == (globex["id"], "162.48", "us")


@shared
@pytest.mark.parametrize("tenant", ["acme", "globex"])
async def test_the_sign_of_each_account_verifies(shared_stack: GatewayStack, tenant: str) -> None:
    """``sign`` covers the very members that arrived, under the wire keys, with this account's token alone."""
    payment = (await shared_stack.create(psp_body(), tenant=tenant)).json
    headers, body = await received(shared_stack, payment["id"])
    merchant_id, token = credentials(shared_stack, tenant)
    assert headers["crm-pay-token"] == token
    assert body["merchant_id"] == merchant_id
    assert body["sign"] == sign(body, token)
    other = credentials(shared_stack, "globex" if tenant == "acme" else "acme")[1]
    assert other != token


@shared
async def test_a_constant_is_signed_like_any_member(shared_stack: GatewayStack) -> None:
    """A constant that settings add is covered by the sign: without it the sign does not verify."""
    payment = (await shared_stack.create(psp_body())).json
    _, body = await received(shared_stack, payment["id"])
    _, token = credentials(shared_stack)
    assert body["sign"] != sign({key: value for key, value in body.items() if key != "channel"}, token)


@shared
@pytest.mark.parametrize("amount", ["162.48", "100.00", "0.10", "1067.30", "99999999999.99"])
async def test_the_amount_is_a_number_without_trailing_zeros(shared_stack: GatewayStack, amount: str) -> None:
    """API-1 carries the amount as the JSON number every peer prints alike."""
    payment = (await shared_stack.create(psp_body(amount=amount))).json
    [one] = [one for one in await shared_stack.provider_requests("psp") if payment["id"] in one["body"]]
    assert f'"sum":{amount.rstrip("0").rstrip(".")},' in one["body"].replace(" ", "")


@shared
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"custom_1": "vip"}, "does not match [A-Z]+"),
        ({"custom_1": "V" * 41}, "has 41 characters, at most 40 are allowed"),
        ({"custom_2": "VIP"}, 'is not a field of this account; did you mean "custom_1"?'),
        ({"nationality": "us"}, "is not a field of this account; known are custom_1"),
        ({"amount": "1"}, "is not a field of this account; known are custom_1"),
        ({"channel": "app"}, "is not a field of this account; known are custom_1"),
    ],
    ids=str,
)
async def test_fields_are_the_accounts_additional_parameters(
    shared_stack: GatewayStack, fields: dict[str, str], message: str
) -> None:
    """Additional parameters obey the account's limits, and cannot replace a constant or one of the gateway's own."""
    reply = await shared_stack.create(psp_body(fields=fields))
    [name] = fields
    assert (reply.status, reply.json["code"]) == (422, "validation_failed")
    assert reply.json["errors"] == [{"field": f"$.fields.{name}", "message": message}]


@shared
async def test_a_value_that_would_sign_like_a_member_is_refused(shared_stack: GatewayStack) -> None:
    """A customer's name that could be read as another member never reaches the provider."""
    body = psp_body(customer={"name": "Dana&amount=1"})
    reply = await shared_stack.create(body)
    assert (reply.status, reply.json["errors"][0]["field"]) == (422, "$.customer.name")


# Nobody else's payment


OF_ONE_PAYMENT = [route for route in ROUTES if route.path.startswith("/v1/payments/{id}")]
BODIES = {"PATCH": {"amount": "1.00"}, "POST": {}}


@shared
@pytest.mark.parametrize("route", OF_ONE_PAYMENT, ids=lambda route: f"{route.method} {route.path}")
async def test_another_tenants_payment_is_not_there(shared_stack: GatewayStack, route: Route) -> None:
    """Every route answers for another tenant's payment as for one that never was: the same 404 to the last byte."""
    payment = (await shared_stack.create(psp_body())).json
    answers = []
    for payment_id in (payment["id"], "pay_00000000000070008000000000000000"):
        reply = await shared_stack.call(
            route.method,
            route.path.format(id=payment_id),
            BODIES.get(route.method),
            tenant="globex",
            key=new_key(),
            headers={"X-Request-Id": "one-id"},
        )
        answers.append((reply.status, reply.headers["Content-Type"], reply.text))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404
    assert json.loads(answers[0][2])["code"] == "not_found"
    assert (await shared_stack.payment(payment["id"]))["version"] == payment["version"]


@shared
async def test_a_list_shows_ones_own(shared_stack: GatewayStack) -> None:
    """Neither the list nor a filter by reference, account or cursor shows another tenant's payment."""
    body = psp_body()
    mine, theirs = [(await shared_stack.create(body, tenant=tenant)).json["id"] for tenant in ("acme", "globex")]
    for query in (
        "",
        f"?merchant_reference={body['merchant_reference']}",
        "?account=psp-main",
        f"?cursor={theirs[:-1]}f",
    ):
        listed = (await shared_stack.call("GET", f"/v1/payments{query}")).json["data"]
        assert theirs not in {one["id"] for one in listed}
        assert {one["tenant"] for one in listed} == {"acme"}
    theirs_only = (await shared_stack.call("GET", "/v1/payments", tenant="globex")).json["data"]
    assert mine not in {one["id"] for one in theirs_only}


@shared
async def test_another_tenants_account_cannot_be_named(shared_stack: GatewayStack) -> None:
    """An account of another tenant is unknown, like one that does not exist."""
    replies = [
        await shared_stack.create(psp_body(account=account), tenant="globex")
        for account in ("creditkey-main", "no-such")
    ]
    assert [(reply.status, reply.json["code"]) for reply in replies] == [(422, "unknown_account")] * 2


@shared
async def test_another_tenants_deposit_method_cannot_be_named(shared_stack: GatewayStack) -> None:
    """A deposit method of another tenant is not found."""
    body = {key: value for key, value in psp_body(deposit_method="bank").items() if key != "account"}
    reply = await shared_stack.create(body, tenant="globex")
    assert (reply.status, reply.json["code"]) == (422, "deposit_method_not_found")


async def test_webhooks_go_to_their_own_tenant(stack: GatewayStack) -> None:
    """What happens to one tenant's payment is told to that tenant's endpoint only."""
    mine = (await stack.create(psp_body())).json
    theirs = (await stack.create(psp_body(), tenant="globex")).json
    await call_back(stack, mine)
    await stack.webhook(mine["id"], "payment.captured")
    await stack.webhook(theirs["id"], "payment.awaiting_customer")
    told = {(tenant, json.loads(body)["data"]["payment"]["id"]) for tenant, _, body in stack.webhook_attempts}
    assert told == {("acme", mine["id"]), ("globex", theirs["id"])}


@shared
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer gw_k1_nobody",
        f"Basic {key_of('acme')}",
        key_of("acme"),
        f"Bearer {key_of('acme')} extra",
        f"Bearer {key_of('acme').upper()}",
    ],
)
async def test_without_a_tenants_key_there_is_nothing(shared_stack: GatewayStack, authorization: str | None) -> None:
    """A missing, unknown or malformed credential is 401, whatever is asked."""
    headers = {} if authorization is None else {"Authorization": authorization}
    for path in ("/v1/payments", "/v1/accounts", "/v1/payments/pay_x"):
        reply = await shared_stack.call("GET", path, tenant=None, headers=headers)
        assert (reply.status, reply.json["code"]) == (401, "unauthorized")
        assert reply.headers["WWW-Authenticate"] == "Bearer"


@shared
async def test_the_tenant_comes_from_the_credential_alone(shared_stack: GatewayStack) -> None:
    """Naming another tenant in header, query or body changes nothing or is refused."""
    created = await shared_stack.create({**psp_body(), "tenant": "globex"})
    assert created.json["errors"][0]["field"] == "$.tenant"
    listed = await shared_stack.call("GET", "/v1/payments?tenant=globex")
    assert listed.json["errors"][0]["field"] == "tenant"
    listed = await shared_stack.call("GET", "/v1/payments?limit=1", headers={"X-Tenant": "globex"})
    assert {one["tenant"] for one in listed.json["data"]} <= {"acme"}
