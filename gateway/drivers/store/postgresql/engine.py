"""PostgreSQL: any number of processes on one database; a unit of work is one message, durable when it is answered.

Isolation is READ COMMITTED: what a unit must be sure of, its own statements say, as on SQLite.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import psycopg

from gateway.core.errors import Unavailable
from gateway.drivers.measures import Measures
from gateway.drivers.store.gate import Gate
from gateway.drivers.store.postgresql import dialect, migrations, upkeep
from gateway.drivers.store.postgresql.commits import Commits
from gateway.drivers.store.postgresql.connection import (
    Command,
    Connection,
    Lost,
    Outcome,
    Refused,
    conninfo,
    rows_of,
    why_refused,
)
from gateway.drivers.store.postgresql.pool import NothingSent, Pool
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import Statement

POOL = 16
"""Connections of one process: three of four for units and single rows, the others for lists and searches.

Units that are not one transaction share the server's writes to disk only while they are under way together: with five
connections for them half as many were written in a second as with ten, and with thirty no more.
"""

STATEMENT_SECONDS, LOCK_SECONDS = 10.0, 5.0
"""How long the server works on a statement, and how long that waits for a lock."""

ANSWER_MARGIN_SECONDS = 5.0
"""Beyond that a server that says nothing is given up."""


_SERVER = Command("SELECT server_timeline()", ())


class PostgresqlEngine:
    """The engine for several processes. ``open_postgresql`` makes one."""

    is_shared = True

    def __init__(
        self, units: Pool, reads: Pool, measures: Measures, gate: Gate | None = None, *, writes: bool = True
    ) -> None:
        self._units, self._reads = units, reads
        self.gate = gate or Gate()
        self.gate.on_hold = units.cancel_waiting
        self._commits = Commits(units, measures, self.gate)
        self.commit = self._commits.commit
        self.keeps_last_units = self._commits.has_last_units
        self._upkeep = asyncio.create_task(upkeep.keep_up(reads), name="postgresql upkeep") if writes else None

    async def rows(self, sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Read on the connections for lists."""
        return await _read(self._reads, Command(dialect.translated(sql), params))

    async def row(self, sql: str, params: Sequence[Any]) -> tuple[Any, ...] | None:
        """Read by key, on the connections of units: those are never held for long."""
        found = await _read(self._units, Command(dialect.translated(sql), params))
        return found[0] if found else None

    async def claim(self, tenant: str, statement: Statement) -> list[tuple[Any, ...]]:  # noqa: ARG002  # the Engine's form
        """Run one write that returns rows. Raises ``Unavailable``, also where it is not known whether it was done."""
        return await _asked(self._units, Command(dialect.translated(statement.sql), statement.params))

    async def empty_log(self) -> bool:
        """Nothing to do here: what PostgreSQL keeps of deleted rows, its own tools remove."""
        return True

    async def close(self) -> None:
        """Finish what was begun and close all connections."""
        upkeep = self._upkeep
        if upkeep is not None:
            upkeep.cancel()
        await self._commits.close()  # first of all: what comes from now on is refused
        if upkeep is not None:
            await asyncio.wait([upkeep])
        await self._units.close()
        await self._reads.close()


async def _read(pool: Pool, query: Command) -> list[tuple[Any, ...]]:
    """Ask twice where a connection was lost: an idle one may have died unnoticed. Raises ``Unavailable``."""
    try:
        return rows_of((await pool.ask(query))[0])
    except Lost:
        return await _asked(pool, query)
    except (Refused, NothingSent) as problem:
        raise _unreadable(problem) from None


async def _asked(pool: Pool, command: Command) -> list[tuple[Any, ...]]:
    try:
        return rows_of((await pool.ask(command))[0])
    except (Lost, Refused, NothingSent) as problem:
        raise _unreadable(problem) from None


def _unreadable(problem: Exception) -> Unavailable:
    why = problem.sqlstate if isinstance(problem, Refused) else problem
    return Unavailable(f"the store cannot be read: {why}")


async def open_postgresql(
    url: str,
    *,
    pool: int = POOL,
    statement_timeout: float = STATEMENT_SECONDS,
    lock_timeout: float = LOCK_SECONDS,
    measures: Measures | None = None,
) -> Store:
    """Open the database of a URL; make its tables where it has none. Times in seconds. Raises ``Unavailable``."""

    gate = Gate()

    async def connect() -> Connection:
        connection = await _connect(url, statement_timeout, lock_timeout)
        try:
            server = await _server_of(connection)
        except BaseException:
            connection.close()
            raise
        connection.when_lost = partial(gate.lose, server)
        gate.see(server)
        return connection

    reads = max(1, pool // 4)
    units = Pool(connect, max(1, pool - reads))
    await migrations.prepare(url)
    await units.open_first()
    return Store(PostgresqlEngine(units, Pool(connect, reads), measures or Measures(), gate))


async def _server_of(connection: Connection) -> str | None:
    """The server and timeline that a connection leads to; None where it does not say. Raises ``Unavailable``."""
    answered: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def ended(outcome: Outcome) -> None:
        if not answered.done():
            answered.set_result(outcome)

    connection.begin([_SERVER], ended)
    outcome = await answered
    if isinstance(outcome, Lost):
        raise Unavailable(f"the store cannot be reached: {outcome}")
    return None if isinstance(outcome, Refused) else rows_of(outcome[0])[0][0]


async def open_postgresql_to_read(url: str) -> Store:
    """Open the database of a URL beside running gateways; nothing can be written. Raises ``Unavailable``."""

    async def connect() -> Connection:
        return await _connect(url, STATEMENT_SECONDS, LOCK_SECONDS, read_only=True)

    await migrations.check_found(url)
    pool = Pool(connect, 1)
    await pool.open_first()
    return Store(PostgresqlEngine(pool, pool, Measures(), writes=False))


async def _connect(url: str, statement_timeout: float, lock_timeout: float, *, read_only: bool = False) -> Connection:
    """Raises ``Unavailable``, without the URL: it may hold a password."""
    limits: dict[str, object] = {
        "statement_timeout": int(statement_timeout * 1000),
        "lock_timeout": int(lock_timeout * 1000),
        "idle_in_transaction_session_timeout": int(statement_timeout * 1000),
        "synchronous_commit": "on",  # whatever the server, the database or the user have by default
    }
    given: dict[str, str] = {}
    if read_only:
        limits["default_transaction_read_only"] = "on"
        given["target_session_attrs"] = "any"
    given["options"] = " ".join(f"-c {name}={value}" for name, value in limits.items())
    try:
        opened = await psycopg.AsyncConnection.connect(conninfo(url, **given), autocommit=True)
    except psycopg.Error as problem:
        raise Unavailable(f"the store cannot be reached: {why_refused(problem)}") from None
    return Connection(opened, statement_timeout + ANSWER_MARGIN_SECONDS)
