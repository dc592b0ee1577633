"""What PostgreSQL's engine does now and then: marks of units that nobody asks for any more are deleted."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest
from psycopg.pq.abc import PGresult

from gateway.drivers.store.postgresql import upkeep
from gateway.drivers.store.postgresql.commits import mark_prefix
from gateway.drivers.store.postgresql.connection import Command, Lost, Refused
from gateway.drivers.store.postgresql.engine import PostgresqlEngine, open_postgresql
from gateway.drivers.store.postgresql.pool import NothingSent, Pool

NOW = 1_800_000_000.0
MARKS = [("acme", number) for number in range(7)] + [("globex", number) for number in range(4)] + [("", 0)]
"""Tenant and age in seconds."""


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    """The connections that an engine does it on."""
    store = await open_postgresql(database_url)
    assert isinstance(store._engine, PostgresqlEngine)
    yield store._engine._reads
    await store.close()


@pytest.fixture
def beside(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of another process, to a database with marks."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        rows = [(tenant, f"{mark_prefix(NOW - age)}{number}") for number, (tenant, age) in enumerate(MARKS)]
        connection.cursor().executemany("INSERT INTO units (tenant, id) VALUES (%s, %s)", rows)
        yield connection


def left(beside: psycopg.Connection[Any]) -> list[tuple[str, int]]:
    """Whose marks are there, and how many."""
    return beside.execute("SELECT tenant, COUNT(*) FROM units GROUP BY tenant ORDER BY tenant").fetchall()


async def test_old_marks_are_deleted_in_parts(
    pool: Pool, beside: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of every tenant, and no other; each part is a transaction of its own."""
    monkeypatch.setattr(upkeep, "MARKS_PER_DELETE", 3)
    asked, seen = pool.ask, []

    async def ask(*commands: Command) -> list[PGresult]:
        answer = await asked(*commands)
        seen.append(left(beside))
        return answer

    monkeypatch.setattr(pool, "ask", ask)
    await upkeep.forget_marks(pool, NOW - 1.5)
    assert [sum(count for _, count in counts) for counts in seen] == [9, 6, 5]
    assert left(beside) == [("", 1), ("acme", 2), ("globex", 2)]


async def test_marks_are_deleted_by_one_process_at_a_time(pool: Pool, beside: psycopg.Connection[Any]) -> None:
    """Another one leaves it to that one."""
    with beside.transaction():
        beside.execute("SELECT pg_advisory_xact_lock(%s)", (upkeep.MARKS_LOCK,))
        await upkeep.forget_marks(pool, NOW)
        assert sum(count for _, count in left(beside)) == len(MARKS)
    await upkeep.forget_marks(pool, NOW)
    assert left(beside) == [("", 1), ("acme", 1), ("globex", 1)]


def test_marks_are_found_without_reading_all(beside: psycopg.Connection[Any]) -> None:
    """There are millions an hour."""
    beside.execute("INSERT INTO units (tenant, id) SELECT 'acme', 'x' || n FROM generate_series(1, 20000) n")
    with psycopg.RawCursor(beside) as cursor:
        cursor.execute(f"EXPLAIN {upkeep._FORGET_MARKS}".encode(), (upkeep.MARKS_LOCK, mark_prefix(NOW), 3))
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Seq Scan on units" not in plan, plan
    assert "Sort" not in plan, plan


@pytest.mark.parametrize(
    ("problem", "why"),
    [
        (Refused(0, "57014", "too long"), "SQLSTATE 57014"),
        (Lost("cut"), "cut"),
        (NothingSent("no server"), "no server"),
    ],
)
async def test_what_fails_is_said_and_done_the_next_time(
    problem: Exception, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing depends on it at once."""

    class Failing(Pool):
        def __init__(self) -> None: ...

        async def ask(self, *commands: Command) -> list[PGresult]:  # noqa: ARG002  # a Pool's form
            raise problem

    with caplog.at_level(logging.WARNING, "gateway"):
        await upkeep.add_up(Failing())
        await upkeep.forget_marks(Failing(), NOW)
    assert [(one.message, vars(one)["problem"]) for one in caplog.records] == [
        ("the store's maintenance failed", why)
    ] * 2
