"""The fake provider: ``python -m bench.servers.provider PORT [MILLISECONDS]``. Answers API-1, after a delay if given.

A protocol without a framework, so that the provider is never what is measured.
"""

from __future__ import annotations

import asyncio
import sys

import msgspec

BODY = msgspec.json.encode({"data": {"url": "https://pay.example/page"}, "result": True, "msg": ""})
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
ANSWER = HEAD + BODY


class Provider(asyncio.Protocol):
    """One connection; keeps it open unless the request says ``Connection: close``."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            self.buffer = self.buffer[end + 4 + length :]
            closes = b"\r\nconnection: close" in head
            if self.delay:
                asyncio.get_running_loop().call_later(self.delay, self._answer, closes)
            else:
                self._answer(closes)

    def _answer(self, closes: bool) -> None:
        if not self.transport.is_closing():
            self.transport.write(ANSWER)
        if closes:
            self.transport.close()


async def serve(port: int, delay: float) -> None:
    """Serve until the process ends."""
    server = await asyncio.get_running_loop().create_server(lambda: Provider(delay), "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]) / 1000 if len(sys.argv) > 2 else 0.0))
