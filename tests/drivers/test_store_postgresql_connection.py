"""One connection to a real PostgreSQL: values as they are stored and read, failures, and the end of a connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from gateway.drivers.store.postgresql import connection
from gateway.drivers.store.postgresql.connection import Command, Connection, Lost, Outcome, Refused, rows_of

MANY_PAYMENTS = (
    "INSERT INTO payments"
    " (tenant, id, account, provider, merchant_reference, state, version, revision, created_at, doc, purchase)"
    " SELECT 'acme', n, 'main', 'x', n, 'created', 1, 1, 1, '{}', '{}' FROM generate_series(1, 5000) n"
)


@pytest.fixture
async def opened(database_url: str) -> AsyncIterator[Connection]:
    """A connection to an empty database; a test may lose it."""
    one = Connection(await psycopg.AsyncConnection.connect(database_url, autocommit=True), 60.0)
    yield one
    one.close()


async def outcome_of(one: Connection, *commands: tuple[str, tuple[Any, ...]]) -> Outcome:
    """What comes of commands in one transaction."""
    ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    one.begin([Command(*command) for command in commands], ended.set_result)
    return await ended


async def value_of(one: Connection, sql: str, *params: Any) -> Any:
    """The only value of a query."""
    outcome = await outcome_of(one, (sql, params))
    assert isinstance(outcome, list), outcome
    ((value,),) = rows_of(outcome[0])
    return value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("text", "Żółw 𝕏 ' \\ \n"),
        ("text", ""),
        ("text", None),
        ("bigint", -(2**63)),
        ("bigint", 2**63 - 1),
        ("bytea", bytes(range(256))),
        ("bytea", b""),
        ("boolean", True),
        ("boolean", False),
        ("double precision", 1.5),
    ],
)
async def test_a_value_is_read_as_it_was_written(opened: Connection, kind: str, value: Any) -> None:
    """Whatever its type."""
    assert await value_of(opened, f"SELECT CAST($1 AS {kind})", value) == value


async def test_a_zero_byte_does_not_cut_a_text_off(opened: Connection) -> None:
    """PostgreSQL has none in texts: another character takes its place, and what follows is kept."""
    assert await value_of(opened, "SELECT CAST($1 AS text)", "a\0b") == "a\ufffdb"


async def test_sums_are_numbers(opened: Connection) -> None:
    """Also the sum of whole numbers, which the server says in a type of its own, and of none."""
    assert await value_of(opened, "SELECT SUM(a) FROM (VALUES (CAST($1 AS bigint)), (2)) AS t (a)", -5) == -3
    assert await value_of(opened, "SELECT SUM(a) / 2 FROM (VALUES (CAST($1 AS bigint)), (2)) AS t (a)", 1) == 1.5


async def test_commands_are_one_transaction(opened: Connection) -> None:
    """Where one fails, none has had an effect; the failure says which it was, and the connection lives."""
    insert = "INSERT INTO units (tenant, id) VALUES ($1, $2)"
    outcome = await outcome_of(opened, (insert, ("a", "1")), (insert, ("a", "2")), (insert, ("a", "1")))
    assert isinstance(outcome, Refused)
    assert (outcome.place, outcome.sqlstate) == (2, "23505")
    assert await value_of(opened, "SELECT COUNT(*) FROM units") == 0


async def test_what_was_not_prepared_is_prepared_the_next_time(opened: Connection) -> None:
    """A statement behind one that fails never reached the server's memory."""
    for _ in range(2):
        assert isinstance(await outcome_of(opened, ("SELECT 1 / $1::int", (0,)), ("SELECT 7", ())), Refused)
    assert await value_of(opened, "SELECT 7") == 7
    assert await value_of(opened, "SELECT 1 / $1::int", 1) == 1


async def test_statements_without_end_are_not_all_prepared(opened: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server keeps each that is prepared; those beyond a number are only sent."""
    monkeypatch.setattr(connection, "MAX_PREPARED", 5)
    for number in range(10):
        assert await value_of(opened, f"SELECT $1::int + {number}", 1) == 1 + number
    assert await value_of(opened, "SELECT COUNT(*) FROM pg_prepared_statements") == 5


async def test_a_plan_for_few_rows_does_not_stay(opened: Connection, database_url: str) -> None:
    """Made for an empty table it may go through all rows of a tenant: there may be many by now."""
    query = ("SELECT revision FROM payments WHERE tenant = $1 AND id = $2", ("acme", "9"))

    async def plan() -> str:
        outcome = await outcome_of(opened, ("EXPLAIN EXECUTE s1 ('acme', '9')", ()))
        return str(rows_of(outcome[0]) if isinstance(outcome, list) else outcome)

    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute("ALTER TABLE payments SET (autovacuum_enabled = off)")
        for _ in range(connection.FIRST_PLANS - 1):
            assert isinstance(await outcome_of(opened, query), list)
        other.execute(MANY_PAYMENTS)
    assert "payments_by_reference" in await plan()
    assert await value_of(opened, query[0], *query[1]) == 1
    assert "payments_pkey" in await plan()


async def test_much_is_written_and_read(opened: Connection) -> None:
    """More than fits into the buffers of sockets."""
    text = "x" * 20_000_000
    assert await value_of(opened, "SELECT CAST($1 AS text)", text) == text


async def test_the_end_of_a_connection_is_not_a_refusal(opened: Connection) -> None:
    """What was sent may have been done: that is told, in the middle of a statement or between two."""
    assert isinstance(await outcome_of(opened, ("SELECT pg_terminate_backend(pg_backend_pid())", ())), Lost)
    assert opened.is_lost


async def test_an_idle_connection_notices_its_end(opened: Connection, database_url: str) -> None:
    """Nobody is to be given one that is dead already."""
    number = await value_of(opened, "SELECT pg_backend_pid()")
    with psycopg.connect(database_url) as other:
        other.execute("SELECT pg_terminate_backend(%s)", (number,))
    while not opened.is_lost:  # noqa: ASYNC110  # it has nobody to tell
        await asyncio.sleep(0.001)


async def test_a_server_that_says_nothing_is_given_up(database_url: str) -> None:
    """Whatever it still does with what it was sent."""
    one = Connection(await psycopg.AsyncConnection.connect(database_url, autocommit=True), 0.01)
    outcome = await outcome_of(one, ("SELECT pg_sleep(30)", ()))
    assert isinstance(outcome, Lost)
    assert str(outcome) == "no answer in time"


async def test_a_server_that_only_reads_is_left(opened: Connection) -> None:
    """A former primary: nothing was written, and the next connection may lead to the new one."""
    await outcome_of(opened, ("SET default_transaction_read_only = on", ()))
    outcome = await outcome_of(opened, ("INSERT INTO units (tenant, id) VALUES ('a', '1')", ()))
    assert isinstance(outcome, Refused)
    assert (outcome.sqlstate, opened.is_lost) == ("25006", True)
