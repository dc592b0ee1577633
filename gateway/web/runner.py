"""A listener: makes connections, ends those whose time is over, and stops without breaking what has begun.

aiohttp closes idle connections at once when it stops, and resets a client that is just sending its next request;
``drain`` gives them time.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from asyncio.trsock import TransportSocket
from collections.abc import Iterator, Mapping
from typing import Any

from aiohttp import web

from gateway.flows.runtime import log
from gateway.web.capacity import Capacity
from gateway.web.connections import Bounds, Connection, NoteUnread
from gateway.web.listening import refuse_new
from gateway.web.refusals import MOST_HEADERS

HANDSHAKE = 0.1
"""Seconds for connections that were just being made when listening ends."""

LOOKS = 0.02
"""Seconds between two looks at the connections that are left."""

SLOWEST_SWEEP = 0.5
"""Seconds between two looks for connections whose time is over; more often where deadlines are short."""

ACCEPTED_AT_ONCE = 4
"""Connections that are accepted before the loop does something else: so few are open before others make room."""

QUEUE = 1024
"""Connections that wait in the kernel to be accepted."""

KERNEL_BUFFER = 64 * 1024
"""Bytes that the kernel keeps for a connection in each direction; Linux doubles it for its own needs."""

DEFER = 1
"""Seconds that the kernel waits for a request's first bytes before it hands a connection over without them. So a
connection is rarely here without a request, however many others come before its client's next packet arrives."""

READ_AT_ONCE = 64 * 1024
"""Bytes of a body that are read before its handler takes them."""

WARN_EVERY = 60.0
"""Seconds between two warnings that there are too many connections."""


class Runner(web.AppRunner):
    """An ``AppRunner`` that keeps to ``capacity`` and ``bounds``, and never decompresses a body."""

    def __init__(
        self,
        app: web.Application,
        *,
        capacity: Capacity[Connection],
        bounds: Bounds,
        note_unread: NoteUnread,
        shutdown_timeout: float,
        lingering_time: float,
    ) -> None:
        super().__init__(app, shutdown_timeout=shutdown_timeout)
        self._capacity = capacity
        self._bounds = bounds
        self._of_each: dict[str, Any] = {
            "capacity": capacity,
            "bounds": bounds,
            "note_unread": note_unread,
            "lingering_time": lingering_time,
            "max_headers": MOST_HEADERS,
            "max_line_size": bounds.head_bytes,
            "max_field_size": bounds.head_bytes,
            "read_bufsize": READ_AT_ONCE,
            "access_log": None,
            # Compressed bodies stay as they came: a signature sees raw bytes, and nothing small can grow large.
            "auto_decompress": False,
        }
        self._sweeping: asyncio.Task[None] | None = None

    async def listen(self, host: str, port: int) -> int:
        """Begin to listen; the port that was bound."""
        await self.setup()
        site = web.TCPSite(self, host, port, backlog=ACCEPTED_AT_ONCE)
        await site.start()
        for listening in self._sockets():
            _widen(listening)
        self._sweeping = asyncio.create_task(self._sweep())
        return int(self.addresses[0][1])

    async def drain(self, *, grace: float, within: float) -> None:
        """Stop listening, then wait until every connection has ended; the requests that still come must end them.

        After ``grace`` seconds nobody waits for idle ones, after ``within`` for none. ``cleanup`` closes what is left,
        in what is left of that time.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        await self._stop_listening()
        while len(self._capacity) and clock() < began + within:
            if clock() >= began + grace and all(one.is_idle for one in self._capacity):
                break
            await asyncio.sleep(LOOKS)
        # aiohttp waits so long twice: for a request's answer, then for its connection.
        self._shutdown_timeout = max(LOOKS, (began + within - clock()) / 2)

    async def cleanup(self) -> None:
        """Close what is left, also what a client has not taken."""
        await super().cleanup()
        if self._sweeping is not None:
            self._sweeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeping
        for one in self._capacity:
            one.end()

    def _sockets(self) -> Iterator[TransportSocket]:
        for site in self.sites:
            yield from getattr(site._server, "sockets", ())

    async def _stop_listening(self) -> None:
        for listening in self._sockets():
            refuse_new(listening)
        await asyncio.sleep(HANDSHAKE)
        for site in self.sites:
            await site.stop()

    async def _sweep(self) -> None:
        """End the connections whose time is over, for ever; say now and then that there were too many."""
        clock = asyncio.get_running_loop().time
        pause = min(SLOWEST_SWEEP, min(self._bounds.seconds.values()) / 4)
        warned = -WARN_EVERY
        while True:
            await asyncio.sleep(pause)
            now = clock()
            for one in self._capacity:
                if one.deadline <= now:
                    one.end()
            if self._capacity.turned_away and now >= warned + WARN_EVERY:
                warned = now
                log.warning("too many connections", extra={"repeated": self._capacity.turned_away})
                self._capacity.turned_away = 0

    async def _make_server(self) -> web.Server:
        return _Server(await super()._make_server(), self._of_each)


class _Server(web.Server):
    """Makes a ``Connection`` of each connection. ``of_each``: what all of them get."""

    def __init__(self, made: web.Server, of_each: Mapping[str, Any]) -> None:
        super().__init__(made.request_handler, request_factory=made.request_factory)
        self._of_each = of_each

    def __call__(self) -> web.RequestHandler:
        return Connection(self, loop=asyncio.get_running_loop(), **self._of_each)


def _widen(listening: TransportSocket) -> None:
    """Let many wait in the kernel although few are accepted at once, and bound what it keeps for each."""
    with socket.fromfd(listening.fileno(), listening.family, listening.type) as same:
        same.listen(QUEUE)
        same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER)
        same.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER)
        if hasattr(socket, "TCP_DEFER_ACCEPT"):  # Linux
            same.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, DEFER)
