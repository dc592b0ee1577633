"""One connection, one request, one answer.

Only here is known what was written and what came unasked. A connection on which anything comes before the request is
not used; one whose answer is whole takes nothing more, so nothing can be taken for the answer to anything else.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from typing import cast

from gateway.core.errors import NotSent, OutcomeUnknown
from gateway.core.wire import HttpResponse
from gateway.drivers.sender.response_parser import ResponseParser

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time: the socket ends by RST


CLOSE_WAIT_SECONDS = 1.0


class ClosingConnections:
    """Connections whose answer is complete, until the server closes them: at most ``most``, each for ``seconds``.

    The side that closes first keeps the port for a minute (TIME_WAIT). ``Connection: close`` asks the server to do it.
    A connection that it leaves open is reset, which leaves no TIME_WAIT; so is the oldest when there are too many.
    """

    def __init__(self, most: int, *, seconds: float = CLOSE_WAIT_SECONDS) -> None:
        self._most, self._seconds = most, seconds
        self._until: dict[Connection, float] = {}  # in the order of time
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, connection: Connection) -> None:
        """Wait in the background for the server to close."""
        if len(self._until) >= self._most:
            self._give_up(next(iter(self._until)))
        loop = asyncio.get_running_loop()
        self._until[connection] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._look)

    def left(self, connection: Connection) -> None:
        """It is closed."""
        self._until.pop(connection, None)

    def close(self) -> None:
        """Wait no longer for any."""
        for connection in list(self._until):
            self._give_up(connection)
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        """Reset those whose time is up; come back when the next one's is."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in [one for one, until in self._until.items() if until <= now]:
            self._give_up(connection)
        following = next(iter(self._until.values()), None)
        self._timer = loop.call_at(following, self._look) if following is not None else None

    def _give_up(self, connection: Connection) -> None:
        self.left(connection)
        connection.reset()


class Connection(asyncio.Protocol):
    """A connection that stands. It is asked once."""

    def __init__(self, closing: ClosingConnections) -> None:
        self._closing = closing
        self._transport: asyncio.Transport
        self._answer: ResponseParser | None = None
        self._answered: asyncio.Future[HttpResponse] | None = None
        self._is_spoilt = False

    def ask(self, message: bytes, answer: ResponseParser) -> asyncio.Future[HttpResponse]:
        """Write the request; the future has the answer or ``OutcomeUnknown``. Raises ``NotSent``."""
        if self._is_spoilt or self._transport.is_closing():
            raise NotSent("connect_failed", connection=True)
        self._answer = answer
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(message)
        return self._answered

    def drop(self) -> None:
        """Close at once, unless the answer is complete: then the server is to close."""
        if self._answer is not None or self._answered is None:
            self._transport.abort()

    def reset(self) -> None:
        """Close by RST."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None:  # over TLS the socket may be gone before connection_lost is called
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands, TLS included."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read on; what comes unasked ends the connection."""
        if self._answer is None:
            self._is_spoilt = True
            self._transport.abort()
            return
        try:
            response = self._answer.feed(data)
        except OutcomeUnknown as broken:
            self._fail(broken)
        else:
            if response is not None:
                self._succeed(response)

    def eof_received(self) -> None:
        """The server closes. Returning None closes this side too."""
        self._is_spoilt = True
        if self._answer is None:
            return
        try:
            if not self._is_proper_end():
                raise OutcomeUnknown("connection_lost")
            self._succeed(self._answer.end())
        except OutcomeUnknown as broken:
            self._fail(broken)

    def connection_lost(self, _: Exception | None) -> None:
        """The connection is closed, by either side."""
        self._is_spoilt = True
        self._closing.left(self)
        self._fail(OutcomeUnknown("connection_lost"))

    def _is_proper_end(self) -> bool:
        """Over TLS, whether the server said so (``close_notify``): anybody on the way can end a TCP connection."""
        tls = self._transport.get_extra_info("ssl_object")
        try:
            return tls is None or tls.read(1) == b""
        except ssl.SSLError:
            return False

    def _succeed(self, response: HttpResponse) -> None:
        self._answer = None
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(response)
        self._closing.enter(self)

    def _fail(self, problem: OutcomeUnknown) -> None:
        if self._answer is None:
            return
        self._answer = None
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(problem)
        self._transport.abort()
