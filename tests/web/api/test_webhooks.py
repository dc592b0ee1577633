"""A tenant reads what became of its webhooks, has them sent again, tests its endpoint and enables it again."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from gateway.core.signing import sha256_hex
from tests.support.factories.deliveries import created, rows_when, tries_of, until
from tests.support.stack import WEBHOOK_SECRET, GatewayStack, Reply, psp_body, running_stack

LIST = "/v1/webhooks/deliveries"
OPERATORS_KEY = "gw_admin_operators-key-of-the-tests"
NOBODYS = "dlv_00000000000070008000000000000000"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[GatewayStack]:
    """A running gateway whose operators have a key."""

    def with_key(settings: dict[str, Any]) -> None:
        settings["server"]["admin"]["key_sha256"] = sha256_hex(OPERATORS_KEY)

    async with running_stack(tmp_path, change=with_key) as opened:
        yield opened


async def operate(stack: GatewayStack, method: str, path: str) -> Reply:
    """Call the operators' listener."""
    headers = {"Authorization": f"Bearer {OPERATORS_KEY}"}
    async with stack.http.request(method, f"{stack.admin_url}{path}", headers=headers) as response:
        return Reply(response.status, response.headers, await response.text())


async def delivered(stack: GatewayStack, tenant: str = "acme") -> Any:
    """A payment whose two webhooks were delivered."""
    payment = (await stack.create(psp_body(), tenant=tenant)).json
    await until_all(stack, payment["id"], "delivered", tenant)
    return payment


async def until_all(stack: GatewayStack, payment_id: str, status: str, tenant: str = "acme") -> list[Any]:
    """The payment's webhooks as the list shows them, as soon as all are so."""
    seen: list[Any] = []

    async def look() -> bool:
        reply = await stack.call("GET", f"{LIST}?payment_id={payment_id}", tenant=tenant)
        seen[:] = reply.json["data"]
        return len(seen) >= 2 and all(one["status"] == status for one in seen)

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(20):
            while not await look():
                pass
            return seen
    raise AssertionError(seen)


async def dead(stack: GatewayStack) -> list[Any]:
    """The webhooks of a payment that acme's endpoint answered 410 to, newest first."""
    stack.webhook_answer = lambda _: 410
    payment = await created(stack)
    rows = await until_all(stack, payment["id"], "dead")
    stack.webhook_answer = lambda _: 204
    return rows


# The list


async def test_the_list_shows_every_try(stack: GatewayStack) -> None:
    """Newest first; each webhook with exactly its members, its tries, and when the next one is due."""
    stack.webhook_answer = lambda _: 500
    payment = await created(stack)
    await rows_when(stack, payment["id"], lambda rows: all(row.attempts for row in rows))
    page = (await stack.call("GET", LIST)).json
    assert set(page) == {"data", "next_cursor"}
    assert [one["type"] for one in page["data"]] == ["payment.awaiting_customer", "payment.created"]
    for one in page["data"]:
        assert set(one) == {"id", "type", "payment_id", "status", "next_attempt_at", "attempts"}
        assert (one["payment_id"], one["status"]) == (payment["id"], "pending")
        [tried] = one["attempts"]
        assert set(tried) == {"at", "status_code", "error"}
        assert (tried["status_code"], tried["error"]) == (500, None)
        assert one["next_attempt_at"] > tried["at"]


async def test_the_list_is_filtered_and_paged(stack: GatewayStack) -> None:
    """By status, by payment, and a page at a time: every webhook once."""
    payments = [await delivered(stack) for _ in range(2)]
    of_first = (await stack.call("GET", f"{LIST}?payment_id={payments[0]['id']}&status=delivered")).json["data"]
    assert {one["payment_id"] for one in of_first} == {payments[0]["id"]}
    assert (await stack.call("GET", f"{LIST}?status=dead")).json == {"data": [], "next_cursor": None}
    whole, cursor = [], ""
    while cursor is not None:
        page = (await stack.call("GET", f"{LIST}?limit=3&cursor={cursor}")).json
        whole += [one["id"] for one in page["data"]]
        cursor = page["next_cursor"]
    assert len(whole) == 4
    assert whole == sorted(set(whole), reverse=True)


@pytest.mark.parametrize("query", ["status=lost", "limit=0", "limit=201", "limit=x", "cursor=x"])
async def test_a_parameter_that_cannot_be_used_is_named(stack: GatewayStack, query: str) -> None:
    """422 with the parameter's name."""
    reply = await stack.call("GET", f"{LIST}?{query}")
    assert (reply.status, reply.json["errors"][0]["field"]) == (422, query.partition("=")[0])


# Sent again


async def test_a_webhook_is_sent_again(stack: GatewayStack) -> None:
    """The same id and bytes, and the log goes on; the answer is the webhook, due at once."""
    payment = await delivered(stack)
    row = (await rows_when(stack, payment["id"], bool))[0]
    reply = await stack.call("POST", f"{LIST}/{row.id}/redeliver")
    assert (reply.status, reply.json["id"]) == (202, row.id)
    await until(stack, lambda: len(tries_of(stack, row.event_id)) == 2)
    assert tries_of(stack, row.event_id) == [(row.event_id, row.body.encode())] * 2
    [_, again] = await until_all(stack, payment["id"], "delivered")
    assert [one["status_code"] for one in again["attempts"]] == [204, 204]


async def test_a_dead_letter_gets_a_whole_new_schedule(tmp_path: Path) -> None:
    """After its last try a webhook is dead; sent again it has all its tries once more."""

    def twice(settings: dict[str, Any]) -> None:
        settings["clocks"]["webhook_retry"] = ["0s", "1ms"]

    async with running_stack(tmp_path, change=twice) as stack:
        stack.webhook_answer = lambda _: 500
        payment = await created(stack)
        first = (await until_all(stack, payment["id"], "dead"))[-1]
        assert len(first["attempts"]) == 2
        assert (await stack.call("POST", f"{LIST}/{first['id']}/redeliver")).status == 202
        again = await rows_when(stack, payment["id"], lambda rows: len(rows[0].attempts) == 4)
        assert again[0].status == "dead"


async def test_the_dead_letters_of_a_time_are_sent_again(stack: GatewayStack) -> None:
    """All since a moment, or those between two; what was delivered stays as it is."""
    await delivered(stack)
    rows = await dead(stack)
    await stack.call("POST", "/v1/webhooks/enable")
    ask = {"created_after": "2020-01-01T00:00:00Z"}
    none = await stack.call("POST", "/v1/webhooks/redeliver", {**ask, "created_before": "2020-01-02T00:00:00Z"})
    assert (none.status, none.json) == (202, {"count": 0})
    some = await stack.call("POST", "/v1/webhooks/redeliver", ask)
    assert (some.status, some.json) == (202, {"count": 2})
    await until_all(stack, rows[0]["payment_id"], "delivered")
    everything = await stack.call("POST", "/v1/webhooks/redeliver", {**ask, "status": "delivered"})
    assert everything.json == {"count": 4}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "$.created_after"),
        ({"created_after": "yesterday"}, "$.created_after"),
        ({"created_after": "2020-01-01T00:00:00"}, "$.created_after"),
        ({"created_after": "2020-01-01T00:00:00Z", "status": "pending"}, "$.status"),
        ({"created_after": "2020-01-01T00:00:00Z", "all": True}, "$.all"),
    ],
)
async def test_a_time_that_cannot_be_used_is_named(stack: GatewayStack, body: Any, field: str) -> None:
    """422 naming the member, and nothing is sent."""
    reply = await stack.call("POST", "/v1/webhooks/redeliver", body)
    assert (reply.status, reply.json["errors"][0]["field"]) == (422, field)


# The endpoint


async def test_a_test_goes_the_way_all_webhooks_go(stack: GatewayStack) -> None:
    """202 with the delivery; what arrives is signed, verifies, and tells of nothing; it stands in the list."""
    reply = await stack.call("POST", "/v1/webhooks/test")
    assert (reply.status, reply.json["type"], reply.json["payment_id"]) == (202, "webhook.test", None)
    await until(stack, lambda: len(stack.delivered_webhooks) == 1)
    headers, body = stack.delivered_webhooks[0]
    told = standardwebhooks.Webhook(WEBHOOK_SECRET).verify(body, dict(headers))
    assert (told["type"], told["data"]) == ("webhook.test", {})
    assert [one["id"] for one in (await stack.call("GET", LIST)).json["data"]] == [reply.json["id"]]


async def test_a_disabled_endpoint_is_enabled(stack: GatewayStack) -> None:
    """The endpoint says that it is disabled and why; enabled, it may have what it missed."""
    url = stack.settings.tenants["acme"].webhook.url  # type: ignore[union-attr]
    healthy = {"url": url, "enabled": True, "failing_since": None, "disabled_at": None, "reason": None}
    assert (await stack.call("GET", "/v1/webhooks")).json == healthy
    rows = await dead(stack)
    shown = (await stack.call("GET", "/v1/webhooks")).json
    assert (shown["enabled"], shown["reason"], shown["disabled_at"] is not None) == (False, "gone", True)
    reply = await stack.call("POST", "/v1/webhooks/enable", {"redeliver": True})
    assert (reply.status, reply.json) == (200, {**healthy, "redelivered": 2})
    await until_all(stack, rows[0]["payment_id"], "delivered")


async def test_enable_of_a_healthy_endpoint_changes_nothing(stack: GatewayStack) -> None:
    """It may be asked at any time."""
    reply = await stack.call("POST", "/v1/webhooks/enable")
    assert (reply.status, reply.json["enabled"], reply.json["redelivered"]) == (200, True, 0)


async def test_a_disabled_endpoint_takes_no_orders(stack: GatewayStack) -> None:
    """409 ``invalid_state`` for a test and for everything that would be sent."""
    rows = await dead(stack)
    since = {"created_after": "2020-01-01T00:00:00Z"}
    for path, body in (
        ("/v1/webhooks/test", None),
        (f"{LIST}/{rows[0]['id']}/redeliver", None),
        ("/v1/webhooks/redeliver", since),
    ):
        reply = await stack.call("POST", path, body)
        assert (reply.status, reply.json["code"]) == (409, "invalid_state")


async def test_a_tenant_without_an_endpoint_is_told_so(tmp_path: Path) -> None:
    """404 ``not_found``; the list is empty and no error."""

    def deaf(settings: dict[str, Any]) -> None:
        settings["tenants"]["acme"]["webhook"] = None

    async with running_stack(tmp_path, change=deaf) as stack:
        for method, path in (
            ("GET", "/v1/webhooks"),
            ("POST", "/v1/webhooks/test"),
            ("POST", "/v1/webhooks/enable"),
        ):
            reply = await stack.call(method, path)
            assert (reply.status, reply.json["code"]) == (404, "not_found")
        assert (await stack.call("GET", LIST)).json["data"] == []


# Whose it is


async def test_another_tenants_webhook_is_not_there(stack: GatewayStack) -> None:
    """The same 404 to the last byte for another tenant's webhook and for one that never was."""
    payment = await delivered(stack)
    theirs = (await rows_when(stack, payment["id"], bool))[0].id
    answers = [
        await stack.call("POST", f"{LIST}/{one}/redeliver", tenant="globex", headers={"X-Request-Id": "one-id"})
        for one in (theirs, NOBODYS)
    ]
    assert [(one.status, one.text) for one in answers] == [(404, answers[0].text)] * 2
    assert json.loads(answers[0].text)["code"] == "not_found"
    for query in ("", f"?payment_id={payment['id']}", f"?cursor={theirs[:-1]}f"):
        assert (await stack.call("GET", f"{LIST}{query}", tenant="globex")).json["data"] == []


async def test_enabling_ones_own_endpoint_leaves_the_others(stack: GatewayStack) -> None:
    """One tenant's endpoint is disabled; another's enabling does not touch it."""
    await dead(stack)
    assert (await stack.call("POST", "/v1/webhooks/enable", {"redeliver": True}, tenant="globex")).json[
        "redelivered"
    ] == 0
    assert (await stack.call("GET", "/v1/webhooks")).json["enabled"] is False


# Operators


async def test_operators_see_the_webhooks_of_all(office: GatewayStack) -> None:
    """Newest first over all tenants, or of one, filtered and paged as the tenants' own list is."""
    for tenant in ("acme", "globex"):
        await delivered(office, tenant)
    whole = (await operate(office, "GET", "/admin/v1/deliveries")).json
    assert {one["tenant"] for one in whole["data"]} == {"acme", "globex"}
    assert [one["id"] for one in whole["data"]] == sorted((one["id"] for one in whole["data"]), reverse=True)
    page = (await operate(office, "GET", "/admin/v1/deliveries?limit=3&status=delivered")).json
    rest = (await operate(office, "GET", f"/admin/v1/deliveries?cursor={page['next_cursor']}")).json
    assert page["data"] + rest["data"] == whole["data"]
    one = (await operate(office, "GET", "/admin/v1/deliveries?tenant=globex")).json["data"]
    assert {row["tenant"] for row in one} == {"globex"}
    assert (await operate(office, "GET", "/admin/v1/deliveries?tenant=nobody")).status == 422


async def test_operators_send_a_webhook_again(office: GatewayStack) -> None:
    """Whosever it is; one that is not there is 404, and without the key nothing is shown."""
    payment = await delivered(office, "globex")
    [row, *_] = (await operate(office, "GET", f"/admin/v1/deliveries?payment_id={payment['id']}")).json["data"]
    before = len(office.webhook_attempts)
    reply = await operate(office, "POST", f"/admin/v1/deliveries/{row['id']}/redeliver")
    assert (reply.status, reply.json["id"], reply.json["tenant"]) == (202, row["id"], "globex")
    await until(office, lambda: len(office.webhook_attempts) == before + 1)
    assert office.webhook_attempts[-1][0] == "globex"
    assert (await operate(office, "POST", f"/admin/v1/deliveries/{NOBODYS}/redeliver")).status == 404
    async with office.http.get(f"{office.admin_url}/admin/v1/deliveries") as response:
        assert response.status == 401
