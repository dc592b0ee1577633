"""A process among those on its store: what it may still begin, and who does the gateway's own jobs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from gateway.core.errors import Unavailable
from gateway.drivers.clock import milliseconds
from gateway.drivers.store import claims
from gateway.drivers.store.databases import Databases
from gateway.drivers.store.nodes import LEASE, MARGIN
from gateway.drivers.store.reads import Store
from gateway.drivers.store.sqlite import open_sqlite
from gateway.drivers.store.statements import NO_TENANT
from gateway.drivers.store.tenant_map import TenantMap
from gateway.flows.nodes import Node
from tests.support.factories.store_units import database as database_in
from tests.support.shared_engine import SharedEngine, shared_database, shared_store
from tests.support.virtual_clock import VirtualClock

SECOND = timedelta(seconds=1)


@pytest.fixture
def database(clock: VirtualClock) -> Iterator[sqlite3.Connection]:
    """What the nodes share."""
    made = shared_database(clock)
    yield made
    made.close()


@pytest.fixture
def clock() -> VirtualClock:
    """Everybody's clock."""
    return VirtualClock()


def move(clock: VirtualClock, by: timedelta) -> None:
    """Let time pass."""
    clock.set(clock.now() + by)


async def test_work_begins_only_while_the_node_is_alive_for_certain(
    database: sqlite3.Connection, clock: VirtualClock
) -> None:
    """Nothing before it has joined, nothing shortly before its time is over, and again after a renewal in time."""
    node = Node(shared_store(database), clock, "node_a")
    assert not node.may_begin("acme", clock.now())
    await node.renew("h", "")
    claimed_at = clock.now()
    move(clock, LEASE - MARGIN - SECOND)
    assert node.may_begin("acme", claimed_at)
    await node.renew("h", "")
    move(clock, LEASE - MARGIN - SECOND)
    assert node.may_begin("acme", claimed_at)
    move(clock, SECOND)
    assert not node.may_begin("acme", claimed_at)


async def test_what_was_claimed_before_a_late_renewal_is_not_begun(
    database: sqlite3.Connection, clock: VirtualClock
) -> None:
    """Another may have taken it over and done it. What is claimed from then on may be begun."""
    node = Node(shared_store(database), clock, "node_a")
    await node.renew("h", "")
    claimed_at = clock.now()
    move(clock, LEASE)
    await node.renew("h", "")
    assert not node.may_begin("acme", claimed_at)
    assert node.may_begin("acme", clock.now())


async def test_a_renewal_counts_from_its_beginning_and_is_late_by_its_end(
    database: sqlite3.Connection, clock: VirtualClock
) -> None:
    """A store that took its time has kept others from seeing the node alive meanwhile."""
    engine = SharedEngine(database)
    node = Node(Store(engine), clock, "node_a")
    await node.renew("h", "")
    claimed_at = clock.now()
    move(clock, LEASE - MARGIN - SECOND)
    engine.before = lambda: move(clock, 2 * SECOND)
    began = clock.now()
    await node.renew("h", "")
    assert not node.may_begin("acme", claimed_at)
    assert not node.may_begin("acme", began)
    assert node.may_begin("acme", clock.now())
    (row,) = await node._store.nodes.all()
    assert row.alive_until == milliseconds(began + LEASE)
    clock.set(began + LEASE - MARGIN)
    assert not node.may_begin("acme", clock.now())


async def test_a_job_passes_on_when_its_node_leaves_or_dies(database: sqlite3.Connection, clock: VirtualClock) -> None:
    """One does it as long as it lives."""
    one, other = (Node(shared_store(database), clock, name) for name in ("node_a", "node_b"))
    for node in (one, other):
        await node.renew("h", "")
    assert (await one.does("retention"), await other.does("retention"), await other.does("index")) == (
        True,
        False,
        True,
    )
    await one.leave()
    assert (await other.does("retention"), await one.does("retention")) == (True, False)
    await one.renew("h", "")
    move(clock, LEASE - MARGIN)
    await one.renew("h", "")
    assert not await one.does("retention")
    move(clock, MARGIN)
    assert await one.does("retention")


class TwoDatabases(Databases):
    """One store of two databases: globex is in the second."""

    is_shared = True

    def __init__(self, *parts: Store) -> None:
        self._parts, self.tenants = parts, TenantMap(("main", "eu"))

    @property
    def by_name(self) -> dict[str, Store]:  # type: ignore[override]  # each has one database
        """Both."""
        return dict(zip(("main", "eu"), self._parts, strict=True))

    def of(self, tenant: str) -> Store:  # type: ignore[override]  # as above
        """The database of a tenant."""
        return self._parts[tenant == "globex"]


async def test_a_database_that_is_down_ends_no_lease_in_another(
    database: sqlite3.Connection, clock: VirtualClock
) -> None:
    """Each is renewed by itself; that one could not be is said when the others are."""

    async def refuse() -> int:
        raise Unavailable("the store cannot be read")

    further = shared_database(clock)
    down, up = shared_store(database), shared_store(further)
    two = TwoDatabases(down, up)
    node = Node(cast("Store", two), clock, "node_a")
    down.nodes.database_clock = refuse  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match=r"^store main: the store cannot be read$"):
        await node.renew("h", "")
    assert [(name, one.problem) for name, one in two.outages.items()] == [("main", "the store cannot be read")]
    assert not node.may_begin("acme", clock.now())
    assert node.may_begin("globex", clock.now())
    further.close()


async def test_clocks_are_compared(database: sqlite3.Connection) -> None:
    """A renewal notes how far the node's clock is ahead of the database's."""
    clock, theirs = VirtualClock(), VirtualClock()
    move(clock, 7 * SECOND)
    shared = shared_database(theirs)
    node = Node(shared_store(shared), clock, "node_a")
    await node.renew("h", "http://here")
    (row,) = await node._store.nodes.all()
    assert (row.clock_ahead, row.url, row.settings_hash) == (7000, "http://here", "h")
    shared.close()


async def test_alone_with_its_store_a_process_may_do_everything(tmp_path: Path, clock: VirtualClock) -> None:
    """It claims nothing, and is not named by what it sends."""
    store = await open_sqlite(database_in(tmp_path))
    node = Node(store, clock, "node_a")
    assert node.may_begin("acme", clock.now())
    assert await node.does("retention")
    assert node.sends_as is None
    with pytest.raises(Unavailable, match="not shared"):
        await store.claim(NO_TENANT, claims.claim_job("retention", node.claimant()))
    await store.close()
