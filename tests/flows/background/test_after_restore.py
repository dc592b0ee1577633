"""What follows a restored store, whatever its size, and whoever is interrupted."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import Unavailable
from gateway.drivers.store.metadata import COPIED, RESTORED, delete_timestamp, set_timestamp
from gateway.drivers.store.pending_erasures import ask_to_erase
from gateway.drivers.store.statements import NO_TENANT, Unit
from gateway.flows.audit import Act, Actor
from gateway.flows.background import after_restore, reconcile, startup
from tests.support.factories.store_units import stored
from tests.support.scenarios.creditkey import act, awaiting, idle
from tests.support.several_gateways import one_on_shared
from tests.support.stack import GatewayStack, psp_body

ACT = Act(name="recover", by=Actor(key_id="command line"))


@pytest.fixture
async def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_url: str | None) -> AsyncIterator[GatewayStack]:
    """A gateway on a store that others may share, with batches of two; nobody checks payments."""
    monkeypatch.setattr(reconcile, "run", idle)
    monkeypatch.setattr(after_restore, "BATCH_SIZE", 2)
    monkeypatch.setattr(after_restore, "PAUSE_SECONDS", 0.0)
    async with one_on_shared(tmp_path, url=shared_url) as opened:
        yield opened


async def made(stack: GatewayStack) -> dict[str, bool]:
    """Payments of two tenants, none of which is due yet: whether each may still move."""
    payments = {(await awaiting(stack))["id"]: True for _ in range(3)}
    payments |= {(await stack.create(psp_body(), tenant="globex")).json["id"]: True for _ in range(2)}
    for _ in range(2):
        ended = await awaiting(stack)
        assert (await act(stack, ended, "cancel")).json["state"] == "canceled"
        payments[ended["id"]] = False
    assert await due(stack) == set()
    return payments


async def due(stack: GatewayStack) -> set[str]:
    """The payments that are due now."""
    rows = await stack.gateway.store.due_checks(stack.gateway.clock.now(), 100)
    return {row.payment_id for row in rows}


class Writes:
    """Counts the units in which payments are made due, and lets the one of a number fail."""

    def __init__(self, stack: GatewayStack, failing: int | None = None) -> None:
        self.count, self._failing = 0, failing
        self._store, self._commit = stack.gateway.store, stack.gateway.store.commit
        self._store.commit = self._counted  # type: ignore[method-assign]

    async def _counted(self, tenant: str, unit: Unit) -> None:
        if any("UPDATE payments SET due_at" in one.sql for one in unit):
            self.count += 1
            if self.count == self._failing:
                raise Unavailable("planted")
        await self._commit(tenant, unit)


async def test_all_payments_that_may_move_are_due_after_batches(stack: GatewayStack) -> None:
    """Those that have ended are not; each transaction is of a few payments."""
    payments, writes = await made(stack), Writes(stack)
    await startup.recover_restored(stack.gateway, ACT)
    assert await due(stack) == {identifier for identifier, may_move in payments.items() if may_move}
    assert writes.count == 4  # of seven payments


async def test_what_was_interrupted_goes_on_where_it_was(stack: GatewayStack) -> None:
    """The store fails in the third batch: the rest is made due later, those before it once."""
    payments, writes = await made(stack), Writes(stack, failing=3)
    with pytest.raises(Unavailable):
        await startup.recover_restored(stack.gateway, ACT)
    assert len(await due(stack)) < sum(payments.values())
    await after_restore.go_on(stack.gateway)
    await stack.gateway.tasks.drain(10)
    assert await due(stack) == {identifier for identifier, may_move in payments.items() if may_move}
    assert writes.count == 3 + 2
    await after_restore.go_on(stack.gateway)
    assert not stack.gateway.tasks.is_running(after_restore.WORK)


class Died(BaseException):
    """The process ended here."""


async def dies(work: Coroutine[Any, Any, object], stack: GatewayStack, *, before: int) -> bool:
    """Do work until it is about to write its unit of this number; False where it has fewer."""
    commit, ours, count = stack.gateway.store.commit, asyncio.current_task(), itertools.count(1)

    async def counted(tenant: str, unit: Unit) -> None:
        if asyncio.current_task() is ours and next(count) == before:
            raise Died
        await commit(tenant, unit)

    stack.gateway.store.commit = counted  # type: ignore[method-assign]
    try:
        await work
    except Died:
        return True
    finally:
        stack.gateway.store.commit = commit  # type: ignore[method-assign]
    return False


async def test_a_restore_may_die_before_any_of_its_units(stack: GatewayStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a backup still, and recovered again; or a start goes on. All is due then, and nothing is being sent."""
    monkeypatch.setattr(after_restore, "BATCH_SIZE", 5)
    payments, gw = await made(stack), stack.gateway
    find = gw.store.metadata.timestamp
    for number in itertools.count(1):
        payment, _ = await stored(gw.store, number, account="psp-main", provider="psp_open_api")  # which was being sent
        payments[payment.id] = True
        copied = [set_timestamp(COPIED, gw.clock.now()), delete_timestamp(RESTORED)]
        await gw.store.commit(NO_TENANT, [*copied, *ask_to_erase([("acme", "pay_gone")], gw.clock.now())])
        if not await dies(startup.recover_restored(gw, ACT), stack, before=number):
            break
        is_backup = await find(COPIED) is not None
        await (startup.recover_restored(gw, ACT) if is_backup else after_restore.finish(gw))
        assert await due(stack) >= {identifier for identifier, may_move in payments.items() if may_move}, number
        assert (await gw.store.open_operations("sending"), await gw.store.metadata.unchecked()) == ([], None), number
        assert (await find(COPIED), await find(RESTORED) is not None) == (None, True), number
        assert await gw.store.pending_erasures.page(("", ""), 9) == [], number
    assert number > 5


async def test_a_node_that_becomes_careful_does_not_wait_for_it(
    stack: GatewayStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has to renew its row meanwhile; and there is one such task at a time."""
    payments, gw, tries = await made(stack), stack.gateway, list[Unit]()
    commit, may_go_on = gw.store.commit, asyncio.Event()

    async def slow(tenant: str, unit: Unit) -> None:
        if any("UPDATE payments SET due_at" in one.sql for one in unit):
            tries.append(unit)
            await may_go_on.wait()
        await commit(tenant, unit)

    async def lost(*_: Any) -> bool:
        return gw.restored_at is None

    monkeypatch.setattr(gw.store, "commit", slow)
    monkeypatch.setattr(startup, "has_lost_units", lost)
    async with asyncio.timeout(10):
        await startup.stay_careful(gw)
        await after_restore.go_on(gw)
    assert gw.restored_at is not None
    assert gw.tasks.is_running(after_restore.WORK)
    may_go_on.set()
    await gw.tasks.drain(10)
    assert (len(await due(stack)), len(tries)) == (sum(payments.values()), 4)
