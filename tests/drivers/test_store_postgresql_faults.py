"""Whatever befalls the server or a connection: a unit is written exactly once, or its caller is told that it is not."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from gateway.core.errors import Conflict, Unavailable
from gateway.drivers.store.postgresql.engine import open_postgresql
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import Statement
from tests.drivers.test_store_inbox import EVENT, insert, verdict_of
from tests.support import postgresql
from tests.support.factories.store_units import create_of, reserving
from tests.support.postgresql_cluster import NOT_DURABLE, running_cluster
from tests.support.servers.cut_proxy import cut_proxy

RAISE = """
    CREATE SEQUENCE raised;
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('raised') <= {times} THEN RAISE EXCEPTION 'as told' USING ERRCODE = '{state}'; END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER fail BEFORE INSERT ON payments FOR EACH ROW EXECUTE FUNCTION fail()"""
"""The first inserts fail; a sequence is not undone with its transaction."""

HOLD = "INSERT INTO idempotency_keys VALUES ('acme', 'key-00000001', '', '', '', 0)"
"""Who holds this row keeps the unit of the first payment waiting, its payment written but not committed."""

WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"

END_BLOCKED = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND %s = ANY (pg_blocking_pids(pid))"
)
"""End the processes that wait for another one."""


@contextlib.asynccontextmanager
async def store_on(url: str, **limits: float) -> AsyncIterator[Store]:
    """A store of a test's own."""
    store = await open_postgresql(url, **limits)  # type: ignore[arg-type]
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def shared(database_url: str) -> AsyncIterator[Store]:
    """An empty store."""
    async with store_on(database_url) as store:
        yield store


@pytest.fixture
def beside(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of somebody else's, each statement of which is a transaction."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@contextlib.contextmanager
def held(url: str) -> Iterator[psycopg.Connection[Any]]:
    """Hold the row that the first unit waits for; it is given back at the end of the block."""
    with psycopg.connect(url) as holder:
        holder.execute(HOLD)
        yield holder
        holder.rollback()


def commit(store: Store, number: int) -> asyncio.Task[None]:
    """Begin to write a new payment with all that comes with it."""
    return asyncio.create_task(store.commit("acme", reserving(*create_of(number))))


async def waiting(beside: psycopg.Connection[Any], number: int = 1) -> list[int]:
    """The processes of the server that wait for a lock, as soon as there are so many."""
    async with asyncio.timeout(10):
        while len(found := beside.execute(WAITING).fetchall()) < number:
            await turn()
    return [process for (process,) in found]


async def turn() -> None:
    """Let others go on."""
    await asyncio.sleep(0)


def written(beside: psycopg.Connection[Any], number: int) -> tuple[int, ...]:
    """How often each part of a payment's unit is there, and its growth against what it takes."""
    counts = [
        beside.execute(f"SELECT count(*) FROM {table} WHERE {column} = %s".encode(), (f"pay_{number:03}",)).fetchall()  # noqa: S608  # our own names
        for table, column in (("payments", "id"), ("idempotency_keys", "payment_id"), ("events", "payment_id"))
    ]
    return tuple(count for ((count,),) in counts)


ONCE, NOT = (1, 1, 1), (0, 0, 0)


@pytest.mark.parametrize("state", ["40001", "40P01"])
async def test_what_was_undone_for_others_is_written_the_next_time(
    shared: Store, beside: psycopg.Connection[Any], state: str
) -> None:
    """Serialization failures and deadlocks: the server has undone all of the unit."""
    beside.execute(RAISE.format(times=3, state=state).encode())
    await commit(shared, 1)
    assert written(beside, 1) == ONCE
    assert beside.execute("SELECT last_value FROM raised").fetchall() == [(4,)]


async def test_of_two_units_in_a_deadlock_both_are_written(database_url: str, beside: psycopg.Connection[Any]) -> None:
    """The server ends one of them; it is begun anew behind the other."""
    name = urlsplit(database_url).path.removeprefix("/")
    beside.execute(f"ALTER DATABASE {name} SET deadlock_timeout = '20ms'".encode())
    rows = [Statement("UPDATE moments SET at = at + 1 WHERE name = ?", (name,), "row") for name in ("a", "b")]
    async with store_on(database_url) as store:
        beside.execute("INSERT INTO moments VALUES ('a', 0), ('b', 0), ('c', 0)")
        with psycopg.connect(database_url) as barrier:
            barrier.execute("UPDATE moments SET at = 0 WHERE name = 'c'")
            third = Statement("UPDATE moments SET at = at + 1 WHERE name = ?", ("c",), "row")
            units = [[rows[0], third, rows[1]], [rows[1], third, rows[0]]]
            under_way = [asyncio.create_task(store.commit("acme", unit)) for unit in units]
            await waiting(beside, 2)
        await asyncio.gather(*under_way)
    assert dict(beside.execute("SELECT name, at FROM moments").fetchall()) == {"a": 2, "b": 2, "c": 2}


@pytest.mark.parametrize("state", ["53100", "53200", "57014", "55P03", "XX000"])
async def test_what_the_server_has_no_means_for_is_not_written(
    shared: Store, beside: psycopg.Connection[Any], state: str
) -> None:
    """Disk or memory full, a time that is over, a fault of its own: said so, and the next unit is written."""
    beside.execute(RAISE.format(times=1, state=state).encode())
    with pytest.raises(Unavailable, match=state):
        await commit(shared, 1)
    assert written(beside, 1) == NOT
    await commit(shared, 1)
    assert written(beside, 1) == ONCE


async def test_a_lock_is_not_waited_for_without_end(database_url: str, beside: psycopg.Connection[Any]) -> None:
    """As long as the settings say; what waited is not written, and what comes then is."""
    async with store_on(database_url, lock_timeout=0.05) as store:
        with held(database_url), pytest.raises(Unavailable, match="55P03"):
            await commit(store, 1)
        assert written(beside, 1) == NOT
        await commit(store, 1)
        assert written(beside, 1) == ONCE


async def test_a_statement_is_not_worked_on_without_end(database_url: str, beside: psycopg.Connection[Any]) -> None:
    """The same of the server's own time."""
    async with store_on(database_url, statement_timeout=0.1) as store:
        with held(database_url), pytest.raises(Unavailable, match="57014"):
            await commit(store, 1)
        assert written(beside, 1) == NOT


async def test_a_connection_that_ended_before_a_unit_costs_nothing(
    shared: Store, beside: psycopg.Connection[Any]
) -> None:
    """The next unit finds it gone."""
    await commit(shared, 1)
    beside.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await commit(shared, 2)
    assert await shared.payment("acme", "pay_001") is not None
    assert (written(beside, 1), written(beside, 2)) == (ONCE, ONCE)


async def test_a_server_process_that_ends_within_a_unit_has_written_nothing(
    shared: Store, database_url: str, beside: psycopg.Connection[Any]
) -> None:
    """That is found out, and the unit is written by another one."""
    with held(database_url):
        under_way = commit(shared, 1)
        beside.execute("SELECT pg_terminate_backend(%s)", await waiting(beside))
        await waiting(beside)  # the unit again
    await under_way
    assert written(beside, 1) == ONCE


async def test_of_a_unit_whose_answer_is_lost_the_mark_is_asked(
    database_url: str, beside: psycopg.Connection[Any]
) -> None:
    """The connection is cut behind the end of the transaction: it is committed, and not sent again.

    The mark is written again as it is, so that the answer waits for a standby as that of the unit would have.
    """
    async with (
        cut_proxy(urlsplit(database_url).port or 0) as proxy,
        store_on(_through(database_url, proxy.port)) as store,
    ):
        proxy.cuts = 1
        await commit(store, 1)
        assert proxy.cut.is_set()
        assert written(beside, 1) == ONCE
        look = "SELECT u.is_barred, u.xmin::text <> p.xmin::text FROM units u, payments p"
        assert beside.execute(look).fetchall() == [(False, True)]


async def test_a_unit_that_goes_on_behind_a_lost_connection_is_waited_for(
    database_url: str, beside: psycopg.Connection[Any]
) -> None:
    """Its process still waits for a lock when the mark is asked for: then for its end, which is a commit."""
    async with (
        cut_proxy(urlsplit(database_url).port or 0) as proxy,
        store_on(_through(database_url, proxy.port)) as store,
    ):
        with held(database_url):
            proxy.cuts = 1
            under_way = commit(store, 1)
            await proxy.cut.wait()
            await waiting(beside, 2)  # the unit for the row, the question for the mark
            assert not under_way.done()
        await under_way
        assert written(beside, 1) == ONCE


async def test_a_unit_that_fails_behind_a_lost_connection_is_written_anew(
    database_url: str, beside: psycopg.Connection[Any]
) -> None:
    """The other truth: its process is ended before it has committed."""
    async with (
        cut_proxy(urlsplit(database_url).port or 0) as proxy,
        store_on(_through(database_url, proxy.port)) as store,
    ):
        with held(database_url):
            proxy.cuts = 1
            under_way = commit(store, 1)
            await proxy.cut.wait()
            beside.execute("SELECT pg_terminate_backend(%s)", await waiting(beside))
        await under_way
        assert written(beside, 1) == ONCE


@pytest.mark.parametrize("is_refused", [False, True])
async def test_units_that_wait_for_a_connection_are_one_transaction(
    database_url: str, beside: psycopg.Connection[Any], is_refused: bool
) -> None:
    """Unless one of them is refused: that harms no other, and each is a transaction of its own."""
    async with store_on(database_url, pool=1) as store:
        with held(database_url):
            under_way = [commit(store, number) for number in (1, 2, 3, 4)]
            if is_refused:
                under_way.append(commit(store, 3))
            await waiting(beside)
        outcomes = await asyncio.gather(*under_way, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None)] * 4 + [Conflict] * is_refused
    assert [written(beside, number) for number in (1, 2, 3, 4)] == [ONCE] * 4
    counts = beside.execute("SELECT count(*), count(DISTINCT xmin::text) FROM units").fetchall()
    assert counts == [(4, 4 if is_refused else 2)]


@pytest.mark.parametrize("fate", ["committed", "late", "ended"])
async def test_units_whose_connection_is_lost_together_are_each_found_out(
    database_url: str, beside: psycopg.Connection[Any], fate: str
) -> None:
    """Each asks for its own mark: all were committed, or none was and each is written anew."""
    async with (
        cut_proxy(urlsplit(database_url).port or 0) as proxy,
        store_on(_through(database_url, proxy.port), pool=1) as store,
    ):
        with psycopg.connect(database_url) as holder:
            if fate != "committed":  # they are held up in their third part
                holder.execute(HOLD.replace("00001", "00004"))
            with held(database_url):
                under_way = [commit(store, number) for number in (1, 2, 3, 4, 5)]
                await waiting(beside)
                proxy.cuts = 1
            await proxy.cut.wait()
            if fate == "ended":
                while not beside.execute(END_BLOCKED, (holder.info.backend_pid,)).fetchall():
                    await turn()  # another process may wait for something else first
            holder.rollback()
        await asyncio.gather(*under_way)
    assert [written(beside, number) for number in (1, 2, 3, 4, 5)] == [ONCE] * 5
    marks = dict(beside.execute("SELECT is_barred, count(*) FROM units GROUP BY is_barred").fetchall())
    assert marks[False] == 5
    assert fate != "ended" or marks[True] > 0


async def test_an_event_is_recorded_once_though_two_callbacks_prove_it_at_once(
    shared: Store, database_url: str, beside: psycopg.Connection[Any]
) -> None:
    """The second could not see the first one's row when it made sure that there is none; its caller reads again."""
    first, second = [await insert(shared, name, "pending", event=EVENT) for name in ("cb_1", "cb_2")]
    with psycopg.connect(database_url) as other:
        other.execute("UPDATE inbox SET verdict = 'recorded' WHERE id = %s", (first.id,))
        under_way = asyncio.create_task(shared.commit("acme", verdict_of(second, "recorded")))
        await waiting(beside)
    with pytest.raises(Conflict) as refused:
        await under_way
    assert refused.value.on == "inbox"


async def test_each_unit_of_a_server_that_is_restarted_is_written_once_or_not() -> None:
    """It is stopped as by a crash under units that never pause, and started again on its port."""
    with running_cluster(Path(os.environ[postgresql.FOLDER]) / "restarted", **NOT_DURABLE) as cluster:
        url = cluster.url()
        async with store_on(url) as store:
            is_back, outcomes, numbers = asyncio.Event(), dict[int, Exception | None](), itertools.count(1)

            async def write() -> None:
                left = 10
                while left:
                    number = next(numbers)
                    try:
                        outcomes[number] = await store.commit("acme", reserving(*create_of(number)))  # type: ignore[func-returns-value]
                        left -= is_back.is_set()
                    except Unavailable as problem:
                        outcomes[number] = problem
                        await asyncio.sleep(0.01)

            writers = [asyncio.create_task(write()) for _ in range(8)]
            port = urlsplit(url).port
            await asyncio.to_thread(cluster.stop, signal.SIGQUIT)
            await asyncio.to_thread(cluster.start, port)
            is_back.set()
            await asyncio.gather(*writers)
        with psycopg.connect(url) as look:
            found = {number: written(look, number) for number in outcomes}
    assert found == {number: ONCE if outcome is None else NOT for number, outcome in outcomes.items()}
    assert {type(outcome) for outcome in outcomes.values()} == {type(None), Unavailable}


def _through(url: str, port: int) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}").geturl()
