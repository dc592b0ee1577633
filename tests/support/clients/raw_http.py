"""Clients that speak HTTP byte by byte, and a gateway that gives them little time and little room."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

from msgspec.structs import replace

from tests.support.stack import GatewayStack, run_gateway, running_stack

PATIENCE = 10
"""Seconds after which a test gives up on what should have happened long before."""

LONG = 60.0
"""Seconds of a deadline that is not under test."""

LARGE = "/docs/swagger-ui-bundle.js"
"""A megabyte and more, for everybody."""

ONE = b"GET /problems/not_found HTTP/1.1\r\nHost: x\r\n\r\n"
HALF_A_HEAD = b"GET /problems/not_found HTTP/1.1\r\nHost: x\r\n"
HALF_A_BODY = b"POST /v1/payments HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"


@contextlib.asynccontextmanager
async def bounded_stack(
    folder: Path, *, timeouts: dict[str, float] | None = None, **limits: int
) -> AsyncIterator[GatewayStack]:
    """A stack whose gateway has these deadlines, all others far away, and these limits."""
    async with running_stack(folder) as stack:
        patient = dict.fromkeys(("request_head", "request_body", "idle_connection", "write"), LONG)
        stack.settings = replace(
            stack.settings,
            timeouts=replace(stack.settings.timeouts, **patient | (timeouts or {})),
            limits=replace(stack.settings.limits, **limits),
        )
    async with run_gateway(stack):
        yield stack


class Client:
    """One connection. It reads only when a test asks it to."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._loop = asyncio.get_running_loop()
        self._read = b""

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        await self._loop.sock_sendall(self.sock, data)

    async def answer(self) -> bytes:
        """The next whole answer, head and body."""
        async with asyncio.timeout(PATIENCE):
            while b"\r\n\r\n" not in self._read:
                await self._more()
            head, _, _ = self._read.partition(b"\r\n\r\n")
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line[:15].lower() == b"content-length:"), 0
            )
            end = len(head) + 4 + length
            while len(self._read) < end:
                await self._more()
        whole, self._read = self._read[:end], self._read[end:]
        return whole

    async def ask(self, request: bytes = ONE) -> int:
        """Send a request; the status of its answer."""
        await self.send(request)
        return int((await self.answer()).split()[1])

    async def rest(self, at_once: int = 65536) -> bytes:
        """All that comes until the other side closes."""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                while data := await self._loop.sock_recv(self.sock, at_once):
                    self._read += data
        return self._read

    async def closed(self) -> None:
        """Wait, without reading, until the other side has closed or reset the connection."""
        poll = select.poll()
        poll.register(self.sock, select.POLLRDHUP)
        assert await asyncio.to_thread(poll.poll, PATIENCE * 1000), "the connection is still open"

    @property
    def is_open(self) -> bool:
        """Whether the other side has closed it by now."""
        poll = select.poll()
        poll.register(self.sock, select.POLLRDHUP)
        return not poll.poll(0)

    async def _more(self) -> None:
        data = await self._loop.sock_recv(self.sock, 65536)
        if not data:
            raise ConnectionError("closed in the middle of an answer")
        self._read += data


@contextlib.asynccontextmanager
async def client(url: str, *, receive_buffer: int | None = None) -> AsyncIterator[Client]:
    """Connect for the time of the block."""
    with socket.socket() as sock:
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        async with asyncio.timeout(PATIENCE):
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", urlsplit(url).port))
        yield Client(sock)


def get(path: str, *headers: str) -> bytes:
    """A request without a body."""
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: x", *headers, "", "")).encode("latin-1")
