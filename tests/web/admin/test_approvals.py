"""Four eyes: what one operator asks for is done when the key of somebody else approves it, once."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest

from gateway.drivers.store.approvals import ApprovalFilter
from gateway.flows.audit_chain import verify
from gateway.flows.background import retention
from gateway.web import admin as routes
from tests.support.clients.psp_callbacks import change_store, new_payment
from tests.support.scenarios import creditkey
from tests.support.scenarios.inbox import BALK, RELENT, RIGHT, admin, deliver, with_token
from tests.support.scenarios.operators_acts import ACTS, REASON, flagged, unanswered
from tests.support.settings_file import reload
from tests.support.stack import GatewayStack, Reply, running_stack
from tests.support.virtual_clock import VirtualClock

KEYS = {name: f"gw_{name}_test-key-of-one-operator" for name in ("kim", "kim-2", "dana", "laptop", "look", "max")}
WAIT = [route for route in routes.ROUTES if route.needs_approval]


def with_two(settings: dict[str, Any]) -> None:
    """Acts need two keys: Kim has two, Dana two, one may only look, and Max act but not erase."""
    with_token(RIGHT)(settings)
    names = {"kim-2": "kim", "dana": "Dana Smith", "laptop": "dana smith "}
    roles = {"look": "read", "max": "operate"}
    settings["server"]["admin"]["approvals"] = 2
    settings["server"]["admin"]["keys"] = [
        {
            "id": name,
            "sha256": hashlib.sha256(key.encode()).hexdigest(),
            "role": roles.get(name, "admin"),
            **({"name": names[name]} if name in names else {}),
        }
        for name, key in KEYS.items()
    ]


@pytest.fixture
def clock() -> VirtualClock:
    """It moves as told."""
    return VirtualClock(datetime.now(UTC))


@pytest.fixture
async def stack(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[GatewayStack]:
    """A running stack under four eyes."""
    async with running_stack(tmp_path, change=with_two, clock=clock) as opened:
        yield opened


async def call(stack: GatewayStack, key: str, method: str, path: str, body: Any = None) -> Reply:
    """Call the operators' listener with one of the keys."""
    return await admin(stack, method, f"/admin/v1{path}", body, key=KEYS[key])


async def asked(stack: GatewayStack, payment: Any, key: str = "kim", **body: Any) -> str:
    """Ask for a review to be resolved; the id of the approval that it needs."""
    reply = await call(stack, key, "POST", f"/reviews/{payment['id']}/resolve", {"reason": REASON, **body})
    assert reply.status == 202, reply.text
    identifier: str = reply.json["approval"]["id"]
    return identifier


async def approve(stack: GatewayStack, identifier: str, key: str = "dana") -> Reply:
    """Approve one."""
    return await call(stack, key, "POST", f"/approvals/{identifier}/approve")


async def approval(stack: GatewayStack, identifier: str, key: str = "dana") -> Any:
    """One approval as the list shows it to a key."""
    [found] = [one for one in (await call(stack, key, "GET", "/approvals")).json["data"] if one["id"] == identifier]
    return found


async def acts(stack: GatewayStack, payment: Any) -> list[Any]:
    """The audit trail of a payment, newest first."""
    found: list[Any] = (await call(stack, "look", "GET", f"/audit?payment_id={payment['id']}")).json["data"]
    return found


async def test_nothing_is_done_before_somebody_else_approves(stack: GatewayStack) -> None:
    """The answer is 202 with the approval; whoever is to approve sees the whole of it, and the trail who asked."""
    payment = await flagged(stack)
    body = {"reason": REASON, "state": "captured", "actor": "on the phone"}
    reply = await call(stack, "kim", "POST", f"/reviews/{payment['id']}/resolve", body)
    assert reply.status == 202
    shown = reply.json["approval"]
    assert (shown["status"], shown["act"], shown["target"]) == ("open", "reviews.resolve", payment["id"])
    assert (shown["body"], shown["key_id"]) == ({**body, "version": payment["version"]}, "kim")
    assert await approval(stack, shown["id"]) == shown
    assert await stack.payment(payment["id"]) == payment
    [row] = await acts(stack, payment)
    assert (row["act"], row["key_id"], row["approval_id"], row["reason"], row["tenant"]) == (
        "approvals.request",
        "kim",
        shown["id"],
        REASON,
        "acme",
    )


async def test_another_key_does_it(stack: GatewayStack) -> None:
    """It answers as the route does; both keys are in the trail and in the timeline, and the body is gone."""
    payment = await flagged(stack)
    identifier = await asked(stack, payment, state="captured", actor="on the phone")
    reply = await approve(stack, identifier)
    assert (reply.status, reply.json["state"], reply.json["review"]) == (200, "captured", None)
    assert reply.json == await stack.payment(payment["id"])
    last = (await stack.events(payment["id"]))[-1]
    assert last["details"]["actor"] == "kim (on the phone), approved by dana"
    row, _ = await acts(stack, payment)
    assert (row["act"], row["key_id"], row["approved_by"]) == ("reviews.resolve", "kim", "dana")
    assert (row["approval_id"], row["reason"], row["details"]["state_after"]) == (identifier, REASON, "captured")
    ended = await approval(stack, identifier)
    assert (ended["status"], ended["decided_by"], ended["decided_at"], ended["body"]) == (
        "approved",
        "dana",
        row["at"],
        None,
    )
    assert (await verify(stack.gateway.store, [stack.gateway.settings.server.secret])).problems == ()


async def test_what_was_sent_is_shown_to_those_who_may_do_it(stack: GatewayStack) -> None:
    """It may name a customer; that something waits, and what kind of act, everybody sees."""
    payment = await flagged(stack)
    erased = await call(stack, "kim", "POST", "/customers/erase", {"email": "ann@shop.example", "apply": True})
    seen = {"erase": erased.json["approval"]["id"], "resolve": await asked(stack, payment)}
    for key, acts_seen in (("look", []), ("max", ["resolve"]), ("dana", ["erase", "resolve"])):
        shown = {act: await approval(stack, identifier, key) for act, identifier in seen.items()}
        assert [act for act, one in shown.items() if one["body"] is not None] == acts_seen
        assert (shown["erase"]["act"], shown["erase"]["key_id"]) == ("customers.erase", "kim")


async def test_the_key_that_asked_cannot_approve(stack: GatewayStack) -> None:
    """Nor another key of the same person, nor one that may only look."""
    payment = await flagged(stack)
    for key, others in (("kim", ["kim", "kim-2", "look"]), ("dana", ["dana", "laptop"])):
        identifier = await asked(stack, payment, key)
        for other in others:
            refused = await approve(stack, identifier, other)
            assert (refused.status, refused.json["code"]) == (403, "forbidden")
        assert (await approval(stack, identifier))["status"] == "open"
    assert await stack.payment(payment["id"]) == payment


async def test_it_is_done_once(stack: GatewayStack) -> None:
    """Also where two approve at the same time; one that is not there is 404."""
    payment = await flagged(stack)
    identifier = await asked(stack, payment)
    both = await asyncio.gather(approve(stack, identifier), approve(stack, identifier, "laptop"))
    assert sorted(reply.status for reply in both) == [200, 409]
    again = await approve(stack, identifier)
    assert (again.status, again.json["detail"]) == (409, "this approval was decided already: it is approved")
    assert [row["act"] for row in await acts(stack, payment)] == ["reviews.resolve", "approvals.request"]
    assert (await approve(stack, "apr_1")).status == 404


async def test_one_that_is_rejected_is_never_done(stack: GatewayStack) -> None:
    """Anybody may, also the key that asked; the reason is mandatory and kept."""
    payment = await flagged(stack)
    identifier = await asked(stack, payment)
    assert (await call(stack, "kim", "POST", f"/approvals/{identifier}/reject", {})).status == 422
    told = await call(stack, "kim", "POST", f"/approvals/{identifier}/reject", {"reason": "a mistake"})
    assert (told.status, told.json["status"], told.json["decided_by"], told.json["body"]) == (
        200,
        "rejected",
        "kim",
        None,
    )
    assert stack.gateway.memory.log_holds_deleted
    assert (await approve(stack, identifier)).status == 409
    assert (await call(stack, "dana", "POST", f"/approvals/{identifier}/reject", {"reason": "too"})).status == 409
    listed = (await call(stack, "look", "GET", "/audit?limit=1")).json["data"]
    assert [(row["act"], row["approval_id"], row["reason"]) for row in listed] == [
        ("approvals.reject", identifier, "a mistake")
    ]


async def test_one_that_nobody_decides_expires(
    stack: GatewayStack, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a day it cannot be approved, and the next round of housekeeping forgets the body."""
    monkeypatch.setattr(retention, "empty_log", AsyncMock())  # a round of the gateway's own may come first
    payment = await flagged(stack)
    identifier = await asked(stack, payment)
    await clock.advance(24 * 3600 - 1)
    assert (await approval(stack, identifier))["body"]["reason"] == REASON
    await clock.advance(1)
    late = await approve(stack, identifier)
    assert (late.status, late.json["code"]) == (409, "invalid_state")
    await retention.expire_approvals(stack.gateway)
    ended = await approval(stack, identifier)
    assert (ended["status"], ended["body"]) == ("expired", None)
    assert stack.gateway.memory.log_holds_deleted


async def test_what_moved_meanwhile_refuses_the_act(stack: GatewayStack) -> None:
    """The approver reads the route's own refusal, the approval ends with its code, and the trail says who tried."""
    payment = await flagged(stack)
    first, second = await asked(stack, payment), await asked(stack, payment)
    assert (await approve(stack, first)).status == 200
    refused = await approve(stack, second)
    assert (refused.status, refused.json["code"]) == (409, "invalid_state")
    ended = await approval(stack, second)
    assert (ended["status"], ended["code"], ended["body"]) == ("refused", "invalid_state", None)
    row, *_ = await acts(stack, payment)
    assert row["tenant"] == "acme"
    assert (row["act"], row["key_id"], row["approval_id"], row["details"]) == (
        "approvals.approve",
        "dana",
        second,
        {"act": "reviews.resolve", "code": "invalid_state"},
    )


async def test_a_capture_meanwhile_is_not_overwritten(stack: GatewayStack) -> None:
    """What was asked for is about the version that was seen; the refusal names both."""
    payment = await new_payment(stack)
    kept = await call(stack, "kim", "POST", f"/payments/{payment['id']}/resolve", {"reason": REASON, "state": "failed"})
    await deliver(stack, payment)
    moved = await stack.payment(payment["id"])
    assert moved["state"] == "captured"
    refused = await approve(stack, kept.json["approval"]["id"])
    assert (refused.status, refused.json["code"], refused.json["detail"]) == (
        409,
        "invalid_state",
        f"version {payment['version']} is stale: the payment is captured in version {moved['version']}; look again",
    )
    assert await stack.payment(payment["id"]) == moved


async def test_a_later_review_is_not_cleared(stack: GatewayStack) -> None:
    """Nor an operation that has ended meanwhile, whatever has come after it."""
    payment, open_one = await flagged(stack), await unanswered(stack)
    await asked(stack, payment)
    path, body = f"/operations/{open_one['pending_operation']['id']}/resolve", {"reason": REASON, "outcome": "declined"}
    waiting = [await asked(stack, payment), (await call(stack, "kim", "POST", path, body)).json["approval"]["id"]]
    for identifier in (
        await asked(stack, payment),
        (await call(stack, "kim", "POST", path, body)).json["approval"]["id"],
    ):
        assert (await approve(stack, identifier)).status == 200
    await creditkey.edit(stack, payment, amount="1.00")
    later = (await creditkey.act(stack, payment, "sync")).json
    assert later["review"] is not None
    for identifier, one in zip(waiting, (payment, open_one), strict=True):
        refused = await approve(stack, identifier)
        assert refused.json["code"] == "invalid_state"
        assert f"version {one['version']} is stale" in refused.json["detail"]
    assert (await stack.payment(payment["id"]))["review"] == later["review"]


async def test_what_moves_while_it_is_approved_is_refused_by_the_act(stack: GatewayStack) -> None:
    """All three take the version themselves, as they do without approval."""
    await reload_with(stack, lambda settings: settings["server"]["admin"].pop("approvals"))
    stale = {"reason": REASON, "version": 99}
    flag, operation = await flagged(stack), (await unanswered(stack))["pending_operation"]["id"]
    for path, body in (
        (f"/payments/{flag['id']}/resolve", {**stale, "state": "captured"}),
        (f"/reviews/{flag['id']}/resolve", stale),
        (f"/operations/{operation}/resolve", {**stale, "outcome": "declined"}),
    ):
        refused = await call(stack, "kim", "POST", path, body)
        assert (refused.status, refused.json["code"]) == (409, "invalid_state")
        assert refused.json["detail"].startswith("version 99 is stale")


async def test_what_cannot_succeed_is_refused_when_asked(stack: GatewayStack) -> None:
    """As the route itself would; nothing is kept, and what stood in the path is not in the trail."""
    payment = await new_payment(stack)
    entered = {"reason": REASON, "state": "captured"}
    for path, body, status in (
        ("/payments/pay_0/resolve", entered, 404),
        ("/payments/ann@shop.example/resolve", entered, 404),
        (f"/payments/{payment['id']}/resolve", {**entered, "version": 99}, 409),
        ("/reviews/ann@shop.example/resolve", {"reason": REASON}, 404),
        (f"/reviews/{payment['id']}/resolve", {"reason": REASON}, 409),
        ("/operations/ann@shop.example/resolve", {"reason": REASON, "outcome": "declined"}, 404),
    ):
        assert (await call(stack, "kim", "POST", path, body)).status == status, path
    assert await stack.gateway.store.approvals.newest(ApprovalFilter(limit=9)) == []
    assert "ann@shop" not in (await call(stack, "look", "GET", "/audit")).text


def test_each_waiting_route_with_an_id_has_a_check() -> None:
    """It says which payment, and in which version, is approved."""
    assert [route.path for route in WAIT if ("{" in route.path) != (route.check is not None)] == []


async def test_a_store_that_fails_leaves_it_open(stack: GatewayStack) -> None:
    """Nothing was done, so the same approval can be given again."""
    payment = await flagged(stack)
    identifier = await asked(stack, payment)
    await change_store(stack, BALK)
    assert (await approve(stack, identifier)).status == 503
    await change_store(stack, RELENT)
    assert (await approval(stack, identifier))["status"] == "open"
    assert (await approve(stack, identifier)).status == 200


async def test_a_body_that_is_wrong_is_refused_at_once(stack: GatewayStack) -> None:
    """Nobody is asked to approve what could not be done."""
    payment = await flagged(stack)
    for body in ({}, {"reason": REASON, "state": "odd"}, {"reason": REASON, "other": 1}):
        assert (await call(stack, "kim", "POST", f"/reviews/{payment['id']}/resolve", body)).status == 422
    assert await stack.gateway.store.approvals.newest(ApprovalFilter(limit=9)) == []


@pytest.mark.parametrize("change", [{"expires": "2026-01-01T00:00:00Z"}, {"role": "read"}, {"id": "other"}])
async def test_what_a_key_asked_for_ends_with_the_key(stack: GatewayStack, change: dict[str, Any]) -> None:
    """A key that leaked, and was taken away, has nothing done any more."""
    payment = await flagged(stack)
    identifier = await asked(stack, payment)

    def take_away(settings: dict[str, Any]) -> None:
        settings["server"]["admin"]["keys"][0].update(change)

    assert (await reload_with(stack, take_away)).status == 200
    refused = await approve(stack, identifier)
    assert (refused.status, refused.json["code"]) == (409, "invalid_state")
    assert await stack.payment(payment["id"]) == payment
    told = await call(stack, "dana", "POST", f"/approvals/{identifier}/reject", {"reason": "the key leaked"})
    assert told.json["status"] == "rejected"


async def reload_with(stack: GatewayStack, change: Any) -> Reply:
    """Change the settings and load them, with the key that ``tests.support`` uses."""
    return await reload(stack, change)


@pytest.mark.parametrize("route", WAIT, ids=lambda route: f"{route.method} {route.path}")
async def test_every_such_route_waits_and_is_done_once(stack: GatewayStack, route: Any) -> None:
    """The trail's row of the act ends its approval; a route that does not write one would stay open for ever."""
    assert route.query == ()
    path, body = await ACTS[route.method, route.path](stack)
    kept = await call(stack, "kim", route.method, path, body)
    assert kept.status == 202, kept.text
    identifier = kept.json["approval"]["id"]
    done = await approve(stack, identifier)
    assert 200 <= done.status < 300, done.text
    assert (await approval(stack, identifier))["status"] == "approved"


async def test_an_operation_is_resolved_by_two(stack: GatewayStack) -> None:
    """The target is the operation."""
    payment = await unanswered(stack)
    operation = payment["pending_operation"]["id"]
    body = {"reason": REASON, "outcome": "declined"}
    kept = await call(stack, "kim", "POST", f"/operations/{operation}/resolve", body)
    assert (kept.json["approval"]["act"], kept.json["approval"]["target"]) == ("operations.resolve", operation)
    assert (await approve(stack, kept.json["approval"]["id"])).json["state"] == "failed"


async def test_the_list_is_by_status_and_page(stack: GatewayStack) -> None:
    """Newest first."""
    payment = await flagged(stack)
    made = [await asked(stack, payment) for _ in range(3)]
    await approve(stack, made[0])
    opened = (await call(stack, "look", "GET", "/approvals?status=open")).json["data"]
    assert [one["id"] for one in opened] == [made[2], made[1]]
    page = (await call(stack, "look", "GET", "/approvals?limit=2")).json
    rest = (await call(stack, "look", "GET", f"/approvals?limit=2&cursor={page['next_cursor']}")).json
    assert [one["id"] for one in page["data"] + rest["data"]] == made[::-1]
    assert (await call(stack, "look", "GET", "/approvals?status=odd")).status == 422


async def test_with_one_key_nothing_waits(stack: GatewayStack) -> None:
    """As without the setting, from the next reload on; what waits can still be approved."""
    first, second = await flagged(stack), await flagged(stack)
    identifier = await asked(stack, first)
    await reload_with(stack, lambda settings: settings["server"]["admin"].pop("approvals"))
    path = f"/reviews/{second['id']}/resolve"
    assert (await call(stack, "kim", "POST", path, {"reason": REASON})).status == 200
    assert (await approve(stack, identifier)).status == 200
    assert (await creditkey.act(stack, first, "sync")).status == 200
