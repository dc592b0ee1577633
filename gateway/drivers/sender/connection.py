"""One connection, one request, one answer, over a socket of our own, plain or TLS.

Only this module knows what was written and what arrived unasked. A connection on which anything arrives before the
request is not used, and after a complete answer nothing more is read, so no answer can be taken for another one's. It
does without asyncio's transports: making and closing one for each call costs more than the call.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any

from gateway.core.errors import NotSent, OutcomeUnknown
from gateway.core.wire import HttpResponse
from gateway.drivers.deadlines import Deadlines
from gateway.drivers.sender.readiness import READ, WRITE, Readiness
from gateway.drivers.sender.response_parser import ResponseParser

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time: the socket ends by RST

_NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

_CONNECTED = (0, errno.EISCONN)
_UNDER_WAY = (errno.EINPROGRESS, errno.EALREADY)

READ_BYTES = 64 * 1024
"""The most that is taken from a socket at once."""

CLOSE_WAIT_SECONDS = 1.0


class ClosingConnections:
    """Connections whose answer is complete, until the server closes them: at most ``most``, each for ``seconds``.

    The side that closes first keeps the port for a minute (TIME_WAIT). ``Connection: close`` asks the server to do it.
    A connection that it leaves open is reset, which leaves no TIME_WAIT; so is the oldest when there are too many.
    """

    def __init__(self, most: int, *, seconds: float = CLOSE_WAIT_SECONDS) -> None:
        self._most = most
        self._waiting = Deadlines[Connection](seconds, lambda connection: connection.reset())

    def enter(self, connection: Connection) -> None:
        """Wait in the background for the server to close."""
        if len(self._waiting) >= self._most:
            self._waiting.oldest().reset()
        self._waiting.enter(connection)

    def left(self, connection: Connection) -> None:
        """It is closed."""
        self._waiting.leave(connection)

    def close(self) -> None:
        """Wait no longer for any."""
        self._waiting.close()


class Connection:
    """A socket that is asked once. ``connect`` comes first where it is not connected yet, then ``encrypt`` for TLS."""

    def __init__(self, sock: socket.socket, readiness: Readiness, closing: ClosingConnections) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock, self._descriptor = sock, sock.fileno()
        self._readiness, self._closing = readiness, closing
        self._events = 0  # for which it is watched
        self._step: Callable[[], None]  # what is done when one comes
        self._unsent = memoryview(b"")
        self._answer: ResponseParser | None = None
        self._answered: asyncio.Future[HttpResponse] | None = None

    async def connect(self, address: Any) -> None:
        """Connect. Raises ``OSError``; then it is closed."""
        try:
            self._sock.connect_ex(address)
            # Asking again tells how the attempt goes: with a server on this machine it is over by now.
            while (problem := self._sock.connect_ex(address)) not in _CONNECTED:
                if problem not in _UNDER_WAY:
                    raise OSError(problem, "not connected")
                await self._until(WRITE)
        except BaseException:
            self.close()
            raise

    async def encrypt(self, tls: ssl.SSLContext, name: str) -> None:
        """Speak TLS, with whom a certificate calls ``name``. Raises ``OSError``, ``ValueError``; then it is closed."""
        self._forget()  # the descriptor gets another owner, who closes it should the next line fail
        try:
            self._sock = sock = tls.wrap_socket(
                self._sock, server_hostname=name, do_handshake_on_connect=False, suppress_ragged_eofs=False
            )
            await self._shake_hands(sock)
        except BaseException:
            self.close()
            raise

    def ask(self, message: bytes, answer: ResponseParser) -> asyncio.Future[HttpResponse]:
        """Write the request; the future has the answer or ``OutcomeUnknown``. Raises ``NotSent``."""
        if not self._is_silent():
            raise NotSent("connect_failed", connection=True)
        self._unsent, self._answer = memoryview(message), answer
        self._answered = asyncio.get_running_loop().create_future()
        self._write()
        return self._answered

    def drop(self) -> None:
        """Close at once, unless the answer is complete: then the server is to close."""
        if self._answer is not None or self._answered is None:
            self.close()

    def reset(self) -> None:
        """Close by RST."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.close()

    def close(self) -> None:
        """Close, whatever is under way."""
        self._forget()
        self._closing.left(self)
        self._sock.close()

    async def _shake_hands(self, sock: ssl.SSLSocket) -> None:
        while True:
            try:
                return sock.do_handshake()
            except ssl.SSLWantReadError:
                await self._until(READ)
            except ssl.SSLWantWriteError:
                await self._until(WRITE)

    def _is_silent(self) -> bool:
        """Whether nothing has come so far, not even an end: a byte that came unasked is not an answer."""
        try:
            self._sock.recv(1)
        except _NOT_YET:
            return True
        except OSError:
            return False
        return False

    def _write(self) -> None:
        """Write as much as the socket takes, and go on when it takes more."""
        try:
            while self._unsent:
                self._unsent = self._unsent[self._sock.send(self._unsent) :]
        except ssl.SSLWantReadError:
            self._watch(READ, self._write_and_read)
        except _NOT_YET:
            self._watch(READ | WRITE, self._write_and_read)
        except OSError:
            self._fail(OutcomeUnknown("connection_lost"))
        else:
            self._watch(READ, self._read)

    def _write_and_read(self) -> None:
        """A server may answer before it has read everything."""
        self._write()
        self._read()

    def _read(self) -> None:
        """Read on. An end is proper when the server said so, over TLS by ``close_notify``."""
        answer = self._answer
        if answer is None:
            return
        try:
            data = self._sock.recv(READ_BYTES)
            response = answer.feed(data) if data else answer.end()
        except _NOT_YET:
            return
        except OutcomeUnknown as broken:
            self._fail(broken)
        except OSError:
            self._fail(OutcomeUnknown("connection_lost"))
        else:
            if response is not None:
                self._succeed(response)

    def _leave(self) -> None:
        """Close once the server did, or has more to say."""
        if not self._is_silent():
            self.close()

    def _succeed(self, response: HttpResponse) -> None:
        self._answer = None
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(response)
        if self._is_silent():
            self._closing.enter(self)
            self._watch(READ, self._leave)
        else:  # most servers close with the answer
            self.close()

    def _fail(self, problem: OutcomeUnknown) -> None:
        self._answer = None
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(problem)
        self.close()

    async def _until(self, events: int) -> None:
        is_ready = asyncio.get_running_loop().create_future()
        self._watch(events, functools.partial(_resolve, is_ready))
        await is_ready

    def _watch(self, events: int, step: Callable[[], None]) -> None:
        self._step = step
        if events == self._events:
            return
        tell = self._readiness.change if self._events else self._readiness.watch
        tell(self._descriptor, events, self._go_on)
        self._events = events

    def _go_on(self) -> None:
        if self._events:  # it may have been closed by another one's turn
            self._step()

    def _forget(self) -> None:
        if self._events:
            self._readiness.forget(self._descriptor)
            self._events = 0


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
