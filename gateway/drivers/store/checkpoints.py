"""Checkpoints off the hot path: what the write-ahead log holds is copied into the database aside, in small steps.

SQLite would do it inside whichever commit reaches a limit, and everybody in that commit would wait. Here a connection
of its own copies while the writer goes on. A log that is written to without a pause never ends by that alone, so a
long one is restarted between two commits, when only the last pages are left to copy.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from functools import partial

from gateway.drivers.threads import WorkThread, result_of

CHECKPOINT_ROWS = 4000
"""Changed rows after which the log is copied: a page that changed often since is copied once."""

RESTART_PAGES = 4000
"""Pages (of 4 KiB) after which the log is restarted; under any load it keeps below about twice that size."""

RESTART_TIMEOUT_MS = 50
"""Milliseconds that a new beginning waits for readers: commits wait with it. Without it the log is tried later."""

EMPTYING_TRIES = 20
"""How often a log that a reader holds is tried to be emptied, each time for as long."""

_log = logging.getLogger("gateway")


class Checkpointer:
    """Keeps the log short while ``run`` runs. A copy that fails (the disk is full) harms nothing and is tried again."""

    def __init__(self, connection: sqlite3.Connection, writers_thread: WorkThread) -> None:
        """``connection`` belongs to this checkpointer alone, ``writers_thread`` the one on which every commit runs."""
        connection.execute(f"PRAGMA busy_timeout = {RESTART_TIMEOUT_MS}")
        connection.execute("PRAGMA synchronous = FULL")
        self._connection = connection
        self._writers_thread = writers_thread
        self._rows = 0
        self._is_ending = False
        self._turn = asyncio.Lock()
        self._wanted = asyncio.Event()
        self._wanted.set()  # a process that was killed may have left a long one

    def changed(self, rows: int) -> None:
        """Take the total of changed rows; wake ``run`` when enough of them are new."""
        if rows - self._rows >= CHECKPOINT_ROWS:
            self._rows = rows
            self._wanted.set()

    def stop(self) -> None:
        """End ``run`` after the step it is in."""
        self._is_ending = True
        self._wanted.set()

    async def run(self) -> None:
        """Copy whenever enough has changed, until stopped; then close the connection."""
        while not self._is_ending:
            await self._wanted.wait()
            self._wanted.clear()
            if not self._is_ending:
                await self._shorten()
        async with self._turn:  # closed under a copy in its thread, the connection would take the process with it
            self._connection.close()

    async def empty(self) -> bool:
        """Copy all of the log and cut it off; False while a reader, such as a backup, keeps it from that."""
        return await asyncio.shield(self._empty())  # a thread goes on when its caller is cancelled: so must its turn

    async def _empty(self) -> bool:
        async with self._turn:
            for _ in range(EMPTYING_TRIES):
                if self._is_ending:
                    break
                with contextlib.suppress(sqlite3.Error):
                    await asyncio.to_thread(checkpoint, self._connection, "PASSIVE")
                    if await self._between_commits("TRUNCATE") == 0:
                        return True
        return False

    async def _shorten(self) -> None:
        try:
            async with self._turn:
                pages = await asyncio.to_thread(checkpoint, self._connection, "PASSIVE")
                if pages > RESTART_PAGES:
                    await self._between_commits("RESTART")
        except sqlite3.Error as problem:
            _log.warning("the log cannot be copied into the database", extra={"problem": type(problem).__name__})

    async def _between_commits(self, mode: str) -> int:
        """On the writer's thread: a log that is written without pause never restarts by itself."""
        return await result_of(partial(checkpoint, self._connection, mode), self._writers_thread.do)


def checkpoint(connection: sqlite3.Connection, mode: str) -> int:
    """Copy the log into the database as far as readers allow; return how many pages the log has.

    ``RESTART`` lets the next commit write it from its beginning, ``TRUNCATE`` leaves none of it.
    """
    _, pages, _ = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    return int(pages)
