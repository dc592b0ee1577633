"""The audit trail over HTTP: every act of operators is in it, with whose key it was; nothing else can be put there."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.flows.audit_chain import verify
from gateway.web import admin as routes
from gateway.web.request import act_of
from tests.support.scenarios import creditkey
from tests.support.scenarios.inbox import ADMIN_KEY, RIGHT, admin, with_token
from tests.support.scenarios.operators_acts import ACTS, REASON, flagged, unanswered
from tests.support.stack import GatewayStack, running_stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMED = {"/admin/v1/approvals/{id}/approve": "reviews.resolve"}
"""What is approved has its own name in the trail."""

CHANGING = [route for route in routes.ROUTES if route.method != "GET"]
OTHER_KEY = "gw_dana_test-key-of-one-operator"


def with_operators(settings: dict[str, Any]) -> None:
    """The key of all, and one of Dana's."""
    with_token(RIGHT)(settings)
    sha256 = hashlib.sha256(OTHER_KEY.encode()).hexdigest()
    settings["server"]["admin"]["keys"] = [{"id": "dana", "sha256": sha256}]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayStack]:
    """A running stack that operators have keys for."""
    async with running_stack(tmp_path_factory.mktemp("audited"), change=with_operators) as opened:
        yield opened


async def acts(stack: GatewayStack, query: str = "") -> list[Any]:
    """The trail, newest first."""
    reply = await admin(stack, "GET", f"/admin/v1/audit?{query}")
    assert reply.status == 200, reply.text
    found: list[Any] = reply.json["data"]
    return found


@pytest.mark.parametrize("route", CHANGING, ids=lambda route: f"{route.method} {route.path}")
async def test_every_act_is_in_the_trail(stack: GatewayStack, route: Any) -> None:
    """A route that acts and leaves no row fails here, and so does one that no entry of ``ACTS`` shows at work."""
    path, body = await ACTS[route.method, route.path](stack)
    before = (await acts(stack))[0]["sequence"]
    reply = await admin(stack, route.method, f"/admin/v1{path}", body, key=OTHER_KEY)
    assert 200 <= reply.status < 300, reply.text
    made = [row for row in await acts(stack) if row["sequence"] > before]
    [row] = made
    assert (row["act"], row["approved_by"] or row["key_id"]) == (NAMED.get(route.path) or act_of(route.path), "dana")
    assert row["reason"] == body.get("reason", REASON if route.path in NAMED else None)
    named = path.split("/")
    about = {row[member] for member in ("payment_id", "subject", "tenant", "approval_id")}
    assert len(named) < 4 or about & set(named)


async def test_a_review_that_was_resolved(stack: GatewayStack) -> None:
    """Payment, tenant, reason, both states, and the name that was given, which nobody proves, among the details."""
    payment = await flagged(stack)
    body = {"reason": REASON, "state": "captured", "actor": "dana"}
    reply = await admin(stack, "POST", f"/admin/v1/reviews/{payment['id']}/resolve", body)
    [row] = await acts(stack, f"payment_id={payment['id']}")
    assert (row["key_id"], row["tenant"], row["subject"], row["reason"]) == ("operator", "acme", None, REASON)
    states = {"state_before": "authorized", "state_after": "captured", "version": reply.json["version"]}
    assert row["details"] == {"actor": "dana", **states}


async def test_an_operation_that_was_resolved(stack: GatewayStack) -> None:
    """The operation is its subject."""
    payment = await unanswered(stack)
    operation = payment["pending_operation"]["id"]
    body = {"reason": REASON, "outcome": "declined"}
    assert (await admin(stack, "POST", f"/admin/v1/operations/{operation}/resolve", body)).status == 200
    [row] = await acts(stack, f"payment_id={payment['id']}")
    assert (row["subject"], row["details"]["outcome"], row["details"]["state_after"]) == (
        operation,
        "declined",
        "failed",
    )


async def test_a_reload_names_both_versions_of_the_settings(stack: GatewayStack) -> None:
    """By hash; the start named the first."""
    await admin(stack, "POST", "/admin/v1/reload")
    [row, *_] = await acts(stack)
    digest = stack.gateway.settings.digest
    assert row["details"] == {"settings_before": digest, "settings_after": digest}
    start = (await acts(stack, "key=the%20gateway"))[-1]
    assert (start["act"], start["details"], start["sequence"]) == ("start", {"settings": digest}, 1)


async def test_what_is_refused_or_only_tried_is_no_act(stack: GatewayStack) -> None:
    """A body that is wrong, an id that is not there, a payment that needs nothing, a dry run."""
    before = await acts(stack)
    payment = await creditkey.authorized(stack)
    for path, body in (
        (f"/reviews/{payment['id']}/resolve", {"reason": REASON}),
        ("/reviews/pay_1/resolve", {"reason": REASON}),
        ("/operations/op_1/resolve", {"outcome": "declined"}),
        ("/deliveries/dlv_1/redeliver", None),
    ):
        assert (await admin(stack, "POST", f"/admin/v1{path}", body)).status >= 400
    path, _ = await ACTS["POST", "/admin/v1/inbox/{id}/replay"](stack)
    assert (await admin(stack, "POST", f"/admin/v1{path}", {"dry_run": True})).status == 200
    assert await acts(stack) == before


async def test_the_list_goes_on_at_the_cursor(stack: GatewayStack) -> None:
    """Newest first, without gap or repetition; the last page says so."""
    for _ in range(3):
        await admin(stack, "POST", "/admin/v1/reload")
    whole, pages, cursor = await acts(stack, "limit=200"), [], ""
    while True:
        page = (await admin(stack, "GET", f"/admin/v1/audit?limit=2{cursor}")).json
        pages += page["data"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert pages == whole
    assert [row["sequence"] for row in pages] == sorted((row["sequence"] for row in pages), reverse=True)


@pytest.mark.parametrize(
    ("query", "field"),
    [("cursor=x", "cursor"), ("since=today", "since"), ("until=2026", "until"), ("limit=0", "limit"), ("by=k", "by")],
)
async def test_a_filter_that_means_nothing_is_named(stack: GatewayStack, query: str, field: str) -> None:
    """As everywhere."""
    reply = await admin(stack, "GET", f"/admin/v1/audit?{query}")
    assert (reply.status, reply.json["errors"][0]["field"]) == (422, field)


async def test_by_tenant_key_and_time(stack: GatewayStack) -> None:
    """Each narrows the list."""
    payment = await flagged(stack)
    path = f"/admin/v1/reviews/{payment['id']}/resolve"
    assert (await admin(stack, "POST", path, {"reason": REASON}, key=OTHER_KEY)).status == 200
    [row] = await acts(stack, f"payment_id={payment['id']}&tenant=acme&key=dana")
    assert await acts(stack, f"payment_id={payment['id']}&tenant=globex") == []
    assert await acts(stack, f"payment_id={payment['id']}&key=operator") == []
    assert await acts(stack, f"payment_id={payment['id']}&since={row['at']}") == [row]
    assert await acts(stack, f"payment_id={payment['id']}&until={row['at']}") == []


async def test_the_trail_of_a_running_gateway_is_whole(stack: GatewayStack) -> None:
    """Whatever was done above, also by several at once; and it holds no key."""
    found = await verify(stack.gateway.store, [stack.gateway.settings.server.secret])
    assert (found.problems, found.rows > 5) == ((), True)
    kept = [str(row) for row in await stack.gateway.store.audit.after(0, 1000)]
    assert [row for row in kept for key in (ADMIN_KEY, OTHER_KEY, RIGHT) if key in row] == []
