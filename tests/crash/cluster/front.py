"""What stands in front of the nodes: each connection goes to one of them that takes it, as a load balancer does."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence

CHUNK = 65536


class Front:
    """Passes bytes on. It asks no node how it is: a connection to one that is paused hangs until its client goes."""

    def __init__(self, ports: Sequence[int], dice: random.Random) -> None:
        self._ports, self._dice = ports, dice

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side ends it."""
        with contextlib.suppress(asyncio.CancelledError), contextlib.closing(writer):  # the end of the run cancels
            node = await self._connected()
            if node is None:
                return
            with contextlib.closing(node[1]):
                ways = [asyncio.ensure_future(_copy(reader, node[1])), asyncio.ensure_future(_copy(node[0], writer))]
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """A connection to any node that listens, None where none does."""
        for port in self._dice.sample(self._ports, len(self._ports)):
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", port)
        return None


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
