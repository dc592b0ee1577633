"""An HTTP proxy for tests: ``CONNECT`` and absolute URLs, bytes carried both ways as they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from tests.support.servers.scripted_tcp import reset


class ForwardProxy:
    """``asked`` are the first lines of what was asked of it. ``refuses``: it answers ``CONNECT`` with 403."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.asked: list[bytes] = []
        self.url = ""
        self._refuses = refuses

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        line, _, rest = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
        self.asked.append(line)
        method, address, version = line.decode().split(" ")
        parts = urlsplit(f"//{address}" if method == "CONNECT" else address)
        if self._refuses:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        far_reader, far_writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                path = address.removeprefix(f"http://{parts.netloc}") or "/"
                far_writer.write(f"{method} {path} {version}\r\n".encode() + rest)
            await _either(_carry(reader, far_writer), _carry(far_reader, writer))
        finally:
            far_writer.close()


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    except ConnectionError:
        reset(target)


async def _either(*ways: asyncio.Future[None] | object) -> None:
    tasks = [asyncio.ensure_future(way) for way in ways]  # type: ignore[arg-type]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


@asynccontextmanager
async def forward_proxy(*, refuses: bool = False) -> AsyncIterator[ForwardProxy]:
    """Run a proxy on a free loopback port."""
    proxy = ForwardProxy(refuses=refuses)
    running: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await proxy.serve(reader, writer)
                await writer.drain()
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.add(asyncio.get_running_loop().create_task(one(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
