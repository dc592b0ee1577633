"""One of several processes that serve the same ports."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import msgspec


class Worker(msgspec.Struct, frozen=True):
    """``number`` of ``count``, from 1. ``public`` and ``admin``: bound sockets, which all of them accept from.

    All share one queue of connections for each socket (they were bound before the processes parted), so that what
    waits in it is not lost with one of them.
    """

    number: int
    count: int
    public: Sequence[socket.socket]
    admin: Sequence[socket.socket]

    def share(self, limit: int | None) -> int | None:
        """This process's part of a limit of the whole gateway; None for no limit."""
        return None if limit is None else -(-limit // self.count)


ALONE = Worker(1, 1, (), ())
"""The only process: it binds by itself."""


async def bound(host: str, port: int) -> list[socket.socket]:
    """Bind a port (0 = any free one) on every address of a host, as a server would; nothing listens yet.

    Raises ``OSError``.
    """
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, host, port, start_serving=False)
    try:
        return [one.dup() for one in server.sockets]
    finally:
        server.close()
