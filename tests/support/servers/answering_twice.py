"""A host that answers twice, in front of both providers and in the place of the tenants' webhook receivers.

Everybody shares its one address and port. Of a request that was chosen it sends a second answer, at once or after a
pause, on a connection that it keeps open whatever was asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.stack import WEBHOOK_SECRET

POISON = "https://poison.example/"
PATIENCE = 5.0


def _message(status: int, body: Any) -> bytes:
    text = json.dumps(body).encode()
    return (
        f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n".encode()
        + text
    )


NO = _message(400, {"result": "no", "said": POISON})
"""Credit Key's no: believed, it would decline a capture or a refund that was never asked for."""
PAGE = _message(200, {"data": {"url": POISON}, "result": True, "msg": ""})
"""The PSP's yes: believed, it would send a customer to somebody else's page."""
TAKEN = _message(200, {})
"""A receiver's yes: believed, a webhook that nobody received would be delivered."""


@dataclass
class Host:
    """``heard`` are the paths of all requests; ``receivers`` the statuses by which the tenants answer webhooks."""

    ports: dict[str, int] = field(default_factory=dict)
    port: int = 0
    heard: list[str] = field(default_factory=list)
    receivers: dict[str, int] = field(default_factory=dict)
    _twice: tuple[str, float, bytes] | None = None
    _asked: asyncio.Event = field(default_factory=asyncio.Event)
    _said: asyncio.Event = field(default_factory=asyncio.Event)

    def answer_twice(self, path: str, pause: float, surplus: bytes) -> None:
        """Answer the next request to a path twice, the second time ``pause`` seconds later."""
        self._twice = (path, pause, surplus)
        self._asked.clear()
        self._said.clear()

    async def has_been_asked(self) -> None:
        """Wait until the request that is answered twice has arrived."""
        async with asyncio.timeout(PATIENCE):
            await self._asked.wait()

    async def has_said_too_much(self) -> None:
        """Wait until the second answer is on its way."""
        async with asyncio.timeout(PATIENCE):
            await self._said.wait()

    def count(self, path: str) -> int:
        """How many requests to a path have arrived."""
        return sum(path in heard for heard in self.heard)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer every request of a connection, whatever it says of closing it."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                at = head.lower().find(b"content-length:")
                length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
                body = await reader.readexactly(length)
                self.heard.append(head.split(b" ")[1].decode())
                pause, surplus = self._surplus_for(self.heard[-1])
                writer.write(await self._answer(head, body) + (b"" if pause else surplus))
                if pause:
                    await asyncio.sleep(pause)
                    writer.write(surplus)
                if surplus:
                    self._said.set()
        writer.close()

    def _surplus_for(self, path: str) -> tuple[float, bytes]:
        if self._twice is None or not path.startswith(self._twice[0]):
            return 0, b""
        (_, pause, surplus), self._twice = self._twice, None
        self._asked.set()
        return pause, surplus

    async def _answer(self, head: bytes, body: bytes) -> bytes:
        line, _, rest = head.partition(b"\r\n")
        method, path, version = line.split(b" ")
        side, _, inner = path[1:].partition(b"/")
        if side == b"hooks":
            return _message(self.receivers[inner.decode()], {})
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[side.decode()])
        kept = [one for one in rest.split(b"\r\n") if one and not one.lower().startswith(b"connection:")]
        lines = [b" ".join((method, b"/" + inner, version)), *kept, b"Connection: close", b"", b""]
        writer.write(b"\r\n".join(lines) + body)
        answer = await reader.read()
        writer.close()
        return answer.replace(b"\r\nConnection: close", b"", 1)


@contextlib.asynccontextmanager
async def hostile_host() -> AsyncIterator[Host]:
    """Serve the host on a free loopback port."""
    host = Host()
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.get_running_loop().create_task(host.serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    host.port = server.sockets[0].getsockname()[1]
    try:
        yield host
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def lead_all_to(host: Host) -> Callable[[dict[str, Any]], None]:
    """Settings in which every provider and every webhook receiver of both tenants is at the hostile host."""

    def change(written: dict[str, Any]) -> None:
        tenants = written["tenants"]
        keys = {"public_key": "pk_globex", "shared_secret": "ss_globex"}
        tenants["globex"]["accounts"]["creditkey-main"] = {"provider": "creditkey", "config": keys}
        for name, tenant in tenants.items():
            tenant["webhook"] = {"url": f"http://127.0.0.1:{host.port}/hooks/{name}", "secrets": [WEBHOOK_SECRET]}
            tenant["accounts"]["creditkey-main"]["config"]["base_url"] = f"http://127.0.0.1:{host.port}/creditkey"
            tenant["accounts"]["psp-main"]["config"]["app_url"] = f"http://127.0.0.1:{host.port}/psp"
        written["clocks"] |= {"webhook_retry": ["0s", "400d"], "quiet_period": "1s"}

    return change
