"""``POST /v1/accounts/{name}/explain``: a tenant sees what its own account would send, and nothing happens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.stack import GatewayStack, psp_body, running_stack

shared = pytest.mark.asyncio(loop_scope="module")

URL = "/v1/accounts/psp-main/explain"
BODY = psp_body(fields={"custom_1": "GOLD"})


@shared
async def test_a_tenant_sees_what_would_be_sent(shared_stack: GatewayStack) -> None:
    """Each member of the body once, with the rule that made it; numbers as they are sent."""
    reply = await shared_stack.call("POST", URL, BODY)
    shown = reply.json
    assert (reply.status, list(shown)) == (200, ["members", "left_out", "body", "signed", "curl"])
    assert {one["key"]: one["value"] for one in shown["members"]} == json.loads(shown["body"])
    amount = next(one for one in shown["members"] if one["field"] == "amount")
    assert (amount["key"], amount["value"], amount["origin"]) == ("sum", 162.48, "provider")
    assert amount["rule"].startswith("settings.yaml:")


@shared
async def test_the_account_in_the_path_may_be_named_or_not(shared_stack: GatewayStack) -> None:
    """A body that goes to another account is a mistake."""
    unnamed = {name: value for name, value in BODY.items() if name != "account"}
    named = (await shared_stack.call("POST", URL, BODY)).json
    assert (await shared_stack.call("POST", URL, unnamed)).json == named
    for member, value in (("account", "creditkey-main"), ("deposit_method", "nothing")):
        reply = await shared_stack.call("POST", URL, {**BODY, member: value})
        assert (reply.status, [one["field"] for one in reply.json["errors"]]) == (422, [f"$.{member}"])


@shared
@pytest.mark.parametrize(
    "change",
    [
        {"amount": "1.005"},
        {"amount": None, "currency": 5},
        {"customer": {"nmae": "x"}},
        {"fields": {"custom_1": "gold", "x": "1"}},
        {"currency": "XXQ"},
        {"return_url": "https://elsewhere.example"},
        {"metadata": {"card": "4111 1111 1111 1111"}},
    ],
)
async def test_a_body_is_refused_as_the_create_refuses_it(shared_stack: GatewayStack, change: dict[str, Any]) -> None:
    """The same code, detail and errors."""
    refused = [
        await shared_stack.call("POST", URL, {**BODY, **change}),
        await shared_stack.create({**BODY, **change}),
    ]
    assert [reply.status for reply in refused] == [422, 422]
    first, second = ({**reply.json, "request_id": None} for reply in refused)
    assert first == second


@shared
@pytest.mark.parametrize(("tenant", "account"), [("globex", "creditkey-main"), ("acme", "nothing")])
async def test_another_tenants_account_is_not_there(shared_stack: GatewayStack, tenant: str, account: str) -> None:
    """The answer is the same for one that nobody has, whatever the body is."""
    for body in (BODY, {"nothing": 1}):
        reply = await shared_stack.call("POST", f"/v1/accounts/{account}/explain", body, tenant=tenant)
        assert (reply.status, reply.json["code"]) == (404, "not_found")
        assert account not in reply.text


@shared
async def test_nothing_is_stored_or_sent(shared_stack: GatewayStack) -> None:
    """No payment, no call to the provider."""
    count = len(await shared_stack.provider_requests("psp"))
    reference = f"/v1/payments?merchant_reference={BODY['merchant_reference']}"
    await shared_stack.call("POST", URL, BODY)
    assert len(await shared_stack.provider_requests("psp")) == count
    assert (await shared_stack.call("GET", reference)).json["data"] == []


async def test_it_counts_against_the_tenants_rate(tmp_path: Path) -> None:
    """Like every other request."""

    def slow(settings: dict[str, Any]) -> None:
        settings["tenants"]["acme"]["rate_limit"] = {"per_second": 0.001, "burst": 2}

    async with running_stack(tmp_path, change=slow) as stack:
        assert [(await stack.call("POST", URL, BODY)).status for _ in range(3)] == [200, 200, 429]
