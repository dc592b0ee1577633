"""A database on another timeline: nothing is lost, or all gateways are as careful as after a restored backup."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psycopg
import pytest
from msgspec.structs import replace

from gateway.core.errors import Unavailable
from gateway.drivers.store.audit import AuditFilter
from gateway.drivers.store.nodes import LEASE, NodeRow, renew
from gateway.drivers.store.postgresql.engine import POOL
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import NO_TENANT
from gateway.flows.background import nodes, startup
from gateway.flows.background.timelines import OTHERS_LOOK_WITHIN, may_be_older
from gateway.flows.restore import keys_may_be_lost
from gateway.flows.runtime import Gateway
from gateway.web.server import running
from tests.support.several_gateways import several_gateways
from tests.support.stack import GatewayStack, psp_body
from tests.support.virtual_clock import VirtualClock


@pytest.fixture
def clock() -> VirtualClock:
    """Everybody's clock."""
    return VirtualClock()


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gateways look when a test says so."""

    async def wait(gw: Gateway, pause: float) -> None:
        await gw.clock.sleep(pause)

    monkeypatch.setattr(nodes, "_wait", wait)


@pytest.fixture
async def two(tmp_path: Path, clock: VirtualClock, database_url: str) -> AsyncIterator[list[GatewayStack]]:
    """Two gateways on one database."""
    async with several_gateways(tmp_path, clock=clock, url=database_url) as stacks:
        yield stacks


@contextlib.asynccontextmanager
async def one_more(stacks: list[GatewayStack], clock: VirtualClock) -> AsyncIterator[Gateway]:
    """Start another gateway on the database of these."""
    async with running(stacks[0].settings, stacks[0].registry, clock) as server:
        yield server.gateway


def run(url: str, sql: str) -> None:
    """Do something to the database that gateways do not."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.encode())


def cut(url: str) -> None:
    """End all connections to the database."""
    others = "pid <> pg_backend_pid() AND datname = current_database()"
    run(url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")  # noqa: S608  # our own words


def move(url: str, timeline: int) -> None:
    """Let the server say that it is on another timeline, as after a promotion."""
    run(
        url,
        "CREATE OR REPLACE FUNCTION server_timeline() RETURNS TEXT LANGUAGE sql"
        f" AS $$ SELECT '7/{timeline:08X}'::text $$",
    )


async def test_a_failover_that_lost_nothing_changes_nothing(
    two: list[GatewayStack], clock: VirtualClock, database_url: str
) -> None:
    """Those that were there find what they wrote last, and say so to those that start."""
    assert (await two[0].create(psp_body())).status == 201
    move(database_url, 2)
    for stack in two:
        await startup.stay_careful(stack.gateway)
        assert stack.gateway.restored_at is None
    async with one_more(two, clock) as third:
        assert third.restored_at is None


async def test_a_failover_that_lost_units_makes_all_careful(
    two: list[GatewayStack], clock: VirtualClock, database_url: str
) -> None:
    """One gateway misses its last unit, and the others, which miss nothing, learn it; also those that start."""
    one, other = two
    assert (await one.create(psp_body())).status == 201
    move(database_url, 2)
    await startup.stay_careful(other.gateway)
    run(database_url, "DELETE FROM units WHERE tenant = 'acme'")
    for stack in (one, other):
        await startup.stay_careful(stack.gateway)
        assert keys_may_be_lost(stack.gateway)
    async with one_more(two, clock) as third:
        assert keys_may_be_lost(third)


async def reconnect(stack: GatewayStack, url: str) -> None:
    """Let all connections be lost; what is read next opens one."""
    cut(url)
    for _ in range(POOL):
        with contextlib.suppress(Unavailable):  # where a connection's end was not seen yet
            await stack.gateway.store.metadata.server()


async def test_nothing_is_begun_until_all_have_looked(two: list[GatewayStack], database_url: str) -> None:
    """From the first new connection on; then what waits goes on."""
    one, other = (stack.gateway for stack in two)
    assert (await two[0].create(psp_body())).status == 201
    move(database_url, 2)
    await reconnect(two[0], database_url)
    waiting = asyncio.create_task(two[0].create(psp_body(merchant_reference="second")))
    await one.node.renew(one.settings.digest, one.bound_url)
    await startup.stay_careful(one)
    assert (one.store.gate.is_held, waiting.done()) == (True, False)
    await startup.stay_careful(other)
    await startup.stay_careful(one)
    assert (await waiting).status == 201
    assert (one.restored_at, one.store.gate.is_held) == (None, False)


async def test_who_lacks_nothing_is_careful_before_anything_is_begun(
    two: list[GatewayStack], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that looks last misses a unit: what waits at the other is refused, and may be sent again."""

    async def keeps() -> bool:
        return True

    one, other = (stack.gateway for stack in two)
    assert (await two[1].create(psp_body())).status == 201
    move(database_url, 2)
    run(database_url, "DELETE FROM units WHERE tenant = 'acme'")
    monkeypatch.setattr(one.store, "keeps_last_units", keeps)
    await reconnect(two[0], database_url)
    waiting = asyncio.create_task(two[0].create(psp_body(merchant_reference="second")))
    await startup.stay_careful(one)
    assert one.store.gate.is_held
    await startup.stay_careful(other)
    await startup.stay_careful(one)
    assert (await waiting).status == 503
    assert keys_may_be_lost(one)
    assert not one.store.gate.is_held


async def test_who_may_know_more_and_is_gone_makes_all_careful(
    two: list[GatewayStack], clock: VirtualClock, database_url: str
) -> None:
    """It died with the server, perhaps, and nobody knows what it had written."""
    gw = two[0].gateway
    dead = gw.node.row("hash", "http://127.0.0.1:1", clock.now())
    await gw.store.commit(NO_TENANT, [renew(replace(dead, id="node_dead"))])
    move(database_url, 2)
    await reconnect(two[0], database_url)
    for stack in two:
        await startup.stay_careful(stack.gateway)
    assert (gw.restored_at, gw.store.gate.is_held) == (None, True)
    clock.set(clock.now() + OTHERS_LOOK_WITHIN)
    await startup.stay_careful(gw)
    assert keys_may_be_lost(gw)
    assert not gw.store.gate.is_held


async def test_a_start_where_nobody_was_is_careful(tmp_path: Path, clock: VirtualClock, database_url: str) -> None:
    """Whether it was a restore or a failover cannot be known then; it is on record, and the next start asks no more."""
    async with several_gateways(tmp_path, 1, clock=clock, url=database_url) as stacks:
        assert stacks[0].gateway.restored_at is None
    move(database_url, 2)
    async with one_more(stacks, clock) as gw:
        assert keys_may_be_lost(gw)
        restored_at = gw.restored_at
        (newest,) = await gw.store.audit.newest(AuditFilter(limit=1))
        assert (newest.act, '"restored":true' in newest.details) == ("start", True)
    await clock.advance(60)
    async with one_more(stacks, clock) as gw:
        assert gw.restored_at == restored_at


async def test_an_operator_s_word_is_enough(tmp_path: Path, clock: VirtualClock, database_url: str) -> None:
    """``gateway recover`` without ``--restored`` says that nothing is lost: the next start is as any other."""
    async with several_gateways(tmp_path, 1, clock=clock, url=database_url) as stacks:
        move(database_url, 2)
        await startup.begin(stacks[0].gateway)
    async with one_more(stacks, clock) as gw:
        assert gw.restored_at is None


async def test_a_restored_database_s_dead_are_waited_for(
    tmp_path: Path, clock: VirtualClock, database_url: str
) -> None:
    """It shows processes that seem to live and do not: what they know is waited for until their time is over."""
    async with several_gateways(tmp_path, 1, clock=clock, url=database_url) as stacks:
        gw = stacks[0].gateway
        dead = gw.node.row("hash", "http://127.0.0.1:1", clock.now() - LEASE / 2)
        await gw.store.commit(NO_TENANT, [renew(replace(dead, id="node_dead"))])
        move(database_url, 2)
        hurried = Hurried(clock.now())
        starting = SimpleNamespace(node=gw.node, store=gw.store, clock=hurried)
        assert await may_be_older(cast("Gateway", starting))
        assert LEASE / 2 <= hurried.now() - clock.now() < LEASE


async def test_a_process_that_waits_for_others_vouches_for_nothing(two: list[GatewayStack], database_url: str) -> None:
    """It renews its row while it waits, but it was not there before."""
    gw = two[0].gateway
    move(database_url, 2)
    gw.memory.servers.clear()  # as before its start has ended
    await startup.stay_careful(gw)
    now, noted = await gw.store.metadata.server()
    assert now != noted


async def test_processes_that_start_together_do_not_wait_for_one_another_for_ever(
    two: list[GatewayStack], clock: VirtualClock, database_url: str
) -> None:
    """Each seems to live to the other, and neither was there: both are careful."""
    move(database_url, 2)
    for stack in two:
        hurried = Hurried(clock.now())
        starting = SimpleNamespace(node=stack.gateway.node, store=LongLived(stack.gateway.store), clock=hurried)
        assert await may_be_older(cast("Gateway", starting))


class LongLived:
    """A store whose processes renew their rows for ever."""

    def __init__(self, store: Store) -> None:
        self.parts, self.nodes = store.parts, self
        self._store = store

    async def all(self) -> list[NodeRow]:
        """All of them."""
        return [replace(one, alive_until=2**62) for one in await self._store.nodes.all()]


class Hurried(VirtualClock):
    """Sleeps in no time."""

    async def sleep(self, seconds: float) -> None:
        """Move on."""
        self.set(self.now() + timedelta(seconds=seconds))
