"""The store of a history: the real tables, statements and group commit on a real file, without threads.

When the process dies, what was not committed is lost. Power loss is not simulated, so the file needs no syncing.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from gateway.core.errors import GatewayError, Unavailable
from gateway.drivers.store import audit
from gateway.drivers.store.gate import Gate
from gateway.drivers.store.sqlite import make_tables
from gateway.drivers.store.statements import Statement, Unit
from gateway.drivers.store.transactions import commit_units
from tests.simulation.postgresql_database import PostgresqlDatabase
from tests.simulation.process import LAG, Process
from tests.support.one_tenant import check_tenant

BATCH_LIMITS = (1, 1, 2, 4, 64)
"""Maximum number of units in a transaction; one is drawn for each."""


MAX_HOLD_SECONDS = 1.5
"""Maximum seconds for which a reader waits for other transactions."""


class _Waiting(NamedTuple):
    unit: Unit
    done: asyncio.Future[None]


def connect(path: Path) -> sqlite3.Connection:
    """Open the file; a fresh one gets its tables."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = MEMORY", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
        connection.execute(f"PRAGMA {pragma}").close()
    audit.add_functions(connection)
    make_tables(connection)
    return connection


class StoreEngine:
    """The engine that ``Store`` is given here.

    ``committed`` is called after every transaction. ``refuses`` says whether a ``read`` or a ``write`` fails now, or a
    ``move``: then only units that change a payment fail.
    """

    is_shared = False

    def __init__(
        self,
        process: Process,
        connection: sqlite3.Connection,
        *,
        refuses: Callable[[str], bool],
        committed: Callable[[sqlite3.Connection, Sequence[Unit]], None],
    ) -> None:
        self._process = process
        self.gate = Gate()
        self._env = process.env
        self._dice = process.env.dice(f"engine {process.number}")
        self._refuses = refuses
        self._committed = committed
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._closed = False
        self._transactions = 0
        self._held: list[tuple[int, asyncio.Future[None]]] = []
        self.connection = connection
        self._writing = process.spawn(self._write())

    async def commit(self, tenant: str, unit: Unit) -> None:
        """Write a unit in a shared transaction; return once it is committed."""
        check_tenant(tenant, unit)
        self._process.boundary("commit")
        if self._closed:
            raise Unavailable("the store is closed")
        waiting = _Waiting(unit, asyncio.get_running_loop().create_future())
        self._queue.put_nowait(waiting)
        await waiting.done

    async def claim(self, tenant: str, statement: Statement) -> list[tuple[Any, ...]]:  # noqa: ARG002  # the Engine's form
        """Nothing is claimed: one process at a time has the file."""
        raise Unavailable("the store is not shared")

    async def keeps_last_units(self) -> bool:
        """Its file is never restored."""
        return True

    async def rows(self, sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Read rows; they may be stale by the time the caller gets them."""
        delays_after = self._dice.random() < 0.5
        if not delays_after:
            await self._delay()
        self._process.boundary("read")
        if self._closed or self._refuses("read"):
            raise Unavailable("the store cannot be read")
        found = self.connection.execute(sql, params).fetchall()
        if self._dice.random() < self._env.rates.stale:
            await self._hold_reader(self._dice.choice((1, 2, 4, 8)))
        elif delays_after:
            await self._delay()
        self._process.boundary("read")
        return found

    async def row(self, sql: str, params: Sequence[Any]) -> tuple[Any, ...] | None:
        """Read one row: no fresher than others."""
        return next(iter(await self.rows(sql, params)), None)

    async def empty_log(self) -> bool:
        """There is no log of its own to empty."""
        return True

    async def close(self) -> None:
        """Write what is queued, then close."""
        await self._queue.join()
        self.release()

    def release(self) -> None:
        """Release the file, as a dead process does."""
        self._closed = True
        self.connection.close()

    async def _write(self) -> None:
        while True:
            batch = [await self._queue.get()]
            await self._delay()
            most = self._dice.choice(BATCH_LIMITS)
            while len(batch) < most and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            self._process.boundary("commit")
            failures = self._commit([waiting.unit for waiting in batch])
            self._process.boundary("committed")
            for waiting, failure in zip(batch, failures, strict=True):
                if waiting.done.done():
                    continue
                if failure is None:
                    waiting.done.set_result(None)
                else:
                    waiting.done.set_exception(failure)
            for _ in batch:
                self._queue.task_done()

    def _moves_money(self, unit: Unit) -> bool:
        return any(statement.sql.startswith("UPDATE payments SET account") for statement in unit)

    async def _hold_reader(self, transactions: int) -> None:
        """Hold a reader back until ``transactions`` more are committed, for ``MAX_HOLD_SECONDS`` at most."""
        passed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._held.append((self._transactions + transactions, passed))
        await asyncio.wait({passed}, timeout=MAX_HOLD_SECONDS)

    def _release_readers(self) -> None:
        self._transactions += 1
        for number, passed in self._held:
            if number <= self._transactions and not passed.done():
                passed.set_result(None)
        self._held = [held for held in self._held if not held[1].done()]

    def _write_units(self, units: list[Unit], tenant: str) -> Sequence[GatewayError | None]:  # noqa: ARG002  # others need it
        return commit_units(self.connection, units)

    def _commit(self, units: list[Unit], tenant: str = "") -> Sequence[GatewayError | None]:
        if self._refuses("write"):
            self._env.note(f"p{self._process.number} store refuses {len(units)} units")
            return [Unavailable("the store cannot be written: full") for _ in units]
        refused = [self._moves_money(unit) and self._refuses("move") for unit in units]
        taken = [unit for unit, is_refused in zip(units, refused, strict=True) if not is_refused]
        written = iter(self._write_units(taken, tenant))
        failures = [
            Unavailable("the store refused a row: busy") if is_refused else next(written) for is_refused in refused
        ]
        for unit, failure in zip(units, failures, strict=True):
            self._env.note(f"p{self._process.number} commits {_named(unit)}{f': {failure}' if failure else ''}")
        self._release_readers()
        done = [unit for unit, failure in zip(units, failures, strict=True) if failure is None]
        self._committed(self.connection, done)
        return failures

    async def _delay(self) -> None:
        """Wait for a drawn time, mostly none, sometimes seconds: a busy disk, a paused thread."""
        throw, lag = self._dice.random(), LAG.get()
        if lag:
            await asyncio.sleep(self._dice.uniform(0, lag))
        elif throw < self._env.rates.slow:
            await asyncio.sleep(self._dice.uniform(0.05, 2.0))
        elif throw < 0.4:
            await asyncio.sleep(self._dice.uniform(0.0001, 0.003))
        elif throw < 0.6:
            await asyncio.sleep(0)


class SharedStoreEngine(StoreEngine):
    """The engine of one of several processes: each of its units is a transaction of its own, as on PostgreSQL."""

    is_shared = True

    async def commit(self, tenant: str, unit: Unit) -> None:
        """Write a unit; those that come meanwhile may be first."""
        check_tenant(tenant, unit)
        await self._begin_writing()
        [failure] = self._commit([unit], tenant)
        self._process.boundary("committed")
        if failure is not None:
            raise failure

    async def claim(self, tenant: str, statement: Statement) -> list[tuple[Any, ...]]:  # noqa: ARG002  # the Engine's form
        """Claim; what is claimed may be so although the caller does not learn of it."""
        await self._begin_writing()
        if self._refuses("write"):
            raise Unavailable("the store cannot be written: full")
        claimed = self.connection.execute(statement.sql, statement.params).fetchall()
        if claimed:
            self._env.note(f"p{self._process.number} claims {len(claimed)}: {_named([statement])}")
        self._process.boundary("committed")
        await self._delay()
        if self._refuses("write"):
            raise Unavailable("the store cannot be written: connection lost")
        return claimed

    def release(self) -> None:
        """Let go of it: others may still use it."""
        self._closed = True

    async def _begin_writing(self) -> None:
        self._process.boundary("commit")
        await self._delay()
        if self._closed:
            raise Unavailable("the store is closed")
        self._process.boundary("commit")


class PostgresqlStoreEngine(SharedStoreEngine):
    """The same on a real PostgreSQL, whose connection all share."""

    connection: PostgresqlDatabase  # type: ignore[assignment]  # it does what the checks ask of sqlite3

    def _write_units(self, units: list[Unit], tenant: str) -> Sequence[GatewayError | None]:
        return [self.connection.write(tenant, unit) for unit in units]


def _named(unit: Unit) -> str:
    return ", ".join(_verb(statement.sql) for statement in unit)


@lru_cache(maxsize=200)
def _verb(sql: str) -> str:
    words = sql.split()
    verb = words[0].lower()
    return f"{verb} {words[1 if verb == 'update' else 2]}"
