"""A listener: accepts connections, ends those whose time is over, and stops without resetting a client."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from asyncio.trsock import TransportSocket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from gateway.flows.runtime import log
from gateway.web.connections.capacity import Capacity
from gateway.web.connections.connection import Bounds, Connection, NoteUnread
from gateway.web.connections.graceful_shutdown import (
    POLL_SECONDS,
    listening_sockets,
    stop_listening,
    wait_for_connections,
)
from gateway.web.connections.malformed_requests import MAX_HEADERS

MAX_SWEEP_SECONDS = 0.5
"""Between two searches for connections whose time is over; less where deadlines are short."""

ACCEPT_BATCH = 4
"""Connections that are accepted before the loop does something else: so few are open before others make room."""

ACCEPT_QUEUE = 1024
"""Connections that wait in the kernel to be accepted."""

KERNEL_BUFFER_BYTES = 64 * 1024
"""What the kernel keeps for a connection in each direction; Linux doubles it for its own needs."""

DEFER_ACCEPT_SECONDS = 1
"""How long the kernel waits for a request's first bytes before it hands a connection over without them. So a
connection is rarely here without a request, however many others come before its client's next packet arrives."""

READ_AHEAD_BYTES = 64 * 1024
"""What is read of a body before its handler takes it."""

WARN_INTERVAL_SECONDS = 60.0
"""Between two warnings that there are too many connections."""


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Listener(web.AppRunner):
    """An ``AppRunner`` that keeps to ``capacity`` and ``bounds``, and never decompresses a body.

    ``answer`` answers each request of the application.
    """

    def __init__(
        self,
        app: web.Application,
        answer: Handler,
        *,
        capacity: Capacity[Connection],
        bounds: Bounds,
        note_unread: NoteUnread,
        shutdown_timeout: float,
        lingering_time: float,
    ) -> None:
        super().__init__(app, shutdown_timeout=shutdown_timeout)
        self._answer = answer
        self._capacity = capacity
        self._bounds = bounds
        self._connection_settings: dict[str, Any] = {
            "capacity": capacity,
            "bounds": bounds,
            "note_unread": note_unread,
            "lingering_time": lingering_time,
            "max_headers": MAX_HEADERS,
            "max_line_size": bounds.head_bytes,
            "max_field_size": bounds.head_bytes,
            "read_bufsize": READ_AHEAD_BYTES,
            "access_log": None,
            # Compressed bodies stay as they came: a signature sees raw bytes, and nothing small can grow large.
            "auto_decompress": False,
        }
        self._sweeping: asyncio.Task[None] | None = None
        self._is_shared = False

    async def listen(self, host: str, port: int, shared: Sequence[socket.socket] = ()) -> int:
        """Begin to listen, and return the port that was bound.

        ``shared``: sockets that were bound already, from which other processes accept too.
        """
        await self.setup()
        self._is_shared = bool(shared)
        sites: list[web.BaseSite] = [web.SockSite(self, one, backlog=ACCEPT_BATCH) for one in shared]
        for site in sites or [web.TCPSite(self, host, port, backlog=ACCEPT_BATCH)]:
            await site.start()
        for listening in listening_sockets(self.sites):
            _tune(listening)
        self._sweeping = asyncio.create_task(self._sweep())
        return int(self.addresses[0][1])

    async def drain(self, *, grace: float, within: float) -> None:
        """Stop listening, then wait for the connections to end: idle ones ``grace`` seconds, others ``within``.

        ``cleanup`` closes what is left, in what is left of that time.
        """
        clock = asyncio.get_running_loop().time
        idle_until, until = clock() + grace, clock() + within
        await stop_listening(self.sites, are_shared=self._is_shared)
        await wait_for_connections(self._capacity, idle_until=idle_until, until=until)
        # aiohttp waits this long twice: for a request's answer, then for its connection.
        self._shutdown_timeout = max(POLL_SECONDS, (until - clock()) / 2)

    async def cleanup(self) -> None:
        """Close what is left, also what a client has not taken."""
        await super().cleanup()
        if self._sweeping is not None:
            self._sweeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeping
        for one in self._capacity:
            one.end()

    async def _sweep(self) -> None:
        """End the connections whose time is over, forever; warn now and then that there were too many."""
        clock = asyncio.get_running_loop().time
        pause = min(MAX_SWEEP_SECONDS, min(self._bounds.seconds.values()) / 4)
        warned = -WARN_INTERVAL_SECONDS
        while True:
            await asyncio.sleep(pause)
            now = clock()
            for one in self._capacity:
                if one.deadline <= now:
                    one.end()
            if self._capacity.turned_away and now >= warned + WARN_INTERVAL_SECONDS:
                warned = now
                log.warning("too many connections", extra={"repeated": self._capacity.turned_away})
                self._capacity.turned_away = 0

    async def _make_server(self) -> web.Server:
        return _Server(await super()._make_server(), self._answer, self._connection_settings)


class _Server(web.Server):
    """Makes a ``Connection`` for each accepted socket."""

    def __init__(self, made: web.Server, answer: Handler, connection_settings: Mapping[str, Any]) -> None:
        super().__init__(answer, request_factory=made.request_factory)  # type: ignore[arg-type]  # it makes Requests
        self._connection_settings = connection_settings

    def __call__(self) -> web.RequestHandler:
        return Connection(self, loop=asyncio.get_running_loop(), **self._connection_settings)


def _tune(listening: TransportSocket) -> None:
    """Let many wait in the kernel although few are accepted at once, and bound what it keeps for each."""
    with socket.fromfd(listening.fileno(), listening.family, listening.type) as same:
        same.listen(ACCEPT_QUEUE)
        same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER_BYTES)
        same.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER_BYTES)
        if hasattr(socket, "TCP_DEFER_ACCEPT"):  # Linux
            same.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, DEFER_ACCEPT_SECONDS)
