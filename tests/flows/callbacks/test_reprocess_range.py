"""Stored callbacks of a range, processed again: each is counted by what it comes to, and named."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.views import rfc3339
from gateway.drivers.store.inbox import InboxRange
from gateway.flows.background import inbox_retry
from gateway.flows.callbacks.reprocess import Order
from gateway.flows.callbacks.reprocess_range import reprocess_range
from tests.support.clients.psp_callbacks import new_payment
from tests.support.scenarios import creditkey
from tests.support.scenarios.inbox import RIGHT, WRONG, admin, balked, deliver, inbox_stack, rows, state_of, verdicts
from tests.support.stack import GatewayStack
from tests.support.virtual_clock import VirtualClock


@pytest.fixture
async def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[GatewayStack, VirtualClock]]:
    """A stack with an operators' key whose inbox nobody works off by itself, and its clock."""
    monkeypatch.setattr(inbox_retry, "run", creditkey.idle)
    async with inbox_stack(tmp_path) as stack:
        yield stack


async def again(stack: GatewayStack, how: str, **body: Any) -> Any:
    """Process a range again."""
    reply = await admin(stack, "POST", f"/admin/v1/inbox/{how}", body)
    assert reply.status == 200, reply.text
    return reply.json


async def test_a_range_is_replayed(opened: tuple[GatewayStack, VirtualClock]) -> None:
    """What was pending is applied, what was applied is repeated, what was never proved is not in it."""
    stack, _ = opened
    done, waits = await new_payment(stack), await new_payment(stack)
    await deliver(stack, done)
    await balked(stack, waits, transaction_id="T-2")
    await deliver(stack, done, WRONG)
    tried = await again(stack, "replay", dry_run=True)
    assert tried["counts"] == {"applied": 1, "repeated": 1, "refused": 0, "failed": 0}
    assert await state_of(stack, waits) == "awaiting_customer"
    made = await again(stack, "replay", account="psp-main", tenant="acme", reason="the disk is well again")
    assert (made["counts"], [one["payment_id"] for one in made["data"]]) == (tried["counts"], [done["id"], waits["id"]])
    assert await state_of(stack, waits) == "captured"
    acts = (await admin(stack, "GET", "/admin/v1/audit")).json["data"]
    assert {(one["act"], one["reason"]) for one in acts[:2]} == {("inbox.replay", "the disk is well again")}
    assert (await again(stack, "replay"))["counts"]["repeated"] == 2


async def test_only_what_came_between_two_times(opened: tuple[GatewayStack, VirtualClock]) -> None:
    """From the first on, and before the second."""
    stack, clock = opened
    times = []
    for number in range(3):
        times.append(rfc3339(clock.now()))
        await deliver(stack, await new_payment(stack), transaction_id=f"T-{number}")
        clock.set(clock.now() + timedelta(minutes=10))
    stored = [row.id for row in await rows(stack)]
    found = await again(stack, "replay", since=times[1], until=times[2], dry_run=True)
    assert [one["id"] for one in found["data"]] == stored[1:2]
    assert [one["id"] for one in (await again(stack, "replay", until=times[1], dry_run=True))["data"]] == stored[:1]


async def test_refused_callbacks_are_verified_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that was mistyped for a day: corrected, all of them are applied, and a stranger's stays refused."""
    monkeypatch.setattr(inbox_retry, "run", creditkey.idle)
    async with inbox_stack(tmp_path, WRONG) as (stack, _):
        payments = [await new_payment(stack) for _ in range(3)]
        for number, payment in enumerate(payments):
            await deliver(stack, payment, RIGHT, transaction_id=f"T-{number}")
        await deliver(stack, payments[0], "somebody-elses-token-0123456789-abcdef")
        assert await verdicts(stack) == ["refused"] * 4
    async with inbox_stack(tmp_path, RIGHT) as (stack, _):
        made = await again(stack, "reverify", account="psp-main")
        assert made["counts"] == {"applied": 3, "repeated": 0, "refused": 1, "failed": 0}
        assert [await state_of(stack, payment) for payment in payments] == ["captured"] * 3


async def test_a_range_goes_on_at_the_cursor(opened: tuple[GatewayStack, VirtualClock]) -> None:
    """Each page begins after the last id of the one before, whatever became of it."""
    stack, _ = opened
    for number in range(3):
        await deliver(stack, await new_payment(stack), transaction_id=f"T-{number}")
    wanted, order = InboxRange(limit=2, is_proved=True), Order(by="k1", how="replay")
    first = await reprocess_range(stack.gateway, ["acme", "globex"], wanted, order)
    second = await reprocess_range(stack.gateway, ["acme"], replace(wanted, cursor=first[-1].id), order)
    assert [one.id for one in (*first, *second)] == [row.id for row in await rows(stack)]


async def test_one_that_fails_does_not_stop_the_others(opened: tuple[GatewayStack, VirtualClock]) -> None:
    """A callback whose body was too large to keep cannot be verified again: it is named with the reason."""
    stack, _ = opened
    await deliver(stack, await new_payment(stack), WRONG, note="x" * 10_000)
    await deliver(stack, await new_payment(stack), WRONG)
    made = await again(stack, "reverify")
    assert (made["counts"]["failed"], made["counts"]["refused"]) == (1, 1)
    [failed] = made["failed"]
    assert (failed["id"], "too large" in failed["problem"]) == ((await rows(stack))[0].id, True)
