"""Closed-loop load: each connection sends its next request when the last one is answered. Checks every status."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple


class Result(NamedTuple):
    """What a run saw: requests per second, and latencies in seconds, sorted."""

    per_second: float
    latencies: list[float]

    def percentile(self, part: float) -> float:
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * part))]


class WrongAnswer(Exception):
    """A benchmark that counts refused requests would measure nothing."""


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self.buffer = b""
        self.answered: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end]
        lowered = head.lower()
        at = lowered.find(b"content-length:")
        length = int(lowered[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self.buffer) >= end + 4 + length and self.answered is not None:
            self.buffer = self.buffer[end + 4 + length :]
            self.answered.set_result(head[9:12])

    def connection_lost(self, problem: Exception | None) -> None:
        if self.answered is not None and not self.answered.done():
            self.answered.set_exception(problem or ConnectionResetError())

    async def ask(self, request: bytes) -> bytes:
        self.answered = asyncio.get_running_loop().create_future()
        self.transport.write(request)  # type: ignore[attr-defined]
        return await self.answered


async def run(
    port: int, make: Callable[[int], bytes], *, count: int, connections: int, expected: bytes, warm_up: int = 200
) -> Result:
    """Send ``count`` requests, ``make(n)`` being the n-th; those of the warm-up are not measured."""
    loop = asyncio.get_running_loop()
    numbers = iter(range(count + warm_up))
    latencies: list[float] = []
    began = 0.0

    async def work() -> None:
        nonlocal began
        _, connection = await loop.create_connection(_Connection, "127.0.0.1", port)
        for number in numbers:
            if number == warm_up:
                began = perf_counter()
            request = make(number)
            sent = perf_counter()
            status = await connection.ask(request)
            if status != expected:
                raise WrongAnswer(f"{status.decode()} instead of {expected.decode()}")
            if number >= warm_up:
                latencies.append(perf_counter() - sent)
        connection.transport.close()

    await asyncio.gather(*(work() for _ in range(connections)))
    return Result(len(latencies) / (perf_counter() - began), sorted(latencies))


def http(method: str, path: str, body: bytes, **headers: str) -> bytes:
    """One request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
