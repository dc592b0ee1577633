"""An HTTP client as plain as can be: it keeps its connection, repeats nothing, and tells what became of a request."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

CONNECT_WITHIN = 0.5
"""Seconds; a kernel whose peer lets nobody in any more waits a second and longer by itself."""


class Reply(NamedTuple):
    """A whole answer. ``is_last``: the server said that it closes the connection."""

    status: int
    body: bytes
    is_last: bool

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Reset(enum.Enum):
    """A request that was sent and not answered."""

    RESET = enum.auto()


class Connection(NamedTuple):
    """One open connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    host: str

    async def ask(self, method: str, path: str, headers: Mapping[str, str], body: Any = None) -> Reply | Reset:
        """Send one request and read its whole answer."""
        data = b"" if body is None else json.dumps(body).encode()
        sent = {"Host": self.host, "Content-Type": "application/json", "Content-Length": str(len(data)), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        try:
            self.writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + data)
            await self.writer.drain()
            return await self._reply()
        except (ConnectionError, asyncio.IncompleteReadError):
            return Reset.RESET

    async def _reply(self) -> Reply:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Reply(int(first.split()[1]), body, headers.get("connection", "").lower() == "close")


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection | None]:
    """Connect for the time of the block; None when the server lets nobody in."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(CONNECT_WITHIN):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    except (OSError, TimeoutError):
        yield None
        return
    try:
        yield Connection(reader, writer, parts.netloc)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
