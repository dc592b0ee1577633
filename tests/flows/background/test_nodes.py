"""Gateways on one store know of each other, and one finds what another has left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.errors import Unavailable
from gateway.drivers.clock import milliseconds
from gateway.drivers.store.nodes import KEPT, LEASE, renew
from gateway.drivers.store.statements import NO_TENANT
from gateway.flows import search, storage
from gateway.flows.background import nodes, operator_events, retention
from gateway.flows.occurrences import Occurrence
from gateway.flows.runtime import Gateway
from gateway.flows.tasks import Timer, Timers
from gateway.web.server import running
from tests.drivers.test_store_nodes import node_row
from tests.flows.background.test_timelines import cut, move
from tests.support.scenarios.creditkey import idle
from tests.support.several_gateways import several_gateways
from tests.support.stack import GatewayStack, of_sqlite, psp_body, running_stack
from tests.support.virtual_clock import VirtualClock

NEVER = 2**60
ROUNDS = 130.0
"""Seconds in which each worker makes two rounds."""


def often(settings: dict[str, Any]) -> None:
    """The house is kept each minute."""
    settings["clocks"] = {"housekeeping": "1m"}


@pytest.fixture
def clock() -> VirtualClock:
    """Everybody's clock."""
    return VirtualClock()


@pytest.fixture
async def two(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[list[GatewayStack]]:
    """Two gateways on one store."""
    async with several_gateways(tmp_path, clock=clock, change=often) as stacks:
        yield stacks


async def test_each_gateway_stays_alive_until_it_stops(two: list[GatewayStack], clock: VirtualClock) -> None:
    """Much longer than a lease, with its settings and its address; who stops leaves at once."""
    store = two[0].gateway.store
    async with running(two[0].settings, two[0].registry, clock) as third:
        await clock.advance(10 * LEASE.total_seconds())
        rows = await store.nodes.all()
        assert {row.id for row in rows} == {one.gateway.node.id for one in (*two, third)}
        assert {row.url for row in rows} == {two[0].url, two[1].url, third.url}
        assert {row.settings_hash for row in rows} == {two[0].settings.shared_digest}
        assert all(row.alive_until > milliseconds(clock.now()) for row in rows)
    assert {row.id for row in await store.nodes.all() if row.alive_until} == {one.gateway.node.id for one in two}


async def test_a_renewal_that_fails_is_made_again(
    two: list[GatewayStack], clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Meanwhile nothing is begun, and the node lives again as soon as the store answers."""
    gw, claimed_at = two[0].gateway, clock.now()
    clock_of_store = gw.store.nodes.database_clock

    async def refuse() -> int:
        raise Unavailable("the store cannot be read")

    gw.store.nodes.database_clock = refuse  # type: ignore[method-assign]
    await clock.advance(LEASE.total_seconds())
    assert not gw.node.may_begin("acme", clock.now())
    assert not await two[1].gateway.node.is_alive("acme", gw.node.id)
    [*_, line] = [one for one in caplog.records if one.message == "this node could not be renewed"]
    assert vars(line)["problem"] == "store main: the store cannot be read"
    gw.store.nodes.database_clock = clock_of_store  # type: ignore[method-assign]
    await clock.advance(nodes.RENEW_AGAIN_SECONDS)
    assert gw.node.may_begin("acme", clock.now())
    assert not gw.node.may_begin("acme", claimed_at)
    assert await two[1].gateway.node.is_alive("acme", gw.node.id)


async def test_a_connection_that_is_lost_is_a_reason_to_look(
    tmp_path: Path, clock: VirtualClock, database_url: str
) -> None:
    """All look at once, so that a failover that lost nothing costs little."""
    async with several_gateways(tmp_path, clock=clock, url=database_url) as stacks:
        assert (await stacks[0].create(psp_body())).status == 201
        move(database_url, 2)
        began = clock.now()
        cut(database_url)
        creating = asyncio.create_task(stacks[1].create(psp_body(merchant_reference="second")))
        async with asyncio.timeout(20):
            while not creating.done():
                await clock.advance(nodes.LOOK_AGAIN_SECONDS / 10)
                await asyncio.sleep(0.01)
        assert (await creating).status == 201
        assert clock.now() - began < timedelta(seconds=nodes.RENEW_AGAIN_SECONDS)
        assert {one.gateway.restored_at for one in stacks} == {None}


async def test_what_another_has_left_wakes_the_workers(two: list[GatewayStack], clock: VirtualClock) -> None:
    """Within a few seconds: checks and callbacks, and the webhooks of those tenants that have some."""
    two[0].webhook_answer = lambda _: 503
    await two[0].create(psp_body())
    gw = two[1].gateway
    gw.check_timer, gw.inbox_timer, gw.webhook_timers = Timer(), Timer(), Timers()
    timers = [gw.check_timer, gw.inbox_timer, gw.webhook_timers["acme"], gw.webhook_timers["globex"]]
    for timer in timers:
        timer.reset(NEVER)
    await clock.advance(nodes.LOOK_SECONDS)
    assert [timer.at < NEVER for timer in timers] == [True, True, True, False]


async def test_a_store_that_cannot_be_read_is_looked_at_again(
    two: list[GatewayStack], clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker outlives it."""
    asked = []

    async def refuse(gw: object) -> None:
        asked.append(gw)
        raise Unavailable("the store cannot be read")

    monkeypatch.setattr(nodes, "look_for_work", refuse)
    await clock.advance(2 * nodes.LOOK_SECONDS)
    assert asked == [one.gateway for one in two] * 2


@pytest.mark.parametrize(
    ("worker", "does"),
    [(retention, "_round"), (search, "catch_up"), (operator_events, "report_unknown")],
    ids=["retention", "index", "operator events"],
)
async def test_a_job_is_done_by_one_node_and_by_another_when_that_ends(
    two: list[GatewayStack], clock: VirtualClock, monkeypatch: pytest.MonkeyPatch, worker: Any, does: str
) -> None:
    """One of them does every round."""
    did: list[Gateway] = []

    async def note(gw: Gateway, *_: object) -> Any:
        did.append(gw)
        return 0

    monkeypatch.setattr(worker, does, note)
    await clock.advance(ROUNDS)
    assert len(did) > 1
    first = did[0]
    assert set(did) == {first}
    did.clear()
    await first.node.leave()
    first.node.may_begin = lambda *_: False  # type: ignore[method-assign]  # as one that is stopping
    monkeypatch.setattr(first.node, "renew", idle)
    await clock.advance(ROUNDS)
    assert {gw.node.id for gw in did} == {one.gateway.node.id for one in two} - {first.node.id}


async def test_a_budget_that_runs_out_is_reported_by_one_node(two: list[GatewayStack]) -> None:
    """Each knows of it, for its status."""
    await two[0].create(psp_body())
    for one in two:
        limits = replace(one.gateway.settings.limits, tenant_bytes=100)
        one.gateway.settings = replace(one.gateway.settings, limits=limits)
        await storage.check(one.gateway)
        assert one.gateway.memory.budget_levels["acme"] == 100
    counts = [one.gateway.occurrences.counts[Occurrence.TENANT_NEAR_BUDGET] for one in two]
    assert counts == [1, 0]


async def test_the_dead_are_forgotten(two: list[GatewayStack], clock: VirtualClock) -> None:
    """By the node that keeps the house, an hour later."""
    store = two[0].gateway.store
    await store.commit(NO_TENANT, [renew(node_row("node_dead", renewed_at=milliseconds(clock.now() - KEPT)))])
    await clock.advance(ROUNDS)
    assert {row.id for row in await store.nodes.all() if row.alive_until} == {one.gateway.node.id for one in two}


@of_sqlite
async def test_alone_with_its_store_a_gateway_has_nothing_to_do(tmp_path: Path) -> None:
    """Nothing is written and nothing is looked for."""
    async with running_stack(tmp_path) as stack:
        await nodes.run(stack.current)
        with pytest.raises(Unavailable):
            await stack.gateway.store.nodes.all()
