"""The rows of a tenant's move, and the bar that no unit passes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import psycopg
import pytest

from gateway.core.errors import Conflict, TenantMoves
from gateway.drivers.clock import milliseconds
from gateway.drivers.store import claims, moves, nodes
from gateway.drivers.store.moves import Move, Step
from gateway.drivers.store.postgresql.engine import open_postgresql
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import NO_TENANT, Statement
from tests.drivers.test_store_nodes import node_row
from tests.support.factories.payments import AT
from tests.support.factories.store_units import create_of, reserving, stored

MOVE = Move(tenant="acme", to="eu", at=milliseconds(AT))


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """A database that several processes share."""
    opened = await open_postgresql(database_url, pool=4)
    yield opened
    await opened.close()


async def test_a_move_is_brought_further_by_one_command(store: Store) -> None:
    """Another one that has read it before meets a conflict."""
    await store.commit(NO_TENANT, [moves.announce(MOVE)])
    assert await store.moves.all() == [MOVE]
    after, step = moves.advance(MOVE, Step.BARRED)
    await store.commit(NO_TENANT, [step])
    for statement in (step, moves.delete(MOVE), moves.is_still(MOVE)):
        with pytest.raises(Conflict):
            await store.commit(NO_TENANT, [statement])
    await store.commit(NO_TENANT, [moves.is_still(after)])
    assert (await store.moves.all(), after.is_over) == ([after], False)


async def test_no_unit_passes_a_bar(store: Store) -> None:
    """Of that tenant: nothing of it is written, neither is what it would have grown. Others pass, and so do looks."""
    await store.commit(NO_TENANT, moves.begin_arrival(MOVE))
    assert await store.moves.arriving() == {"acme"}
    with pytest.raises(TenantMoves, match="tenant acme was moved to another store, or is being moved"):
        await stored(store, 1)
    await stored(store, 2, tenant="globex")
    await store.prove_writable(AT, "acme")
    assert [*await store.stored_bytes()] == ["globex"]
    assert await store.rows("SELECT id FROM payments WHERE tenant = 'acme'", ()) == []
    await store.commit(NO_TENANT, moves.end_arrival("acme"))
    await stored(store, 1)


async def test_a_conflict_is_told_from_a_bar(store: Store) -> None:
    """By the statement that did not touch one row."""
    payment, operation = create_of(1)
    await store.commit("acme", reserving(payment, operation))
    with pytest.raises(Conflict):
        await store.commit("acme", reserving(payment, operation))


async def test_a_unit_under_way_is_waited_for(store: Store, database_url: str) -> None:
    """One that has looked for the bar before it was set has its number by then."""
    async with await psycopg.AsyncConnection.connect(database_url) as other:
        await other.execute("INSERT INTO hints VALUES ('acme', 'pay_1', 'x', 1, 0)")
        await store.commit(NO_TENANT, [moves.bar("acme", AT)])
        begun = await store.moves.writing()
        assert not await store.moves.have_ended(begun)
        await other.commit()
    await asyncio.wait_for(_ended(store, begun), 10)
    assert await store.rows("SELECT payment_id FROM hints", ()) == [("pay_1",)]


async def test_a_unit_that_is_younger_than_the_bar_is_waited_for(store: Store, database_url: str) -> None:
    """It got its number while the bar was not committed yet, and did not see it."""
    async with (
        await psycopg.AsyncConnection.connect(database_url) as barring,
        await psycopg.AsyncConnection.connect(database_url) as other,
    ):
        await barring.execute("INSERT INTO moments (name, at) VALUES ('barred acme', 1)")
        await other.execute("INSERT INTO hints VALUES ('acme', 'pay_1', 'x', 1, 0)")
        await barring.commit()
        begun = await store.moves.writing()
        assert not await store.moves.have_ended(begun)
        await other.commit()
    await asyncio.wait_for(_ended(store, begun), 10)


async def _ended(store: Store, begun: set[str]) -> None:
    while not await store.moves.have_ended(begun):
        await store.commit(NO_TENANT, [Statement("UPDATE heartbeat SET at = at", ())])


async def test_nobody_waits_for_strangers(store: Store, database_url: str) -> None:
    """What is written in other databases of the server, and begun afterwards in this one, goes on as long as it may."""
    connect, number = psycopg.AsyncConnection.connect, "SELECT CAST(CAST(pg_current_xact_id() AS xid) AS TEXT)"
    async with await connect(database_url, dbname="postgres") as stranger, await connect(database_url) as later:
        ((theirs,),) = await (await stranger.execute(number)).fetchall()
        begun = await store.moves.writing()
        ((own,),) = await (await later.execute(number)).fetchall()
        assert not {theirs, own} & begun
        assert own in await store.moves.writing()


async def test_every_living_process_acknowledges_each_step(store: Store) -> None:
    """That it holds the tenant, and that it has followed; one that is over need not."""
    over = nodes.renew(node_row("node_over", alive_until=milliseconds(AT)))
    await store.commit(NO_TENANT, [nodes.renew(node_row("node_a")), nodes.renew(node_row("node_b")), over])
    now = AT + timedelta(milliseconds=1)
    await store.commit(NO_TENANT, [moves.acknowledge(MOVE, "node_a")])
    assert [one.id for one in await store.moves.not_acknowledged(MOVE, now)] == ["node_b"]
    await store.commit(NO_TENANT, [moves.acknowledge(MOVE, "node_b")] * 2)
    assert await store.moves.not_acknowledged(MOVE, now) == []
    done, _ = moves.advance(MOVE, Step.MOVED)
    assert len(await store.moves.not_acknowledged(done, now)) == 2


async def test_what_living_processes_do_is_counted(store: Store) -> None:
    """What they have claimed, and the operations that they send; not those of others that are over."""
    await store.commit(NO_TENANT, [nodes.renew(node_row("node_a"))])
    await store.claim("acme", claims.claim_ids("check", claims.Claimant("node_a", AT), "acme", ["pay_1"]))
    for number, sender in enumerate(("node_a", "node_gone"), start=1):
        payment, operation = create_of(number)
        await store.commit("acme", reserving(payment, operation))
        document = f'{{"node": "{sender}"}}'
        await store.commit("acme", [Statement("UPDATE payments SET open_doc = ? WHERE id = ?", (document, payment.id))])
    assert await store.moves.under_way("acme", AT) == 2
    assert await store.moves.under_way("globex", AT) == 0
