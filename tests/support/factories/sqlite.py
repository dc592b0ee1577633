"""Parts for the tests of the SQLite engine: a look beside it and inside, and units of work."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.drivers.store.reads import Store
from gateway.drivers.store.sqlite import SqliteEngine
from gateway.drivers.store.statements import Statement
from tests.support.factories.store_units import create_of, reserving

WRITE_LOCK = "BEGIN IMMEDIATE"


@contextlib.contextmanager
def beside(path: Path) -> Iterator[sqlite3.Connection]:
    """Another connection that does not wait for locks."""
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def engine_of(store: Store) -> SqliteEngine:
    """The engine below a store."""
    engine = store._engine
    assert isinstance(engine, SqliteEngine)
    return engine


async def pragma(store: Store, text: str) -> Any:
    """Set or read a pragma of the writing connection, which belongs to no other."""
    cursor = engine_of(store)._writer.execute(f"PRAGMA {text}")
    row = cursor.fetchone()
    return None if row is None else row[0]


def unit(number: int) -> list[Statement]:
    """A unit of work that succeeds."""
    return reserving(*create_of(number))


async def found(store: Store, *numbers: int) -> list[int]:
    """Which of these payments are stored."""
    return [number for number in numbers if await store.payment("acme", f"pay_{number:03}") is not None]


async def outcomes_of(store: Store, *units: list[Statement]) -> list[object]:
    """Hand units over at the same time; what became of each."""
    async with asyncio.timeout(20):
        return list(await asyncio.gather(*(store.commit("acme", one) for one in units), return_exceptions=True))
