"""Direct connections: resolve the host, check each address, connect, TLS; write once, read one answer, never reuse.

Everything before the write is ``NotSent``, everything after it depends on the answer. Nothing is logged here,
followed, retried, unpacked or kept.
"""

from __future__ import annotations

import socket
import ssl

from aiohappyeyeballs import AddrInfoType as Address
from aiohappyeyeballs import start_connection

from gateway.core.errors import NotSent
from gateway.core.wire import HttpRequest, HttpResponse
from gateway.drivers.forbidden_addresses import is_forbidden
from gateway.drivers.sender.connection import ClosingConnections, Connection
from gateway.drivers.sender.failure_words import failure_word
from gateway.drivers.sender.host_addresses import HostAddresses, LookUp
from gateway.drivers.sender.readiness import Readiness
from gateway.drivers.sender.request import Target, encoded
from gateway.drivers.sender.response_parser import ResponseParser
from gateway.drivers.sender.sender import Progress
from gateway.drivers.tls import system_tls

HAPPY_EYEBALLS_DELAY_SECONDS = 0.25
"""Seconds an address has before the next one is tried beside it (RFC 8305); families take turns, the first wins."""

MAX_ADDRESSES = 8
"""Of a host, so that a name with very many addresses that hang cannot take as many sockets."""


class Direct:
    """Exchanges over connections of their own. ``look_up`` and ``tls`` are for tests: other names, other roots."""

    def __init__(
        self,
        closing: ClosingConnections,
        *,
        allow_private: bool = False,
        cuts_bodies: bool = False,
        look_up: LookUp | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._cuts_bodies = cuts_bodies
        self._names = HostAddresses(look_up)
        self._closing = closing
        self._readiness = Readiness()
        self._given_tls = tls

    async def exchange(
        self, request: HttpRequest, target: Target, progress: Progress, tls: ssl.SSLContext | None = None
    ) -> HttpResponse:
        """Make a connection, send the request, return the whole answer. Raises ``NotSent`` and ``OutcomeUnknown``."""
        message = encoded(request, target)
        connection = await self._connect(target, tls)
        try:
            progress.written()
            return await connection.ask(message, ResponseParser(request.method, cuts=self._cuts_bodies))
        finally:
            connection.drop()

    async def close(self) -> None:
        """Close what is only waited for."""
        self._names.close()
        self._closing.close()
        self._readiness.close()

    async def _connect(self, target: Target, tls: ssl.SSLContext | None) -> Connection:
        try:
            connection = await self._reach(await self._allowed(target))
            if target.scheme == "https":
                await connection.encrypt(tls or self._given_tls or system_tls(), target.host.rstrip("."))
        except (OSError, ValueError, RuntimeError) as problem:  # RuntimeError: no thread could be had for the look-up
            raise NotSent("connect_failed", connection=True, why=failure_word(problem)) from None
        return connection

    async def _allowed(self, target: Target) -> list[Address]:
        """The addresses of the host, each judged: it is the one that is connected to."""
        found = await self._names.addresses(target.host, target.port)
        allowed = found if self._allow_private else [one for one in found if not is_forbidden(str(one[4][0]))]
        if found and not allowed:
            raise NotSent("address_not_allowed", connection=True)
        return allowed[:MAX_ADDRESSES]

    async def _reach(self, addresses: list[Address]) -> Connection:
        if len(addresses) != 1:
            sock = await start_connection(addresses, happy_eyeballs_delay=HAPPY_EYEBALLS_DELAY_SECONDS)
            return Connection(sock, self._readiness, self._closing)
        ((family, kind, protocol, _, address),) = addresses
        connection = Connection(socket.socket(family, kind, protocol), self._readiness, self._closing)
        await connection.connect(address)
        return connection
