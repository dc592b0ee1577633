"""A pool of connections to one database. Each carries one exchange at a time; the longest waiting is served first."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from psycopg.pq.abc import PGresult

from gateway.core.errors import Unavailable
from gateway.drivers.store.postgresql.connection import Command, Connection, Outcome, Refused

Connect = Callable[[], Awaitable[Connection]]
"""Opens a connection. Raises ``Unavailable``."""


class NothingSent(Exception):  # an outcome, as ``Lost`` and ``Refused`` are
    """The unit was not sent, and will not be: there was no connection, or waiting units were canceled."""


MAX_CONNECTIONS_PER_TENANT = 3
"""How many connections one tenant's units use at once; its further units wait, and are then sent as one batch."""

MAX_UNITS_PER_TRANSACTION = 8
"""How many units of one tenant are sent as one transaction, at most."""


class _Waiting(NamedTuple):
    """Commands that wait for a connection.

    ``tenant``: whose unit they are; empty for one of the gateway's own, None if they are not a unit.
    """

    commands: Sequence[Command]
    ended: Callable[[Outcome | NothingSent], None]
    tenant: str | None = None
    is_alone: bool = False

    def can_join(self, first: _Waiting) -> bool:
        """Whether both may be in one transaction: both are units of the same tenant, and neither must be alone."""
        return bool(self.tenant) and self.tenant == first.tenant and not (self.is_alone or first.is_alone)


class Pool:
    """At most ``size`` connections. For the event loop's thread."""

    def __init__(self, connect: Connect, size: int) -> None:
        self._connect, self._size = connect, size
        self._all: set[Connection] = set()
        self._idle: list[Connection] = []
        self._waiting: deque[_Waiting] = deque()
        self._busy: Counter[str | None] = Counter()
        self._opening: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._cancellations = 0
        self._is_done = asyncio.Event()
        self.on_written: Callable[[int], None] = lambda _: None
        """Called after each committed transaction, with the number of units in it."""

    def begin(
        self,
        commands: Sequence[Command],
        ended: Callable[[Outcome | NothingSent], None],
        *,
        tenant: str | None = None,
        is_alone: bool = False,
    ) -> None:
        """Send commands as soon as a connection is free; ``ended`` is called once, with the outcome.

        They are one transaction, or, if they are a unit of a ``tenant``, may share one with other waiting units of
        that tenant, unless ``is_alone``. If one unit of such a batch is refused, nothing of the batch was written, and
        each unit is sent again by itself. ``cancel_waiting`` ends units of tenants that still wait.
        """
        if self._is_closed:
            ended(NothingSent("the store is closed"))
        else:
            one = _Waiting(commands, ended, tenant, is_alone)
            self._waiting.append(one)
            if self._may_send(one):  # otherwise nothing has changed for the (perhaps thousands) that wait before it
                self._send_waiting()

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

    def cancel_waiting(self) -> None:
        """End the units of tenants that wait for a connection with ``NothingSent``.

        Batches that are being sent are finished, but if one is refused, its units are not sent again one by one.
        """
        self._cancellations += 1
        waiting, self._waiting = self._waiting, deque(one for one in self._waiting if not one.tenant)
        self._is_done.set()
        for one in waiting:
            if one.tenant:
                one.ended(NothingSent("waiting units were canceled"))

    async def open_first(self) -> None:
        """Open one connection now. Raises ``Unavailable``."""
        if not self._all:
            self._add(await self._connect())

    async def close(self) -> None:
        """Refuse new commands, finish those that were begun or wait for a connection, then close all connections."""
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

    def _send_waiting(self) -> None:
        """Send those that have waited longest and may be sent, while connections are free."""
        while (first := next(filter(self._may_send, self._waiting), None)) is not None:
            connection = self._free()
            if connection is None:
                self._open()
                return
            self._run(connection, self._take_batch(first))

    def _may_send(self, one: _Waiting) -> bool:
        return not one.tenant or self._busy[one.tenant] < MAX_CONNECTIONS_PER_TENANT

    def _take_batch(self, first: _Waiting) -> list[_Waiting]:
        """Take one out of the queue, with the waiting units that can join its transaction."""
        batch, others = [first], deque[_Waiting]()
        for one in self._waiting:
            if one is not first:
                (batch if len(batch) < MAX_UNITS_PER_TRANSACTION and one.can_join(first) else others).append(one)
        self._waiting = others
        return batch

    def _run(self, connection: Connection, batch: Sequence[_Waiting]) -> None:
        tenant, cancellations = batch[0].tenant, self._cancellations

        def ended(outcome: Outcome | NothingSent) -> None:
            self._busy[tenant] -= 1
            if not self._busy[tenant]:
                del self._busy[tenant]
            if isinstance(outcome, Refused) and len(batch) > 1:
                if cancellations == self._cancellations:
                    self._waiting.extendleft(one._replace(is_alone=True) for one in reversed(batch))
                    self._release(connection)
                    return
                outcome = NothingSent("waiting units were canceled")
            self._release(connection)
            if isinstance(outcome, list) and tenant is not None:
                self.on_written(len(batch))
            place = 0
            for one in batch:
                end = place + len(one.commands)
                one.ended(outcome[place:end] if isinstance(outcome, list) else outcome)
                place = end

        self._busy[tenant] += 1
        connection.begin([command for one in batch for command in one.commands], ended)

    def _release(self, connection: Connection) -> None:
        self._is_done.set()
        if connection.is_lost:
            self._all.discard(connection)
        else:
            self._idle.append(connection)
        self._send_waiting()

    def _add(self, connection: Connection) -> None:
        self._all.add(connection)
        self._release(connection)

    def _open(self) -> None:
        """Begin to open one more connection, unless the open ones and those being opened already reach ``size``."""
        if len(self._all) + len(self._opening) < self._size:
            task = asyncio.create_task(self._connect_one(), name="postgresql connect")
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _connect_one(self) -> None:
        connection, problem = None, ""
        try:
            connection = await self._connect()
        except Unavailable as failure:
            problem = str(failure)
        # The lines below may open another connection at once, so this attempt must no longer count.
        self._opening.difference_update({asyncio.current_task()})
        if connection is not None:
            self._add(connection)
        elif not self._all:  # no other connection will serve those that wait
            self._refuse_waiting(problem)

    def _refuse_waiting(self, why: str) -> None:
        waiting, self._waiting = self._waiting, deque()
        self._is_done.set()
        for one in waiting:
            one.ended(NothingSent(why))
