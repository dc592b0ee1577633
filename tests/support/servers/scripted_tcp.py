"""A TCP server for tests of the sender: a script per connection, and everything it heard."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from ssl import SSLContext

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class ScriptedServer:
    """``requests`` are whole requests, raw; ``heard`` is set with the first; ``connections`` counts accepted ones."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.heard = asyncio.Event()
        self.connections = 0
        self.port = 0

    @property
    def url(self) -> str:
        """The address of the server, plain http."""
        return f"http://127.0.0.1:{self.port}"

    async def hear(self, reader: asyncio.StreamReader) -> bytes:
        """Read one request, head and body, and keep it; empty when the client is gone."""
        with suppress(asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            body = await reader.readexactly(int(lengths[0].partition(b":")[2])) if lengths else b""
            self.requests.append(head + body)
            self.heard.set()
            return head + body
        return b""


Script = Callable[[ScriptedServer, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def scripted_server(script: Script, *, ssl: SSLContext | None = None) -> AsyncIterator[ScriptedServer]:
    """Serve on a free loopback port; a script that is over closes its connection."""
    remote = ScriptedServer()
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        remote.connections += 1
        try:
            with suppress(ConnectionError):
                await script(remote, reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.add(asyncio.get_running_loop().create_task(serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=ssl)
    remote.port = server.sockets[0].getsockname()[1]
    try:
        yield remote
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST instead of FIN."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def saying(*pieces: bytes) -> Script:
    """Hear a request, say something, hang up."""

    async def script(remote: ScriptedServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await remote.hear(reader)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    return script


def saying_then_reset(*pieces: bytes) -> Script:
    """Hear a request, say something, reset the connection."""

    async def script(remote: ScriptedServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await saying(*pieces)(remote, reader, writer)
        reset(writer)

    return script


def saying_then_silence(*pieces: bytes) -> Script:
    """Hear a request, say something, and then nothing until the client hangs up."""

    async def script(remote: ScriptedServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await saying(*pieces)(remote, reader, writer)
        await reader.read()

    return script


async def keep_alive(remote: ScriptedServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request of the connection."""
    while await remote.hear(reader):
        writer.write(OK)


async def silent(remote: ScriptedServer, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Hear whatever comes and never say a word until the client hangs up."""
    while await remote.hear(reader):
        pass


async def dripping(remote: ScriptedServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hear a request and answer a byte every 20 ms until the client hangs up."""
    await remote.hear(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
    while not reader.at_eof():
        writer.write(b"x")
        with suppress(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.02)


async def pouring(remote: ScriptedServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hear a request and answer without end until the client hangs up."""
    await remote.hear(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
        await writer.drain()
