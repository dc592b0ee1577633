"""Processes on one store: who is alive, and who is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.drivers.clock import milliseconds
from gateway.drivers.store import claims, nodes
from gateway.drivers.store.claims import Claimant
from gateway.drivers.store.nodes import KEPT, LEASE, NodeRow
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import NO_TENANT
from tests.support.factories.payments import AT
from tests.support.shared_engine import shared_database, shared_store
from tests.support.virtual_clock import VirtualClock


@pytest.fixture
def store() -> Iterator[Store]:
    """A store that several processes share; its own clock stands at ``AT``."""
    database = shared_database(VirtualClock(AT))
    yield shared_store(database)
    database.close()


def node_row(name: str, **members: Any) -> NodeRow:
    """A node that has just renewed its row."""
    given = {"id": name, "host": "here", "pid": 7, "version": "1", "settings_hash": "h", "url": "", "clock_ahead": 0}
    at = milliseconds(AT)
    times = {"started_at": at, "renewed_at": at, "alive_until": milliseconds(AT + LEASE)}
    return NodeRow(**{**given, **times, **members})


async def test_a_node_lives_as_long_as_it_renews(store: Store) -> None:
    """It is alive until its time is over, however often it is renewed, and not after that."""
    await store.commit(NO_TENANT, [nodes.renew(node_row("node_a"))])
    later = AT + LEASE / 2
    renewed = replace(node_row("node_a"), alive_until=milliseconds(later + LEASE), url="http://here", clock_ahead=9)
    await store.commit(NO_TENANT, [nodes.renew(renewed)])
    assert await store.nodes.all() == [renewed]
    assert await store.nodes.is_alive("node_a", AT + LEASE)
    assert not await store.nodes.is_alive("node_a", later + LEASE)
    assert not await store.nodes.is_alive("node_b", AT)


async def test_nodes_are_listed_by_age(store: Store) -> None:
    """Also one that is dead or has left, until it is forgotten: what it had claimed is taken over by its row."""
    for name, started in (("node_b", 2), ("node_a", 3), ("node_c", 1)):
        await store.commit(NO_TENANT, [nodes.renew(node_row(name, started_at=started))])
    await store.commit(NO_TENANT, [nodes.leave("node_b")])
    assert [(one.id, one.alive_until > 0) for one in await store.nodes.all()] == [
        ("node_c", True),
        ("node_b", False),
        ("node_a", True),
    ]


async def test_the_dead_are_forgotten_with_their_claims(store: Store) -> None:
    """What stopped long ago goes, and what it had claimed; what is alive keeps its claims."""
    for name, lived in (("node_a", timedelta(0)), ("node_b", KEPT)):
        renewed, until = milliseconds(AT + lived), milliseconds(AT + lived + LEASE)
        await store.commit(NO_TENANT, [nodes.renew(node_row(name, renewed_at=renewed, alive_until=until))])
        await store.claim(NO_TENANT, claims.claim_job(name, Claimant(name, AT)))
    await store.commit(NO_TENANT, nodes.forget_dead(AT + KEPT + timedelta(seconds=1)))
    assert [one.id for one in await store.nodes.all()] == ["node_b"]
    left = await store._engine.rows("SELECT id FROM claims", ())
    assert left == [("node_b",)]


async def test_the_database_says_its_time(store: Store) -> None:
    """Only to compare."""
    assert await store.nodes.database_clock() == milliseconds(AT)
