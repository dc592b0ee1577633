"""Connections whose request head does not arrive in time are closed: aiohttp itself waits for it for ever.

And connections at the end: aiohttp closes idle ones at once, and resets a client that is just sending its next
request; ``drain`` gives them time. Here is all that leans on aiohttp's insides: ``_waiter`` (its sign that a
connection waits for a head), ``_make_server``, and the listening sockets behind a site. An idle connection between
two requests is aiohttp's own ``keepalive_timeout``.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from gateway.web.listening import refuse_new

HANDSHAKE = 0.1
"""Seconds for connections that were just being made when listening ends."""

LOOKS = 0.02
"""Seconds between two looks at the connections that are left."""


class Runner(web.AppRunner):
    """An ``AppRunner`` that gives each request head ``head_within`` seconds and never decompresses a body."""

    def __init__(self, app: web.Application, *, head_within: float, shutdown_timeout: float, **settings: Any) -> None:
        super().__init__(app, shutdown_timeout=shutdown_timeout)
        self._head_within = head_within
        # Compressed bodies stay as they came: a signature sees raw bytes, and nothing small can grow large.
        self._settings = {**settings, "access_log": None, "auto_decompress": False}

    async def drain(self, *, grace: float, within: float) -> None:
        """Stop listening, then wait until every connection has ended; the requests that still come must end them.

        After ``grace`` seconds nobody waits for idle ones, after ``within`` for none. ``cleanup`` closes what is left,
        in what is left of that time.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        await self._stop_listening()
        while (left := self._connections()) and clock() < began + within:
            if clock() >= began + grace and all(one.is_idle for one in left):
                break
            await asyncio.sleep(LOOKS)
        # aiohttp waits so long twice: for a request's answer, then for its connection.
        self._shutdown_timeout = max(LOOKS, (began + within - clock()) / 2)

    async def _stop_listening(self) -> None:
        for site in self.sites:
            for listening in getattr(site._server, "sockets", ()):
                refuse_new(listening)
        await asyncio.sleep(HANDSHAKE)
        for site in self.sites:
            await site.stop()

    def _connections(self) -> list[_Connection]:
        made = self.server.connections if self.server is not None else []
        return [one for one in made if isinstance(one, _Connection)]

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(made, self._head_within, self._settings)


class _Server(web.Server):
    def __init__(self, made: web.Server, head_within: float, settings: dict[str, Any]) -> None:
        super().__init__(made.request_handler, request_factory=made.request_factory)
        self._head_within = head_within
        self._settings = settings

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=asyncio.get_running_loop(), head_within=self._head_within, **self._settings)


class _Connection(web.RequestHandler):
    def __init__(self, manager: web.Server, *, head_within: float, **settings: Any) -> None:
        super().__init__(manager, **settings)
        self._head_within = head_within
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no request is being read or answered on it."""
        return self._waits_for_head()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._waits_for_head():
            self._stop_expecting()
        elif self._deadline is None:  # the first bytes of a head on a kept connection
            self._expect_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_expecting()
        super().connection_lost(exc)

    def _waits_for_head(self) -> bool:
        return self._waiter is not None and not self._waiter.done()

    def _expect_head(self) -> None:
        self._deadline = asyncio.get_running_loop().call_later(self._head_within, self._give_up)

    def _stop_expecting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self._waits_for_head():
            self.force_close()
