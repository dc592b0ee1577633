"""SQLite: one process, one writer, separate readers (aiosqlite), durable before anyone is answered.

WAL with ``synchronous=FULL``. Units that wait while a commit runs share the next transaction, each in its own
savepoint: one that conflicts or fails harms no other. Callers wait on a future, so a cancelled one leaves no
transaction open. The writer is a plain connection on a thread of its own: a whole transaction is one hop, where
aiosqlite would hop for every statement. A lock on the data folder keeps a second server away.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import aiosqlite

from gateway.core.errors import Conflict, GatewayError, Unavailable
from gateway.drivers.store.queries import Store
from gateway.drivers.store.schema import TABLES
from gateway.drivers.store.statements import Unit

READERS = 2
BATCH = 64

_ITS_OWN_FAULT = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    UnicodeError,
)
"""What a unit's own values cause: a broken constraint, a value no column takes. The others' units are not harmed."""


class AlreadyRunning(GatewayError):
    """Another server holds the lock of this data folder."""


class _Waiting(NamedTuple):
    unit: Unit
    done: asyncio.Future[None]


class SqliteEngine:
    """The embedded engine. ``open_sqlite`` makes one."""

    def __init__(self, writer: sqlite3.Connection, readers: Sequence[aiosqlite.Connection], lock: int) -> None:
        self._writer = writer
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite writer")
        self._readers = readers
        self._lock = lock
        self._turn = 0
        self._queue: asyncio.Queue[_Waiting | None] = asyncio.Queue()
        self._writing = asyncio.create_task(self._write(), name="sqlite writer")

    async def commit(self, unit: Unit) -> None:
        """Write a unit in the next shared transaction; return when it is on disk."""
        if self._writing.done():
            raise Unavailable("the store is closed")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(_Waiting(unit, done))
        await done

    async def rows(self, sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Read on one of the read connections, in turn."""
        self._turn = (self._turn + 1) % len(self._readers)
        try:
            return [tuple(row) for row in await self._readers[self._turn].execute_fetchall(sql, params)]
        except (sqlite3.Error, ValueError) as problem:  # ValueError: aiosqlite's word for a closed connection
            raise Unavailable(f"the store cannot be read: {type(problem).__name__}") from problem

    async def close(self) -> None:
        """Write what waits, then close."""
        self._queue.put_nowait(None)
        await self._writing
        while not self._queue.empty():
            late = self._queue.get_nowait()
            if late is not None and not late.done.done():
                late.done.set_exception(Unavailable("the store is closed"))
        for connection in self._readers:
            await connection.close()
        self._thread.shutdown()
        self._writer.close()
        os.close(self._lock)

    async def _write(self) -> None:
        while (first := await self._queue.get()) is not None:
            batch = [first]
            closing = False
            while len(batch) < BATCH and not self._queue.empty():
                waiting = self._queue.get_nowait()
                if waiting is None:
                    closing = True
                    break
                batch.append(waiting)
            await self._commit_together(batch)
            if closing:
                return

    async def _commit_together(self, batch: list[_Waiting]) -> None:
        units = [waiting.unit for waiting in batch]
        loop = asyncio.get_running_loop()
        failures = await loop.run_in_executor(self._thread, commit_units, self._writer, units)
        for waiting, failure in zip(batch, failures, strict=True):
            if waiting.done.done():
                continue
            if failure is not None:
                waiting.done.set_exception(failure)
            else:
                waiting.done.set_result(None)


def commit_units(writer: sqlite3.Connection, units: Sequence[Unit]) -> list[GatewayError | None]:
    """Run units in one transaction, each in its own savepoint; return what went wrong with each."""
    try:
        writer.execute("BEGIN IMMEDIATE")
        failures = [_run(writer, unit) for unit in units]
        writer.execute("COMMIT")
    except Exception as problem:  # the writer must outlive anything, or every caller waits for ever
        with contextlib.suppress(sqlite3.Error):
            writer.execute("ROLLBACK")
        return [Unavailable(f"the store cannot be written: {type(problem).__name__}") for _ in units]
    return failures


def _run(writer: sqlite3.Connection, unit: Unit) -> GatewayError | None:
    """Run one unit in its savepoint; return what went wrong with this unit alone."""
    writer.execute("SAVEPOINT unit")
    failure: GatewayError | None = None
    try:
        for statement in unit:
            cursor = writer.execute(statement.sql, statement.params)
            if statement.otherwise is not None and cursor.rowcount != 1:
                failure = Conflict(statement.otherwise)
                break
    except _ITS_OWN_FAULT as problem:
        failure = Unavailable(f"the store refused a row: {type(problem).__name__}")
    if failure is not None:
        writer.execute("ROLLBACK TO unit")
    writer.execute("RELEASE unit")
    return failure


async def open_sqlite(path: Path) -> Store:
    """Open (or make) the database and take the lock of its folder.

    Raises ``AlreadyRunning`` or ``Unavailable``.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as problem:
        raise Unavailable(f"the data folder {path.parent} cannot be used: {problem.strerror}") from problem
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise AlreadyRunning(f"another gateway is using {path}") from None
    try:
        async with contextlib.AsyncExitStack() as opened:
            writer = opened.enter_context(contextlib.closing(_connect_writer(path)))
            make_tables(writer)
            readers = [await _connect(path, "rw", opened) for _ in range(READERS)]
            opened.pop_all()
    except sqlite3.Error as problem:
        os.close(lock)
        raise Unavailable(f"the store {path} cannot be opened: {problem}") from problem
    return Store(SqliteEngine(writer, readers, lock))


class _ReadOnly:
    """An engine for commands that look while a server runs."""

    def __init__(self, reader: aiosqlite.Connection) -> None:
        self._reader = reader
        self.close = reader.close

    async def commit(self, unit: Unit) -> None:  # noqa: ARG002  # the Engine's form
        raise Unavailable("this store was opened to read only")

    async def rows(self, sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            return [tuple(row) for row in await self._reader.execute_fetchall(sql, params)]
        except sqlite3.Error as problem:
            raise Unavailable(f"the store cannot be read: {problem}") from problem


async def open_sqlite_to_read(path: Path) -> Store:
    """Open an existing database beside a running server. Raises ``Unavailable`` when there is none."""
    if not path.is_file():  # noqa: ASYNC240  # one look, before anything else runs
        raise Unavailable(f"there is no store {path}")
    try:
        async with contextlib.AsyncExitStack() as opened:
            reader = await _connect(path, "ro", opened)
            opened.pop_all()
            return Store(_ReadOnly(reader))
    except sqlite3.Error as problem:
        raise Unavailable(f"the store {path} cannot be opened: {problem}") from problem


def _connect_writer(path: Path) -> sqlite3.Connection:
    """The one connection that writes. Used by one thread at a time: this one at the start, then the writer's."""
    writer = sqlite3.connect(_location(path, "rwc"), uri=True, isolation_level=None, check_same_thread=False)
    for pragma in ("busy_timeout = 5000", "journal_mode = WAL", "synchronous = FULL"):
        writer.execute(f"PRAGMA {pragma}")
    return writer


def make_tables(writer: sqlite3.Connection) -> None:
    """Make the tables that are not there yet."""
    writer.execute("BEGIN IMMEDIATE")
    for table in TABLES:
        writer.execute(table)
    writer.execute("COMMIT")


async def _connect(path: Path, mode: str, opened: contextlib.AsyncExitStack) -> aiosqlite.Connection:
    """Connect, and leave the closing to ``opened``: the thread of a forgotten connection keeps the process alive."""
    connection = await aiosqlite.connect(_location(path, mode), uri=True, isolation_level=None)
    opened.push_async_callback(connection.close)
    await connection.execute("PRAGMA busy_timeout = 5000")
    return connection


def _location(path: Path, mode: str) -> str:
    return f"file:{quote(str(path))}?mode={mode}"
