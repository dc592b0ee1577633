"""SQLite: one process, one writer, separate readers, durable before anyone is answered.

WAL with ``synchronous=FULL``. Units that wait while a commit runs share the next transaction, and one that conflicts
or fails harms no other. Callers wait on a future, so a cancelled one leaves no transaction open and its unit is written
or not, whole. The writer is a plain connection on a thread of its own: a whole transaction is one hop, where aiosqlite
would hop for every statement. It never copies the log back; that is ``checkpoints.py``. Single rows are read on the
event loop's thread, lists and searches by aiosqlite on others. A lock on the data folder keeps a second server away.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple
from urllib.parse import quote

import aiosqlite

from gateway.core.errors import Conflict, GatewayError, Unavailable
from gateway.drivers.measures import Measures
from gateway.drivers.store import audit, transactions
from gateway.drivers.store.checkpoints import Checkpointer
from gateway.drivers.store.gate import Gate
from gateway.drivers.store.reads import Store
from gateway.drivers.store.schema import MIGRATIONS, TABLES, VERSION
from gateway.drivers.store.statements import Statement, Unit
from gateway.drivers.store.store_files import make_private, refuse_foreign_log, require_store, resolved_path, take_lock
from gateway.drivers.store.transactions import Locked
from gateway.drivers.threads import WorkThread

READERS = 2
MAX_BATCH_UNITS = 64

BUSY_TIMEOUT_MS = 5000
"""Milliseconds that the writer waits for a lock of somebody else's (there should be nobody else)."""

WRITER_PRAGMAS = (
    f"busy_timeout = {BUSY_TIMEOUT_MS}",
    "journal_mode = WAL",
    "synchronous = FULL",
    "wal_autocheckpoint = 0",
    f"cache_size = -{16 * 1024}",  # KiB: of each index all but the leaves, however many payments there are
    "secure_delete = ON",  # what is erased is overwritten, also in pages that become free
    "temp_store = MEMORY",  # what a savepoint may have to undo would go to files, and a full /tmp would stop payments
    f"journal_size_limit = {64 * 1024 * 1024}",  # what a long reader made it grow to, it gives back
)

# It is what each None becomes. Else the module looks for an adapter of each, which costs more than to write a text.
sqlite3.register_adapter(type(None), dict[None, None]().get)


class _Waiting(NamedTuple):
    unit: Unit
    done: asyncio.Future[None]


class SqliteEngine:
    """The embedded engine. ``open_sqlite`` makes one."""

    is_shared = False
    gate = Gate()

    def __init__(
        self,
        writer: sqlite3.Connection,
        readers: Sequence[aiosqlite.Connection],
        keys: sqlite3.Connection,
        checkpoints: sqlite3.Connection,
        lock: int,
        measures: Measures,
    ) -> None:
        self._writer = writer
        self._keys = keys
        self._thread = WorkThread("sqlite writer")
        self._readers = readers
        self._lock = lock
        self._measures = measures
        self._turn = 0
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Waiting] = deque()
        self._written = asyncio.Event()
        self._written.set()
        self._closing: asyncio.Task[None] | None = None
        self._log = Checkpointer(checkpoints, self._thread)
        self._keeping = asyncio.create_task(self._log.run(), name="sqlite checkpoints")

    async def commit(self, tenant: str, unit: Unit) -> None:  # noqa: ARG002  # one database has every tenant
        """Write a unit in the next shared transaction; return when it is on disk."""
        if self._closing is not None:
            raise Unavailable("the store is closed")
        done: asyncio.Future[None] = self._loop.create_future()
        # From here the unit may be written even if the caller is cancelled: it is written whole or not at all.
        self._waiting.append(_Waiting(unit, done))
        if self._written.is_set():
            self._written.clear()
            self._loop.call_soon(self._begin)  # all units of this turn of the loop share the transaction
        await done

    async def claim(self, tenant: str, statement: Statement) -> list[tuple[Any, ...]]:  # noqa: ARG002  # the Engine's form
        """Nothing is claimed: there is one process."""
        raise Unavailable("the store is not shared")

    async def keeps_last_units(self) -> bool:
        """Nobody but this process has the file."""
        return True

    async def rows(self, sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Read on one of the read connections, in turn."""
        self._turn = (self._turn + 1) % len(self._readers)
        try:
            return [tuple(row) for row in await self._readers[self._turn].execute_fetchall(sql, params)]
        except (sqlite3.Error, ValueError) as problem:  # ValueError: aiosqlite's word for a closed connection
            raise Unavailable(f"the store cannot be read: {type(problem).__name__}") from problem

    async def row(self, sql: str, params: Sequence[Any]) -> tuple[Any, ...] | None:
        """Read by key on the event loop's own thread: handing over to another costs three times what the row does.

        Readers of a WAL wait for no lock, so what holds the loop up is at worst the disk, for the pages of one path
        through an index that nothing has in memory.
        """
        try:
            found: tuple[Any, ...] | None = self._keys.execute(sql, params).fetchone()
        except sqlite3.Error:  # a lock after all, or a broken file: a reader may wait, and says what is wrong
            return next(iter(await self.rows(sql, params)), None)
        return found

    async def empty_log(self) -> bool:
        """Copy the write-ahead log into the database and cut it off: it holds what rows were before."""
        return await self._log.empty()

    async def close(self) -> None:
        """Write what waits, then close; what comes meanwhile is refused. Again: wait for the same end."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="sqlite close")
        await asyncio.shield(self._closing)  # a cancelled caller must not leave it half closed

    async def _close(self) -> None:
        # In this order: all units written, no checkpoint under way, no reader holds the log, then the lock is free.
        await self._written.wait()
        self._log.stop()
        await self._keeping
        for connection in self._readers:
            await connection.close()
        self._keys.close()
        self._thread.close()
        self._writer.close()  # the last one out copies the log into the database and removes it
        os.close(self._lock)

    def _begin(self) -> None:
        """Write what waits. What arrives during this commit shares the next: one fsync for up to a whole batch."""
        if not self._waiting:
            self._written.set()
            return
        size = min(MAX_BATCH_UNITS, len(self._waiting))
        batch = [self._waiting.popleft() for _ in range(size)]
        self._thread.do(partial(self._commit_together, batch))

    def _commit_together(self, batch: Sequence[_Waiting]) -> None:
        """On the writer's thread."""
        began = perf_counter()
        failures = transactions.commit_units(self._writer, [waiting.unit for waiting in batch])
        self._loop.call_soon_threadsafe(self._end, batch, failures, perf_counter() - began)

    def _end(self, batch: Sequence[_Waiting], failures: Sequence[GatewayError | None], seconds: float) -> None:
        # Only now is anybody answered: a process killed before this line has promised nothing.
        _complete(batch, failures)
        self._measures.batch_units.add(len(batch))
        self._measures.commit_seconds.add(seconds)
        if any(failures):
            self._measures.store_errors += sum(not isinstance(one, Conflict) for one in failures if one is not None)
        if isinstance(failures[0], Locked):
            # The units behind this batch have waited as long; batch after batch they would wait for minutes.
            behind = list(self._waiting)
            self._waiting.clear()
            _complete(behind, [Locked(str(failures[0])) for _ in behind])
        self._log.changed(self._writer.total_changes)
        self._begin()


def _complete(batch: Sequence[_Waiting], failures: Sequence[GatewayError | None]) -> None:
    """Resolve the future of each unit; a cancelled caller has left its future done."""
    for waiting, failure in zip(batch, failures, strict=True):
        if waiting.done.done():
            continue
        if failure is not None:
            waiting.done.set_exception(failure)
        else:
            waiting.done.set_result(None)


async def open_sqlite(path: Path, *, strict: bool = False, measures: Measures | None = None) -> Store:
    """Open (or make) the database and take the lock of its folder.

    ``strict``: one that other users may open is refused, not narrowed. ``measures``: where commits are counted.
    Raises ``AlreadyRunning`` or ``Unavailable``.
    """
    path = resolved_path(path)
    async with contextlib.AsyncExitStack() as opened:
        make_private(path, strict=strict)
        lock = take_lock(path)
        opened.callback(os.close, lock)
        refuse_foreign_log(path)
        try:
            writer = opened.enter_context(contextlib.closing(_connect_writer(path)))
            make_tables(writer)
            readers = [await _connect(path, "rw", opened) for _ in range(READERS)]
            keys = opened.enter_context(contextlib.closing(_connect_plainly(path, "rw")))
            keys.execute("PRAGMA busy_timeout = 0")
            checkpoints = opened.enter_context(contextlib.closing(_connect_plainly(path, "rw")))
        except sqlite3.Error as problem:
            raise Unavailable(f"the store {path} cannot be opened: {problem}") from problem
        opened.pop_all()
    return Store(SqliteEngine(writer, readers, keys, checkpoints, lock, measures or Measures()))


class _ReadOnly:
    """An engine for commands that look while a server runs."""

    is_shared = False
    gate = Gate()

    def __init__(self, reader: aiosqlite.Connection) -> None:
        self._reader = reader
        self.close = reader.close

    async def commit(self, tenant: str, unit: Unit) -> None:  # noqa: ARG002  # the Engine's form
        raise Unavailable("this store was opened only for reading")

    async def claim(self, tenant: str, statement: Statement) -> list[tuple[Any, ...]]:  # noqa: ARG002  # the Engine's form
        raise Unavailable("this store was opened only for reading")

    async def keeps_last_units(self) -> bool:
        return True

    async def rows(self, sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            return [tuple(row) for row in await self._reader.execute_fetchall(sql, params)]
        except sqlite3.Error as problem:
            raise Unavailable(f"the store cannot be read: {problem}") from problem

    async def empty_log(self) -> bool:
        raise Unavailable("this store was opened only for reading")

    async def row(self, sql: str, params: Sequence[Any]) -> tuple[Any, ...] | None:
        return next(iter(await self.rows(sql, params)), None)


async def open_sqlite_to_read(path: Path) -> Store:
    """Open an existing database beside a running server. Raises ``Unavailable`` when it cannot be read."""
    path = resolved_path(path)
    require_store(path)
    refuse_foreign_log(path)
    try:
        async with contextlib.AsyncExitStack() as opened:
            reader = await _connect(path, "ro", opened)
            ((version,),) = await reader.execute_fetchall("PRAGMA user_version")
            check_version(version)
            if version < VERSION:
                raise Unavailable(f"the store {path} is of an older version: start the gateway once")
            opened.pop_all()
            return Store(_ReadOnly(reader))
    except sqlite3.Error as problem:
        raise Unavailable(f"the store {path} cannot be opened: {problem}") from problem


def _connect_writer(path: Path) -> sqlite3.Connection:
    """The one connection that writes. Used by one thread at a time: this one at the start, then the writer's."""
    writer = _connect_plainly(path, "rwc")
    for pragma in WRITER_PRAGMAS:
        writer.execute(f"PRAGMA {pragma}")
    audit.add_functions(writer)
    return writer


def make_tables(writer: sqlite3.Connection) -> None:
    """Make the tables that are not there yet and bring older ones up to date, in one transaction.

    Raises ``Unavailable`` for tables of a newer version, or from before versions were kept; they are left as they are.
    """
    writer.execute("BEGIN IMMEDIATE")
    try:
        for statement in _bringing_up_to_date(writer):
            writer.execute(statement)
    except BaseException:
        writer.execute("ROLLBACK")
        raise
    writer.execute("COMMIT")


def _bringing_up_to_date(connection: sqlite3.Connection) -> list[str]:
    version = _version_of(connection)
    is_new = connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None
    if not is_new:
        check_version(version)
    steps = [] if is_new else [step for of in range(version, VERSION) for step in MIGRATIONS[of]]
    return [*steps, *TABLES, f"PRAGMA user_version = {VERSION}"]


def _version_of(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def plan_sqlite(path: Path) -> list[str]:
    """The statements that would bring an existing database up to date, also beside a running server; none where it is.

    Raises ``Unavailable``.
    """
    with _looking_at(path) as reader:
        return [] if _version_of(reader) == VERSION else _bringing_up_to_date(reader)


def version_of_sqlite(path: Path) -> int | None:
    """The version of the tables in a file, also beside a running server; None where the file does not exist.

    Raises ``Unavailable``, also for a version that no start brings up to date.
    """
    if not resolved_path(path).exists():
        return None
    with _looking_at(path) as reader:
        version = _version_of(reader)
    check_version(version)
    return version


@contextlib.contextmanager
def _looking_at(path: Path) -> Iterator[sqlite3.Connection]:
    path = resolved_path(path)
    require_store(path)
    refuse_foreign_log(path)
    try:
        with contextlib.closing(_connect_plainly(path, "ro")) as reader:
            yield reader
    except sqlite3.Error as problem:
        raise Unavailable(f"the store {path} cannot be read: {problem}") from problem


def check_version(version: int) -> None:
    """Refuse tables that nothing here knows. Raises ``Unavailable``."""
    if version == 0:
        raise Unavailable("the store was made before the first release and cannot be used any more: move it away")
    if version > VERSION:
        raise Unavailable(f"the store is of version {version}, made by a newer gateway; this one knows {VERSION}")


async def _connect(path: Path, mode: str, opened: contextlib.AsyncExitStack) -> aiosqlite.Connection:
    """Connect, and leave the closing to ``opened``: the thread of a forgotten connection keeps the process alive."""
    connection = await aiosqlite.connect(_location(path, mode), uri=True, isolation_level=None)
    opened.push_async_callback(connection.close)
    await connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    return connection


def _connect_plainly(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(_location(path, mode), uri=True, isolation_level=None, check_same_thread=False)


def _location(path: Path, mode: str) -> str:
    return f"file:{quote(str(path))}?mode={mode}"
