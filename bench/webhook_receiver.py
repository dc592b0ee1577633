"""A tenant's endpoint in this process: answers 200 at once, and remembers when each payment's webhook came."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import msgspec

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class _Payment(msgspec.Struct):
    id: str


class _Data(msgspec.Struct):
    payment: _Payment


class _Webhook(msgspec.Struct):
    type: str
    data: _Data


class Receiver:
    """What came: (type of webhook, payment) -> ``time.perf_counter()`` of its last byte."""

    def __init__(self) -> None:
        self.came: dict[tuple[str, str], float] = {}
        self._wanted: dict[tuple[str, str], asyncio.Future[float]] = {}

    @contextlib.asynccontextmanager
    async def listening(self, port: int) -> AsyncIterator[None]:
        """Listen for the time of the block."""
        async with await asyncio.get_running_loop().create_server(lambda: _Connection(self), "127.0.0.1", port):
            yield

    async def time_of(self, kind: str, payment: str, patience: float = 30.0) -> float:
        """When a webhook came, or comes. Raises ``TimeoutError``."""
        if (kind, payment) in self.came:
            return self.came[kind, payment]
        wanted = self._wanted[kind, payment] = asyncio.get_running_loop().create_future()
        return await asyncio.wait_for(wanted, patience)

    def take(self, body: bytes) -> None:
        """Note a webhook."""
        webhook = msgspec.json.decode(body, type=_Webhook)
        key = webhook.type, webhook.data.payment.id
        self.came[key] = time.perf_counter()
        if wanted := self._wanted.pop(key, None):
            wanted.set_result(self.came[key])


class _Connection(asyncio.Protocol):
    def __init__(self, receiver: Receiver) -> None:
        self.receiver, self.buffer = receiver, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, ended, body = self.buffer.partition(b"\r\n\r\n")
        if not ended or len(body) < _length(head):
            return
        self.receiver.take(body)
        self.transport.write(ANSWER)
        self.transport.close()


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
