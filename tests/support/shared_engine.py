"""A store that several gateways of one test share, as PostgreSQL is one: the real tables and statements on SQLite."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from gateway.drivers.clock import Clock, milliseconds
from gateway.drivers.store import audit, claims, nodes
from gateway.drivers.store.gate import Gate
from gateway.drivers.store.reads import Store
from gateway.drivers.store.sqlite import make_tables
from gateway.drivers.store.statements import Statement, Unit
from gateway.drivers.store.transactions import commit_units


def shared_database(clock: Clock) -> sqlite3.Connection:
    """A database in memory whose clock is this one."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    audit.add_functions(connection)
    make_tables(connection)
    share(connection, clock.now)
    return connection


def share(connection: sqlite3.Connection, now: Callable[[], datetime]) -> None:
    """Give a database what only a shared one has: tables, and functions of the server. ``now``: the server's clock."""
    connection.create_function("server_timeline", 0, lambda: None)
    connection.create_function("clock_milliseconds", 0, lambda: milliseconds(now()))
    for table in (*nodes.TABLES, *claims.TABLES):
        connection.execute(table)


class SharedEngine:
    """What one gateway has of it. ``before``: called ahead of each write, as a slow network would be."""

    is_shared = True

    def __init__(self, connection: sqlite3.Connection, before: Callable[[], None] = lambda: None) -> None:
        self.connection, self.before = connection, before
        self.gate = Gate()

    async def commit(self, tenant: str, unit: Unit) -> None:  # noqa: ARG002  # the Engine's form
        """Write a unit."""
        await asyncio.sleep(0)  # as on any database others go on meanwhile
        self.before()
        (failure,) = commit_units(self.connection, [unit])
        if failure is not None:
            raise failure

    async def claim(self, tenant: str, statement: Statement) -> list[tuple[Any, ...]]:  # noqa: ARG002  # the Engine's form
        """Write a statement and return its rows."""
        await asyncio.sleep(0)
        self.before()
        return self.connection.execute(statement.sql, statement.params).fetchall()

    async def keeps_last_units(self) -> bool:
        """Its file is never restored."""
        return True

    async def rows(self, sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Read rows."""
        await asyncio.sleep(0)
        return self.connection.execute(sql, params).fetchall()

    async def row(self, sql: str, params: Sequence[Any]) -> tuple[Any, ...] | None:
        """Read one row."""
        return next(iter(await self.rows(sql, params)), None)

    async def empty_log(self) -> bool:
        """It has no log."""
        return True

    async def close(self) -> None:
        """Another gateway may still use it."""


def shared_store(connection: sqlite3.Connection) -> Store:
    """A store of one of several gateways."""
    return Store(SharedEngine(connection))
