"""The status shows a running gateway as it is: what waits, what fails, what expires."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.core.signing import sha256_hex
from gateway.core.views import rfc3339
from gateway.drivers.clock import milliseconds
from gateway.drivers.store import approvals, deliveries
from gateway.drivers.store.approvals import Approval
from gateway.drivers.store.pending_erasures import ask_to_erase
from gateway.drivers.store.schema import VERSION
from gateway.flows.status.read import status_of
from gateway.flows.status.shape import WaitingStatus
from tests.support.clients.psp_callbacks import change_store
from tests.support.factories.deliveries import Held
from tests.support.settings_file import reload, with_operator
from tests.support.stack import GatewayStack, of_sqlite, psp_body, running_stack
from tests.support.virtual_clock import VirtualClock


@of_sqlite
async def test_what_runs(stack: GatewayStack) -> None:
    """Versions of the gateway, its plugins and its tables, and the room on its disk."""
    status = await status_of(stack.gateway)
    assert status.version
    assert {(one.name, one.api_version) for one in status.plugins} == {("creditkey", "1.0"), ("psp_open_api", "1.0")}
    assert all(one.distribution and one.version for one in status.plugins)
    assert (status.store.schema_version, status.store.disk_is_low, status.store.budgets) == (VERSION, False, [])
    assert status.store.bytes > 0
    assert status.store.disk_free


async def test_webhooks_nobody_listens_to_are_not_late(tmp_path: Path) -> None:
    """What waits for an endpoint that left the settings is counted; its age says nothing about the gateway."""
    clock = VirtualClock(datetime.now(UTC))

    async with running_stack(tmp_path, clock=clock) as stack:
        held = Held()
        stack.webhook_answer = held.answer
        assert (await stack.create(psp_body())).status == 201
        await change_store(stack, "UPDATE events SET status = 'pending', next_attempt_at = 1")
        outbox = (await status_of(stack.gateway)).queues.outbox
        assert outbox.count > 0
        assert outbox.lag_seconds > 1e6
        await change_store(stack, "UPDATE events SET tenant = 'gone'")
        outbox = (await status_of(stack.gateway)).queues.outbox
        assert (outbox.count > 0, outbox.lag_seconds) == (True, 0.0)
        held.release()


async def test_endpoints(stack: GatewayStack) -> None:
    """Those that fail or are disabled now; what was learnt of an earlier address is left out."""
    gw = stack.gateway
    now = gw.clock.now()
    webhook = gw.settings.tenants["acme"].webhook
    assert webhook is not None
    endpoint = sha256_hex(webhook.url)
    failures = [
        deliveries.record_endpoint_failure(name, url, now) for name, url in (("acme", endpoint), ("globex", "e"))
    ]
    await gw.store.commit("acme", failures)
    [failing] = (await status_of(gw)).endpoints
    assert (failing.tenant, failing.enabled, failing.reason) == ("acme", True, None)
    await gw.store.commit(
        "acme", [deliveries.disable_endpoint("acme", endpoint, now, reason="gone", failing_before=now)]
    )
    [disabled] = (status := await status_of(gw)).endpoints
    assert (disabled.enabled, disabled.reason, disabled.disabled_at) == (False, "gone", failing.failing_since)
    assert "gateway endpoints enable acme" in status.needs_person[0]


async def test_what_waits_for_somebody_or_for_an_end(stack: GatewayStack) -> None:
    """Acts that another key must approve, until they expire; payments to be erased, as far as somebody asked for it."""
    gw = stack.gateway
    now = gw.clock.now().replace(microsecond=0)
    made = [
        Approval(
            id=f"apr_{hours}",
            status=status,
            method="POST",
            path="/admin/v1/customers/erase",
            target=None,
            body="{}",
            key_id="kim",
            key_name=None,
            created_at=milliseconds(now - timedelta(hours=hours)),
            expires_at=milliseconds(now + timedelta(hours=24 - hours)),
        )
        for hours, status in ((30, "open"), (3, "open"), (2, "open"), (4, "rejected"))
    ]
    waiting = [*ask_to_erase([("acme", "pay_1")], now), *ask_to_erase([("acme", "pay_2")], None)]
    await gw.store.commit("acme", [*map(approvals.insert, made), *waiting])
    status = await status_of(gw)
    assert status.approvals == WaitingStatus(count=2, oldest=rfc3339(now - timedelta(hours=3)))
    assert status.erasures == WaitingStatus(count=1, oldest=rfc3339(now))
    assert [line.rpartition(": ")[2] for line in status.needs_person] == ["gateway approvals list"]


async def test_times_have_milliseconds(stack: GatewayStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere, also where the store has more."""

    async def reviews() -> tuple[int, str]:
        return 1, "2026-11-29T03:04:05.678901Z"

    monkeypatch.setattr(stack.gateway.store.queues, "reviews", reviews)
    assert (await status_of(stack.gateway)).reviews.oldest == "2026-11-29T03:04:05.678Z"


async def test_keys_that_expire(tmp_path: Path) -> None:
    """Within thirty days, and those that have expired; whether another key of the owner lasts longer."""

    def change(settings: dict[str, Any]) -> None:
        def key(name: str, digit: str, days: int) -> dict[str, str]:
            expires = datetime.now(UTC) + timedelta(days=days)
            return {"id": name, "sha256": digit * 64, "expires": expires.isoformat(timespec="seconds")}

        settings["tenants"]["acme"]["keys"] += [key("old", "a", -1), key("later", "b", 40)]
        settings["server"]["admin"]["keys"] = [key("dana", "c", 10)]

    async with running_stack(tmp_path, change=change) as stack:
        status = await status_of(stack.gateway)
    assert [(one.tenant, one.id, one.expired, one.is_last) for one in status.keys] == [
        ("acme", "old", True, False),
        (None, "dana", False, True),
    ]
    assert [line.split(" expires")[0] for line in status.needs_person] == ["key dana of the operators"]


async def test_a_reload_changes_what_is_shown(tmp_path: Path) -> None:
    """Keys, and what accounts were before, are found once for each version of the settings."""

    def change(settings: dict[str, Any]) -> None:
        soon = datetime.now(UTC) + timedelta(days=3)
        settings["tenants"]["acme"]["keys"][0]["expires"] = soon.isoformat(timespec="seconds")
        server = settings["server"]
        server["secrets"] = ["a-new-secret-of-the-tests-made-just-for-this-reload", server.pop("secret")]

    async with running_stack(tmp_path, change=with_operator) as stack:
        before = await status_of(stack.gateway.current.gateway)
        reply = await reload(stack, change)
        assert reply.status == 200, reply.text
        after = await status_of(stack.gateway.current.gateway)
    assert (before.keys, before.still_accepted) == ([], [])
    assert [(one.tenant, one.id) for one in after.keys] == [("acme", "k1")]
    assert {(one.tenant, one.account) for one in after.still_accepted} >= {("acme", "psp-main")}
