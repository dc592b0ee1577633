"""``GET /v1/callbacks`` and ``…/{id}/explanation``: a tenant sees what its providers sent, and why it was refused."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.support.clients.psp_callbacks import call_back, credentials, new_payment, post, signed_body
from tests.support.stack import GatewayStack

shared = pytest.mark.asyncio(loop_scope="module")


async def listed(stack: GatewayStack, query: str = "", tenant: str = "acme") -> Any:
    """A page of callbacks."""
    reply = await stack.call("GET", f"/v1/callbacks{query}", tenant=tenant)
    assert reply.status == 200, reply.text
    return reply.json


async def explanation(stack: GatewayStack, callback: str, tenant: str = "acme") -> Any:
    """How a callback is explained."""
    return await stack.call("GET", f"/v1/callbacks/{callback}/explanation", tenant=tenant)


@shared
async def test_a_refused_callback_is_listed_with_its_reason(shared_stack: GatewayStack) -> None:
    """Newest first, with the sentence that stands in the log."""
    payment = await new_payment(shared_stack)
    await call_back(shared_stack, payment, time=1795851349)
    await call_back(shared_stack, payment)
    recorded, refused = (await listed(shared_stack, "?limit=2"))["data"]
    assert (recorded["verdict"], recorded["reason"], recorded["payment_id"]) == ("recorded", None, payment["id"])
    assert (refused["verdict"], refused["reason"], refused["account"]) == ("refused", "time", "psp-main")
    assert "looks like seconds; send 1795851349000" in refused["detail"]
    assert (refused["method"], refused["path"], refused["remote"]) == ("POST", "pay/callback", "127.0.0.1")
    assert not {"headers", "body", "query"} & refused.keys()


@shared
async def test_the_filters_choose(shared_stack: GatewayStack) -> None:
    """By verdict, account and payment, a page at a time."""
    payment = await new_payment(shared_stack)
    for status in (9, "1", 1):
        await call_back(shared_stack, payment, status=status)
    of_payment = f"payment_id={payment['id']}"
    counts = {
        query: len((await listed(shared_stack, f"?{query}&{of_payment}"))["data"])
        for query in ("verdict=refused", "verdict=recorded", "account=psp-main", "account=creditkey-main", "limit=2")
    }
    assert list(counts.values()) == [2, 1, 3, 0, 2]
    first = await listed(shared_stack, f"?limit=2&{of_payment}")
    second = await listed(shared_stack, f"?limit=2&{of_payment}&cursor={first['next_cursor']}")
    assert [one["verdict"] for one in first["data"] + second["data"]] == ["recorded", "refused", "refused"]
    assert second["next_cursor"] is None


@shared
@pytest.mark.parametrize(
    "query", ["verdict=wrong", "limit=0", "cursor=x", "account=zzz", "account=psp-main%20", "account=acme/psp-main"]
)
async def test_a_wrong_query_is_refused(shared_stack: GatewayStack, query: str) -> None:
    """By the parameter's name."""
    reply = await shared_stack.call("GET", f"/v1/callbacks?{query}")
    assert (reply.status, reply.json["code"]) == (422, "validation_failed")
    assert query.partition("=")[0] in reply.text


CLAIMS: list[tuple[dict[str, Any], dict[str, str], bool]] = [
    ({"sign": "0" * 40}, {}, True),
    ({"sign": 7}, {}, True),
    ({}, {"crm-pay-token": "guessed"}, True),
    ({}, {"Content-Type": "text/plain"}, True),
    ({"merchant_id": "somebody-else"}, {}, True),
    ({"sign": "0" * 40, "order_no": 'x", "order_no": "y z'}, {}, False),
    ({"sign": "0" * 40, "order_no": "x" * 65}, {}, False),
    ({"sign": "0" * 40, "order_no": 7}, {}, False),
]


@shared
@pytest.mark.parametrize(("members", "headers", "is_told"), CLAIMS)
async def test_what_an_unproved_callback_claims_is_shown_as_text(
    shared_stack: GatewayStack, members: dict[str, Any], headers: dict[str, str], is_told: bool
) -> None:
    """It is found where one looks for it; its payment stays unknown, and the filter finds only what is proved."""
    payment = await new_payment(shared_stack)
    await post(shared_stack, signed_body(shared_stack, payment, **members), headers=headers)
    (one,) = (await listed(shared_stack, "?limit=1"))["data"]
    claim = f'; it claims to be about "{payment["id"]}", which is not proved'
    assert (one["payment_id"], one["detail"].endswith(claim), "claims" in one["detail"]) == (None, is_told, is_told)
    assert (await listed(shared_stack, f"?payment_id={payment['id']}"))["data"] == []
    assert (await explanation(shared_stack, one["id"])).json["callback"]["detail"] == one["detail"]


@shared
async def test_a_claim_that_holds_a_secret_is_masked(shared_stack: GatewayStack) -> None:
    """A sender that puts its token there is not quoted."""
    _, token = credentials(shared_stack)
    payment = await new_payment(shared_stack)
    await post(shared_stack, signed_body(shared_stack, payment, order_no=token, sign="0" * 40))
    (one,) = (await listed(shared_stack, "?limit=1"))["data"]
    assert token not in one["detail"]


@shared
async def test_another_tenant_sees_nothing_of_it(shared_stack: GatewayStack) -> None:
    """Neither in its list nor by the id: there it is not found."""
    await call_back(shared_stack, await new_payment(shared_stack), status=9)
    (one,) = (await listed(shared_stack, "?limit=1"))["data"]
    assert one["id"] not in str(await listed(shared_stack, tenant="globex"))
    foreign, unknown = [await explanation(shared_stack, name, "globex") for name in (one["id"], "cb_none")]
    assert (foreign.status, unknown.status) == (404, 404)
    assert {**foreign.json, "request_id": ""} == {**unknown.json, "request_id": ""}


@shared
async def test_an_explanation_says_what_the_sender_does(shared_stack: GatewayStack) -> None:
    """Checks, notes and the text to sign; the token is named, and nothing secret is shown."""
    payment = await new_payment(shared_stack, amount="25.50")
    right = signed_body(shared_stack, payment, amount=25.5)
    _, token = credentials(shared_stack)
    digest = hashlib.sha256(b"not the protocol's hash").hexdigest()
    await post(shared_stack, right.replace(right[right.index(b'"sign": "') + 9 :][:40], digest.encode()))
    (one,) = (await listed(shared_stack, "?limit=1"))["data"]
    reply = await explanation(shared_stack, one["id"])
    found = reply.json
    assert found["callback"] == one
    assert (found["verdict"], found["reason"]) == ("refused", "unauthentic")
    assert found["secrets"] == [{"header": "crm-pay-token", "holds": "token"}]
    assert {check["name"]: check["passed"] for check in found["checks"]}["sign"] is False
    assert any("64 hex digits, as many as SHA-256 gives" in note for note in found["notes"])
    assert f"order_no={payment['id']}" in found["signed"]["literal"]
    assert token not in reply.text


@shared
async def test_the_amount_signed_with_two_decimals_is_recognised(shared_stack: GatewayStack) -> None:
    """The most likely mistake of all."""
    payment = await new_payment(shared_stack, amount="25.50")
    signed = signed_body(shared_stack, payment, amount="25.50").replace(b'"25.50"', b"25.5")
    assert (await post(shared_stack, signed)).status == 400
    (one,) = (await listed(shared_stack, "?limit=1"))["data"]
    notes = (await explanation(shared_stack, one["id"])).json["notes"]
    assert "the sender signs with the amount printed with two decimals (25.50 for 25.5)" in notes


@shared
async def test_a_callback_of_another_provider_is_explained_plainly(shared_stack: GatewayStack) -> None:
    """One check, and what the plugin said."""
    endpoint = shared_stack.entry("acme", "creditkey-main").endpoint_id
    await shared_stack.call("GET", f"/callbacks/{endpoint}/whatever", tenant=None)
    (one,) = (await listed(shared_stack, "?limit=1"))["data"]
    found = (await explanation(shared_stack, one["id"])).json
    assert (found["checks"][0]["name"], found["reason"]) == ("verify", "not_found")
