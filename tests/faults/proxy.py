"""A faulty TCP proxy on loopback between the gateway and a real simulator, and unreachable addresses.

The proxy relays every request until a fault is set for one operation. Then it answers by itself: with ``LOST`` the
request goes no further, with ``ARRIVED`` the simulator gets it first and its answer is corrupted.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from msgspec.structs import replace

from gateway.core.wire import HttpRequest, HttpResponse
from gateway.flows.runtime import Send

PATIENCE = 30.0
"""Seconds that a call may take when no fault delays it."""


class Arrival(enum.StrEnum):
    """Whether the request reached the provider although its answer was faulty."""

    LOST = "lost"
    ARRIVED = "arrived"


@dataclass(frozen=True)
class ProxiedRequest:
    """One request. ``operation`` is the last part of its path, ``members`` its JSON body, or its query."""

    method: str
    target: str
    operation: str
    members: Mapping[str, Any]
    raw: bytes


@dataclass(frozen=True)
class Exchange:
    """What a fault works with: the connection, the request and the body of the answer.

    ``body`` is the simulator's own or, if the request is lost, one that claims success. ``refusal`` is a refusal in the
    provider's own format. ``other_order`` is the provider's key of another order.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    request: ProxiedRequest
    body: bytes
    refusal: bytes
    other_order: str


Corruption = Callable[[Exchange], Awaitable[None]]


class Proxy:
    """Between the gateway and the simulator on ``target``. ``requests``: every request since the last ``set``."""

    def __init__(self, claim: Callable[[ProxiedRequest], Mapping[str, Any]], refusal: Mapping[str, Any]) -> None:
        self.requests: list[ProxiedRequest] = []
        self.target = 0
        self.url = ""
        self._claim = claim
        self._refusal = json.dumps(refusal).encode()
        self._operation = ""
        self._corrupt: Corruption | None = None
        self._arrival = Arrival.LOST
        self._other_order = ""
        self._busy = 0
        self._quiet = asyncio.Condition()

    def set(self, operation: str, corrupt: Corruption | None, arrival: Arrival, other_order: str) -> None:
        """Corrupt every answer to one operation from now on."""
        self.requests.clear()
        self._other_order = other_order
        self._operation, self._corrupt, self._arrival = operation, corrupt, arrival

    async def clear(self) -> None:
        """Only relay from now on. Returns when no corrupted exchange is running."""
        self._corrupt = None
        async with self._quiet, asyncio.timeout(10):
            await self._quiet.wait_for(lambda: not self._busy)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection: one request."""
        self._busy += 1
        try:
            await self._exchange(reader, writer)
        finally:
            self._busy -= 1
            async with self._quiet:
                self._quiet.notify_all()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await _read_request(reader)
        if request is None:
            return
        self.requests.append(request)
        if self._corrupt is None or request.operation != self._operation:
            writer.write(await self._forward(request))
            return
        if self._arrival is Arrival.ARRIVED:
            body = (await self._forward(request)).partition(b"\r\n\r\n")[2]
        else:
            body = json.dumps(self._claim(request)).encode()
        await self._corrupt(Exchange(reader, writer, request, body, self._refusal, self._other_order))

    async def _forward(self, request: ProxiedRequest) -> bytes:
        """Return the simulator's raw answer; the simulator then closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.target)
        writer.write(request.raw.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        answer = await reader.read()
        writer.close()
        return answer


async def _read_request(reader: asyncio.StreamReader) -> ProxiedRequest | None:
    """Read one request; None when the client closed before it was complete."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        body = await reader.readexactly(int(lengths[0].partition(b":")[2])) if lengths else b""
    except asyncio.IncompleteReadError:
        return None
    method, target, _ = head.decode().split(" ", 2)
    parts = urlsplit(target)
    members = json.loads(body) if body else dict(parse_qsl(parts.query))
    return ProxiedRequest(method, target, parts.path.rpartition("/")[2], members, head + body)


@contextlib.asynccontextmanager
async def serving(serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[int]:
    """Serve connections on a free loopback port; each is closed after its exchange."""
    running: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError):
                await serve(reader, writer)
                await writer.drain()
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(one(reader, writer))
        running.add(task)
        task.add_done_callback(running.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


class FaultySender:
    """The gateway's real sender, which can send one operation to an unreachable address.

    The gateway's own deadlines apply where a fault ``waits`` for them. Every other call gets all the time it needs, so
    that a busy machine does not look like a fault.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.set("")

    def set(self, operation: str, *, address: str | None = None, waits: bool = False) -> None:
        """Send one operation to ``address``, or to its own when None, from now on."""
        self._operation, self._address, self._waits = operation, address, waits

    async def __call__(self, request: HttpRequest, *, total: float, connect: float, owner: str) -> HttpResponse:
        """Send one request."""
        parts = urlsplit(request.url)
        is_it = parts.path.rpartition("/")[2] == self._operation
        if is_it and self._address is not None:
            request = replace(request, url=request.url.replace(f"{parts.scheme}://{parts.netloc}", self._address, 1))
        if is_it and self._waits:
            return await self._send(request, total=total, connect=connect, owner=owner)
        return await self._send(request, total=PATIENCE, connect=PATIENCE, owner=owner)


@contextlib.asynccontextmanager
async def unreachable() -> AsyncIterator[dict[str, str]]:
    """Unreachable addresses, by name of the fault."""
    with contextlib.ExitStack() as exits:
        closed = exits.enter_context(socket.socket())
        closed.bind(("127.0.0.1", 0))  # bound and not listening: refused, and no other program can take it
        full = exits.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):  # a full backlog: further connections are not even refused
            waiting = exits.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        async with serving(_plain) as plain:
            yield {
                "refused": f"http://127.0.0.1:{closed.getsockname()[1]}",
                "dns": f"http://{'.'.join(['x' * 60] * 5)}",  # too long for the DNS: fails without asking a server
                "tls": f"https://127.0.0.1:{plain}",
                "connect_hang": f"http://127.0.0.1:{full.getsockname()[1]}",
            }


async def _plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a TLS hello in plain text."""
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
