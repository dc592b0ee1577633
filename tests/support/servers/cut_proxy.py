"""A TCP proxy on loopback that ends a connection as soon as a message of the client has passed, whatever comes back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

SYNC = b"S\x00\x00\x00\x04"
"""The message with which a PostgreSQL client ends a transaction of several statements."""


class CutProxy:
    """Between clients and a server on a port of this machine; ``cuts`` connections are ended behind a Sync."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.cuts = 0
        self.cut = asyncio.Event()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay a connection until one side ends it, or it is cut."""
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._target)
        answers = asyncio.create_task(_relay(from_server, writer))
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                is_cut = self.cuts > 0 and data.endswith(SYNC)
                if is_cut:
                    answers.cancel()  # what the server answers is lost
                to_server.write(data)
                await to_server.drain()
                if is_cut:
                    self.cuts -= 1
                    break
        answers.cancel()
        writer.close()
        to_server.close()
        if self.cuts == 0:
            self.cut.set()


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def cut_proxy(target: int) -> AsyncIterator[CutProxy]:
    """Run one."""
    proxy = CutProxy(target)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
