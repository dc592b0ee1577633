"""Connections to one database: opened when they are needed, one exchange at a time on each, in the order of asking."""

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
    """There was no connection: nothing was sent, and nothing will be."""


OF_ONE_TENANT = 3
"""Connections that units of one tenant are on at once; others of it wait for one of these, and go together then."""

TOGETHER = 8
"""Units of one tenant that are sent as one transaction, at most."""


class _Waiting(NamedTuple):
    """``tenant``: whose unit it is; empty for one of the gateway's own, None for what is not a unit."""

    commands: Sequence[Command]
    ended: Callable[[Outcome | NothingSent], None]
    tenant: str | None = None
    is_alone: bool = False

    def goes_with(self, first: _Waiting) -> bool:
        """Whether both may be one transaction: no transaction is of two tenants."""
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
        self._times_put_off = 0
        self._is_done = asyncio.Event()
        self.when_written: Callable[[int], None] = lambda _: None
        """Called with how many units were written in one transaction."""

    def begin(
        self,
        commands: Sequence[Command],
        ended: Callable[[Outcome | NothingSent], None],
        *,
        tenant: str | None = None,
        is_alone: bool = False,
    ) -> None:
        """Send commands as soon as a connection is free, as one transaction or a part of one; ``ended`` is called once.

        ``tenant``: whose unit it is. ``put_off`` may give it back, and others of its tenant that wait as well may go
        with it, unless it ``is_alone``: where one of them is refused nothing of them was written, and each is sent
        again by itself.
        """
        if self._is_closed:
            ended(NothingSent("the store is closed"))
        else:
            one = _Waiting(commands, ended, tenant, is_alone)
            self._waiting.append(one)
            if self._may_go(one):  # else nothing has changed for those before it, who may be thousands
                self._go_on()

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
        """Give back the units of tenants that wait for a connection: they were not sent.

        Of those under way, which may be refused together, none is sent again by itself.
        """
        self._times_put_off += 1
        waiting, self._waiting = self._waiting, deque(one for one in self._waiting if not one.tenant)
        self._is_done.set()
        for one in waiting:
            if one.tenant:
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

    def _go_on(self) -> None:
        """Send what has waited longest of what may go."""
        while (first := next(filter(self._may_go, self._waiting), None)) is not None:
            connection = self._free()
            if connection is None:
                self._open()
                return
            self._run(connection, self._taken(first))

    def _may_go(self, one: _Waiting) -> bool:
        return not one.tenant or self._busy[one.tenant] < OF_ONE_TENANT

    def _taken(self, first: _Waiting) -> list[_Waiting]:
        """One that waits, and what goes with it."""
        together, others = [first], deque[_Waiting]()
        for one in self._waiting:
            if one is not first:
                (together if len(together) < TOGETHER and one.goes_with(first) else others).append(one)
        self._waiting = others
        return together

    def _run(self, connection: Connection, together: Sequence[_Waiting]) -> None:
        tenant, times_put_off = together[0].tenant, self._times_put_off

        def ended(outcome: Outcome | NothingSent) -> None:
            self._busy[tenant] -= 1
            if not self._busy[tenant]:
                del self._busy[tenant]
            if isinstance(outcome, Refused) and len(together) > 1:
                if times_put_off == self._times_put_off:
                    self._waiting.extendleft(one._replace(is_alone=True) for one in reversed(together))
                    self._freed(connection)
                    return
                outcome = NothingSent("it was put off")
            self._freed(connection)
            if isinstance(outcome, list) and tenant is not None:
                self.when_written(len(together))
            place = 0
            for one in together:
                end = place + len(one.commands)
                one.ended(outcome[place:end] if isinstance(outcome, list) else outcome)
                place = end

        self._busy[tenant] += 1
        connection.begin([command for one in together for command in one.commands], ended)

    def _freed(self, connection: Connection) -> None:
        self._is_done.set()
        if connection.is_lost:
            self._all.discard(connection)
        else:
            self._idle.append(connection)
        self._go_on()

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
        connection, problem = None, ""
        try:
            connection = await self._connect()
        except Unavailable as failure:
            problem = str(failure)
        # What follows may ask for another connection at once: this attempt is over.
        self._opening.difference_update({asyncio.current_task()})
        if connection is not None:
            self._add(connection)
        elif not self._all:  # nobody else will come for those that wait
            self._refuse_waiting(problem)

    def _refuse_waiting(self, why: str) -> None:
        waiting, self._waiting = self._waiting, deque()
        self._is_done.set()
        for one in waiting:
            one.ended(NothingSent(why))
