"""Gateways on one store: what one sends is not given up by another while it lives, and nothing is sent twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.core.errors import Unavailable
from gateway.core.payment import Operation, Status
from gateway.drivers.store.nodes import LEASE
from gateway.drivers.store.opening import refuse_living_nodes
from gateway.drivers.store.statements import Unit
from gateway.drivers.store.store_files import AlreadyRunning
from gateway.flows.runtime import Gateway
from gateway.web.server import running
from tests.support.passing_time import run_due_checks
from tests.support.stack import GatewayStack, psp_body
from tests.support.virtual_clock import VirtualClock


class Held:
    """Holds a gateway's calls to providers until they are let go."""

    def __init__(self, gw: Gateway) -> None:
        self.begun, self.let_go, self._send = asyncio.Event(), asyncio.Event(), gw.send
        gw.send = self  # type: ignore[assignment]  # the form of Send

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.begun.set()
        await self.let_go.wait()
        return await self._send(*args, **kwargs)


async def only_operation(gw: Gateway) -> Operation | None:
    """The one operation without an outcome."""
    found = [*await gw.store.open_operations("sending"), *await gw.store.open_operations("unknown")]
    assert len(found) <= 1
    return found[0] if found else None


async def status_after_checks(gw: Gateway) -> Status | None:
    """How the open operation stands after this gateway has checked what is due."""
    await run_due_checks(gw)
    operation = await only_operation(gw)
    return operation.status if operation is not None else None


async def test_what_a_living_node_sends_is_its_own(two: list[GatewayStack], clock: VirtualClock) -> None:
    """However long it takes; neither a check elsewhere nor a start gives it up. When the node dies, a check does."""
    one, other = two
    held = Held(one.gateway)
    creating = asyncio.create_task(one.create(psp_body()))
    await held.begun.wait()
    await clock.advance(other.gateway.schedules.silence.total_seconds() + 1)
    assert await status_after_checks(other.gateway) is Status.SENDING
    async with running(one.settings, one.registry, clock) as third:
        operation = await only_operation(third.gateway)
        assert operation is not None
        assert (operation.status, operation.node) == (Status.SENDING, one.gateway.node.id)

    async def refuse() -> int:
        raise Unavailable("the store cannot be read")

    one.gateway.store.nodes.database_clock = refuse  # type: ignore[method-assign]
    await clock.advance(120)
    assert await status_after_checks(other.gateway) is Status.UNKNOWN
    held.let_go.set()
    assert (await creating).status in (201, 202)
    await one.gateway.tasks.drain(10)
    assert await only_operation(one.gateway) is None
    assert len(await one.provider_orders("psp")) == 1


async def test_a_check_of_what_a_living_node_sends_is_not_repeated_at_once(
    two: list[GatewayStack], clock: VirtualClock
) -> None:
    """It waits as long as after a lookup that changed nothing."""
    one, other = two
    held = Held(one.gateway)
    creating = asyncio.create_task(one.create(psp_body()))
    await held.begun.wait()
    await clock.advance(other.gateway.schedules.silence.total_seconds() + 1)
    assert await run_due_checks(other.gateway) == 1
    assert await run_due_checks(other.gateway) == 0
    held.let_go.set()
    assert (await creating).json["state"] == "awaiting_customer"


async def test_a_node_that_was_held_up_sends_nothing_that_it_had_reserved(
    two: list[GatewayStack], clock: VirtualClock
) -> None:
    """Others may have given it up and looked for it: it is certain that nothing was sent, and never will be."""
    one, _ = two
    commit = one.gateway.store.commit

    async def then_held_up(tenant: str, unit: Unit) -> None:
        await commit(tenant, unit)
        if any("INSERT INTO payments" in statement.sql for statement in unit):
            clock.set(clock.now() + LEASE)

    one.gateway.store.commit = then_held_up  # type: ignore[method-assign]
    created = await one.create(psp_body())
    assert created.json["failure"]["code"] == "not_sent"
    assert await one.provider_requests("psp") == []


async def test_an_operation_that_lost_its_task_is_resolved_by_its_own_node(
    two: list[GatewayStack], clock: VirtualClock
) -> None:
    """As where there is one process only: the node lives, but nothing in it sends."""
    one, other = two
    held = Held(one.gateway)
    creating = asyncio.create_task(one.create(psp_body()))
    await held.begun.wait()
    operation = await only_operation(one.gateway)
    assert operation is not None
    one.gateway.tasks._running.pop(operation.id).cancel()
    await clock.advance(one.gateway.schedules.silence.total_seconds() + 1)
    assert await status_after_checks(other.gateway) is Status.SENDING
    await clock.advance(120)
    assert await status_after_checks(one.gateway) is Status.UNKNOWN
    assert (await creating).status == 202


async def test_what_needs_the_store_for_itself_is_refused_while_nodes_live(two: list[GatewayStack]) -> None:
    """It names them; when all have left it may begin."""
    gw = two[0].gateway
    with pytest.raises(AlreadyRunning, match=rf"process {gw.node.pid}; .+, process {gw.node.pid}$"):
        await refuse_living_nodes(gw.store, gw.clock.now())
    for one in two:
        await one.gateway.node.leave()
    await refuse_living_nodes(gw.store, gw.clock.now())
