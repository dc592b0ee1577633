"""Connections to one database: opened when they are needed, one exchange at a time on each, in the order of asking."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from psycopg.pq.abc import PGresult

from gateway.core.errors import Unavailable
from gateway.drivers.store.postgresql.connection import Command, Connection, Outcome

Connect = Callable[[], Awaitable[Connection]]
"""Opens a connection. Raises ``Unavailable``."""


class NothingSent(Exception):  # an outcome, as ``Lost`` and ``Refused`` are
    """There was no connection: nothing was sent, and nothing will be."""


class _Waiting(NamedTuple):
    commands: Sequence[Command]
    ended: Callable[[Outcome | NothingSent], None]
    can_wait: bool


class Pool:
    """At most ``size`` connections. For the event loop's thread."""

    def __init__(self, connect: Connect, size: int) -> None:
        self._connect, self._size = connect, size
        self._all: set[Connection] = set()
        self._idle: list[Connection] = []
        self._waiting: deque[_Waiting] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._is_done = asyncio.Event()

    def begin(
        self, commands: Sequence[Command], ended: Callable[[Outcome | NothingSent], None], *, can_wait: bool = False
    ) -> None:
        """Send commands as one transaction as soon as a connection is free; ``ended`` is called once.

        ``can_wait``: whether ``put_off`` may give it back.
        """
        if self._is_closed:
            ended(NothingSent("the store is closed"))
        elif (connection := self._free()) is not None:
            self._run(connection, _Waiting(commands, ended, can_wait))
        else:
            self._waiting.append(_Waiting(commands, ended, can_wait))
            self._open()

    async def ask(self, *commands: Command) -> list[PGresult]:
        """Send commands as one transaction. Raises ``Refused``, ``Lost``, ``NothingSent``."""
        answered: asyncio.Future[list[PGresult]] = asyncio.get_running_loop().create_future()

        def ended(outcome: Outcome | NothingSent) -> None:
            if answered.done():
                return
            if isinstance(outcome, Exception):
                answered.set_exception(outcome)
            else:
                answered.set_result(outcome)

        self.begin(commands, ended)
        return await answered

    def put_off(self) -> None:
        """Give back what waits for a connection and can wait: it was not sent."""
        waiting, self._waiting = self._waiting, deque(one for one in self._waiting if not one.can_wait)
        self._is_done.set()
        for one in waiting:
            if one.can_wait:
                one.ended(NothingSent("it was put off"))

    async def open_first(self) -> None:
        """Open one connection now. Raises ``Unavailable``."""
        if not self._all:
            self._add(await self._connect())

    async def close(self) -> None:
        """Finish what was begun, also what waits for a connection, then close all; what comes meanwhile is refused."""
        self._is_closed = True
        while self._waiting or len(self._idle) < len(self._all):
            self._is_done.clear()
            await self._is_done.wait()
        for task in tuple(self._opening):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for connection in self._all:
            connection.close()

    def _free(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_lost:
                return connection
            self._all.discard(connection)
        return None

    def _run(self, connection: Connection, one: _Waiting) -> None:
        def ended(outcome: Outcome) -> None:
            self._freed(connection)
            one.ended(outcome)

        connection.begin(one.commands, ended)

    def _freed(self, connection: Connection) -> None:
        self._is_done.set()
        if connection.is_lost:
            self._all.discard(connection)
            if self._waiting:
                self._open()
        elif self._waiting:
            self._run(connection, self._waiting.popleft())
        else:
            self._idle.append(connection)

    def _add(self, connection: Connection) -> None:
        self._all.add(connection)
        self._freed(connection)

    def _open(self) -> None:
        """Open one more connection beside those that are being opened, where there may be one."""
        if len(self._all) + len(self._opening) < self._size:
            task = asyncio.create_task(self._opened(), name="postgresql connect")
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _opened(self) -> None:
        try:
            connection = await self._connect()
        except Unavailable as problem:
            if not self._all:  # nobody else will come for those that wait
                self._refuse_waiting(str(problem))
            return
        self._add(connection)

    def _refuse_waiting(self, why: str) -> None:
        waiting, self._waiting = self._waiting, deque()
        self._is_done.set()
        for one in waiting:
            one.ended(NothingSent(why))
