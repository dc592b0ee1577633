"""The processes on the store, and what of them needs a person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import Unavailable
from gateway.drivers.clock import milliseconds
from gateway.drivers.store import nodes as nodes_table
from gateway.drivers.store.nodes import LEASE, NodeRow
from gateway.drivers.store.statements import NO_TENANT
from gateway.flows.status import nodes
from gateway.flows.status.read import status_of
from gateway.flows.status.shape import NodeStatus
from tests.drivers.test_store_nodes import node_row
from tests.support.several_gateways import several_gateways
from tests.support.stack import of_sqlite, running_stack
from tests.support.virtual_clock import VirtualClock


def node(name: str = "node_a", **members: Any) -> NodeStatus:
    """One that is well."""
    known = {"host": name, "pid": 7, "version": "1.0.0", "config_hash": "h", "url": "http://here:8080"}
    times = {"started_at": "2026-11-29T03:00:00.000Z", "lag_seconds": 2.0, "clock_skew_seconds": 0.01}
    return NodeStatus(**{"id": name, "is_alive": True, **known, **times, **members})


def said(*found: NodeStatus) -> list[str]:
    """What is said of nodes."""
    return list(nodes.sentences(found))


def test_nodes_that_are_well_need_nobody() -> None:
    """However many."""
    assert said(node(), node("node_b")) == []


@pytest.mark.parametrize(
    ("members", "begins", "ends"),
    [
        ({"version": "0.9.0"}, "nodes run different versions (0.9.0, 1.0.0): ", "gateway serve"),
        ({"config_hash": "g"}, "nodes work under different settings (g, h): ", "gateway reload"),
        (
            {"is_alive": False, "lag_seconds": 90.0},
            "node node_b (node_b, process 7) has ended without a word 90 ",
            "serve",
        ),
        ({"clock_skew_seconds": -2.5}, "the clock of node_b is -2.5 seconds from the database's: ", "timedatectl"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(members: dict[str, Any], begins: str, ends: str) -> None:
    """A sentence for each thing."""
    [line] = said(node(), node("node_b", **members))
    assert line.startswith(begins)
    assert line.endswith(ends)


def test_the_dead_differ_from_nobody() -> None:
    """What ran before an upgrade is only missing."""
    dead = node("node_b", version="0.9.0", config_hash="g", clock_skew_seconds=100.0, is_alive=False)
    assert len(said(node(), dead)) == 1


async def test_one_that_was_started_again_is_not_shown(tmp_path: Path) -> None:
    """A later process at the same place has taken over, also where that has left since; elsewhere one has not."""
    clock = VirtualClock()
    async with several_gateways(tmp_path, clock=clock) as stacks:
        gw = stacks[0].gateway
        now = milliseconds(clock.now())
        dead = {"host": "there", "url": "http://there", "renewed_at": now, "alive_until": now, "started_at": now - 9}

        async def shown(*rows: NodeRow) -> set[str]:
            await gw.store.commit(NO_TENANT, [nodes_table.renew(row) for row in rows])
            return {one.id for one in await nodes.nodes_of(gw, clock.now())} & {"node_dead", "node_later"}

        assert await shown(node_row("node_dead", **dead)) == {"node_dead"}
        elsewhere = {**dead, "url": "http://elsewhere", "started_at": now, "alive_until": 0}
        assert await shown(node_row("node_later", **elsewhere)) == {"node_dead"}
        assert await shown(node_row("node_again", **{**dead, "started_at": now, "alive_until": 0})) == set()


async def test_every_node_sees_all(tmp_path: Path) -> None:
    """Also the one that is dead, until it lives again."""
    clock = VirtualClock()
    async with several_gateways(tmp_path, clock=clock) as stacks:
        one, other = (stack.gateway for stack in stacks)
        await clock.advance(10)

        async def refuse() -> int:
            raise Unavailable("the store cannot be read")

        other.store.nodes.database_clock = refuse  # type: ignore[method-assign]
        await clock.advance(LEASE.total_seconds())
        status = await status_of(one)
        assert {found.id: found.is_alive for found in status.nodes} == {one.node.id: True, other.node.id: False}
        assert {found.url for found in status.nodes} == {stack.url for stack in stacks}
        assert [line for line in status.needs_person if other.node.id in line]
        assert [found.id for found in (await status_of(other)).nodes] == [found.id for found in status.nodes]


@of_sqlite
async def test_alone_with_its_store_a_process_shows_itself(tmp_path: Path) -> None:
    """Without reading anything."""
    async with running_stack(tmp_path) as stack:
        gw = stack.gateway
        [shown] = await nodes.nodes_of(gw, gw.clock.now())
        assert (shown.id, shown.url, shown.config_hash) == (gw.node.id, stack.url, gw.settings.shared_digest)
        assert (shown.lag_seconds, shown.is_alive) == (0.0, True)
