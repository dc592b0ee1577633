"""A store of either engine for tests, and a look at it from beside."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from gateway.drivers.store.postgresql import schema, upkeep
from gateway.drivers.store.postgresql.dialect import translated
from gateway.drivers.store.postgresql.engine import PostgresqlEngine, open_postgresql
from gateway.drivers.store.reads import Store
from gateway.drivers.store.sqlite import open_sqlite
from tests.support import postgresql
from tests.support.factories.store_units import database

ERRORS = (sqlite3.Error, psycopg.Error)
"""What SQL that is run beside a store raises."""

ENGINES = ("sqlite", "postgresql")

SQLITE = "sqlite:///"


@contextlib.contextmanager
def fresh_url(engine: str, folder: Path) -> Iterator[str]:
    """Yield the URL of a store that holds nothing."""
    if engine == "sqlite":
        yield f"{SQLITE}{database(folder)}"
    else:
        with postgresql.fresh_database() as url:
            yield url


async def open_url(url: str) -> Store:
    """Open the store of a URL."""
    if url.startswith(SQLITE):
        return await open_sqlite(Path(url.removeprefix(SQLITE)))
    return await open_postgresql(url)


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    """Keep a store open for the time of the block; the block may close it."""
    store = await open_url(url)
    try:
        yield store
    finally:
        await store.close()


async def add_up(store: Store) -> None:
    """Bring the sums that budgets are compared with up to date, as PostgreSQL's engine does now and then."""
    if isinstance(store._engine, PostgresqlEngine):
        await upkeep.add_up(store._engine._reads)


async def others_ended(store: Store) -> None:
    """Return when every transaction that had begun is over, also those of other tests on the same server.

    While one of them runs, readers of events do not see those that were written after its begin.
    """
    if store.is_shared:
        ((begun,),) = await store.rows(f"SELECT {schema.NOT_BEGUN}", ())
        while (await store.rows(f"SELECT {schema.NOT_ENDED}", ()))[0][0] < begun:
            pass


@contextlib.contextmanager
def beside(url: str) -> Iterator[Beside]:
    """Another connection to the store, which waits for no locks."""
    with contextlib.ExitStack() as exits:
        if url.startswith(SQLITE):
            file = sqlite3.connect(url.removeprefix(SQLITE), timeout=0, isolation_level=None)
            yield Beside(exits.enter_context(contextlib.closing(file)))
        else:
            server = psycopg.connect(url, autocommit=True, cursor_factory=psycopg.RawCursor, row_factory=tuple_row)
            yield Beside(exits.enter_context(contextlib.closing(server)))


class Beside:
    """Runs SQL written for both engines; each statement is a transaction."""

    def __init__(self, connection: sqlite3.Connection | psycopg.Connection[Any]) -> None:
        self._connection = connection

    def run(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a statement. Raises ``sqlite3.Error`` or ``psycopg.Error``."""
        if isinstance(self._connection, sqlite3.Connection):
            return self._connection.execute(sql, params).fetchall()
        cursor = self._connection.execute(translated(sql), params)
        return cursor.fetchall() if cursor.description is not None else []
