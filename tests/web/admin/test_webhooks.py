"""Operators' routes for webhooks: where tenants listen, what failed, and sending it again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.clients.operators import desk, with_key
from tests.support.clients.psp_callbacks import new_payment
from tests.support.factories.deliveries import rows_when
from tests.support.stack import GatewayStack, running_stack

LONG_AGO = "2026-01-01T00:00:00Z"
WHY = {"reason": "the endpoint was repaired", "actor": "dana"}


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[GatewayStack]:
    """A running stack whose operators have a key."""
    async with running_stack(tmp_path, change=with_key) as opened:
        yield opened


async def gone(stack: GatewayStack) -> list[str]:
    """Let acme's endpoint answer 410 once; the ids of the dead letters."""
    stack.webhook_answer = lambda _: 410
    payment = await new_payment(stack)
    rows = await rows_when(stack, payment["id"], lambda rows: bool(rows) and all(row.status == "dead" for row in rows))
    stack.webhook_answer = lambda _: 204
    return [row.id for row in rows]


async def audited(stack: GatewayStack) -> Any:
    """The newest act."""
    return (await desk(stack, "GET", "/audit?limit=1")).json["data"][0]


async def statuses(stack: GatewayStack) -> set[str]:
    """In which status acme's webhooks are."""
    listed = (await desk(stack, "GET", "/deliveries?tenant=acme")).json["data"]
    return {one["status"] for one in listed}


async def test_endpoints_are_listed_by_tenant(stack: GatewayStack) -> None:
    """Each with its address; one that gave up says since when and why."""
    await gone(stack)
    listed = (await desk(stack, "GET", "/endpoints")).json["data"]
    assert [(one["tenant"], one["enabled"], one["reason"]) for one in listed] == [
        ("acme", False, "gone"),
        ("globex", True, None),
    ]
    assert listed[0]["failing_since"] is not None
    assert listed[0]["disabled_at"] is not None
    first = (await desk(stack, "GET", "/endpoints?limit=1")).json
    assert ([one["tenant"] for one in first["data"]], first["next_cursor"]) == (["acme"], "acme")
    second = (await desk(stack, "GET", "/endpoints?limit=1&cursor=acme")).json
    assert ([one["tenant"] for one in second["data"]], second["next_cursor"]) == (["globex"], None)
    assert [one["tenant"] for one in (await desk(stack, "GET", "/endpoints?tenant=globex")).json["data"]] == ["globex"]


async def test_an_endpoint_is_enabled_again(stack: GatewayStack) -> None:
    """What it missed is sent again when that is asked for, and the act is kept."""
    dead = await gone(stack)
    reply = await desk(stack, "POST", "/endpoints/acme/enable", {"redeliver": True, **WHY})
    assert (reply.status, reply.json["enabled"], reply.json["redelivered"]) == (200, True, len(dead))
    act = await audited(stack)
    assert (act["act"], act["tenant"], act["reason"]) == ("endpoints.enable", "acme", WHY["reason"])
    assert (await desk(stack, "POST", "/endpoints/acme/enable", {})).json["redelivered"] == 0


async def test_there_must_be_such_a_tenant(stack: GatewayStack) -> None:
    """404 to enable, 422 as a filter."""
    unknown = await desk(stack, "POST", "/endpoints/nobody/enable", {})
    assert (unknown.status, unknown.json["detail"].partition(":")[0]) == (404, "this tenant is not in the settings")
    assert (await desk(stack, "GET", "/endpoints?tenant=nobody")).status == 422
    body = {"since": LONG_AGO, "tenant": "nobody"}
    refused = await desk(stack, "POST", "/deliveries/redeliver", body)
    assert (refused.status, refused.json["errors"][0]["field"]) == (422, "$.tenant")


async def test_a_range_is_counted_then_sent_again(stack: GatewayStack) -> None:
    """A dry run changes nothing; then each dead letter goes out once more, and the range is in the audit trail."""
    dead = await gone(stack)
    assert (await desk(stack, "POST", "/endpoints/acme/enable", {})).status == 200
    counted = await desk(stack, "POST", "/deliveries/redeliver", {"since": LONG_AGO, "dry_run": True})
    whole = {"tenant": "acme", "count": len(dead), "problem": None}
    assert (counted.status, counted.json) == (200, {"dry_run": True, "count": len(dead), "data": [whole]})
    assert "dead" in await statuses(stack)
    done = await desk(stack, "POST", "/deliveries/redeliver", {"since": LONG_AGO, "tenant": "acme", **WHY})
    assert (done.status, done.json["count"]) == (202, len(dead))
    act = await audited(stack)
    assert (act["act"], act["reason"], act["details"]["status"]) == ("deliveries.redeliver", WHY["reason"], "dead")
    assert "dead" not in await statuses(stack)
    none = {"since": LONG_AGO, "until": LONG_AGO, "status": "delivered"}
    assert (await desk(stack, "POST", "/deliveries/redeliver", none)).json["data"] == []


async def test_a_disabled_endpoint_says_so(stack: GatewayStack) -> None:
    """Its webhooks are counted and stay dead letters; the others' would go out."""
    dead = await gone(stack)
    done = (await desk(stack, "POST", "/deliveries/redeliver", {"since": LONG_AGO})).json
    assert (done["count"], done["data"][0]["count"]) == (0, len(dead))
    assert done["data"][0]["problem"].endswith("is disabled; enable it first: gateway endpoints enable acme")
    one = await desk(stack, "POST", f"/deliveries/{dead[0]}/redeliver", {})
    assert (one.status, one.json["detail"]) == (409, done["data"][0]["problem"])
    assert "dead" in await statuses(stack)


async def test_one_that_is_sent_again_says_why(stack: GatewayStack) -> None:
    """A body is not needed; where there is one, it is kept."""
    await new_payment(stack)
    newest = (await desk(stack, "GET", "/deliveries?tenant=acme&limit=1")).json["data"][0]
    assert (await desk(stack, "POST", f"/deliveries/{newest['id']}/redeliver", WHY)).status == 202
    act = await audited(stack)
    assert (act["subject"], act["reason"], act["details"]["actor"]) == (newest["id"], WHY["reason"], "dana")
    assert (await desk(stack, "POST", f"/deliveries/{newest['id']}/redeliver")).status == 202


async def test_operators_endpoints_are_listed_too(tmp_path: Path) -> None:
    """Under a name that no tenant can have, which enables and filters as a tenant's does."""
    secret = "whsec_YWNtZS1kZXZlbG9wbWVudC13ZWJob29rLWtleS0wMDE="

    def change(settings: dict[str, Any]) -> None:
        with_key(settings)
        url = settings["tenants"]["acme"]["webhook"]["url"].replace("/acme", "/operators")
        settings["operators"] = {"webhooks": [{"url": url, "secrets": [secret]}]}

    async with running_stack(tmp_path, change=change) as stack:
        listed = [one["tenant"] for one in (await desk(stack, "GET", "/endpoints")).json["data"]]
        [own] = [one for one in listed if one.startswith("operators:")]
        name = quote(own, safe="")
        assert [one["tenant"] for one in (await desk(stack, "GET", f"/endpoints?tenant={name}")).json["data"]] == [own]
        assert (await desk(stack, "POST", f"/endpoints/{name}/enable", {})).status == 200
        body = {"since": LONG_AGO, "tenant": own, "dry_run": True}
        assert (await desk(stack, "POST", "/deliveries/redeliver", body)).status == 200
