"""Strangers hold connections in every way; good callers must get in, and memory and log must stay small.

Against one real gateway process with 256 descriptors: a thousand clients of one kind at a time, once as they are and
once so that each connects again as soon as it is closed. Beside them 20 healthy requests a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import select
import socket
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.support.clients.raw_http import HALF_A_BODY, HALF_A_HEAD, LARGE, ONE, get
from tests.support.server_process import ServerProcess, running_server_process
from tests.support.stack import creditkey_body, key_of, new_key

DESCRIPTORS = 256
DEADLINE, SLACK = 3.0, 4.0
"""Seconds of every deadline, and what an end may take beyond it: two looks, and the rest of a refused body."""

LASTS = 6.0
"""Seconds for which clients connect again and again."""

PATIENCE = 5.0
"""Seconds that a healthy request may take."""

MOST_MEMORY, MOST_LINES = 50_000, 100
"""KiB that the gateway may grow by, and lines of its log that are not about a request."""

KEY = f"Authorization: Bearer {key_of('acme')}"
BODY_OF_ACME = HALF_A_BODY.replace(b"Host: x", f"Host: x\r\n{KEY}".encode())
BIG_HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"x" * 8000) for n in range(120))


class Kind(NamedTuple):
    """A way to hold a connection: what is sent, by how many."""

    name: str
    sends: bytes
    clients: int = 1000
    is_operators: bool = False


KINDS = (
    Kind("idle", ONE),
    Kind("never reading", get(LARGE)),
    Kind("slow head", HALF_A_HEAD),
    Kind("slow body", HALF_A_BODY),
    Kind("slow body with a key", BODY_OF_ACME),
    Kind("silent", b""),
    Kind("pipelining", get(LARGE) * 3, 100),
    Kind("pipelining small ones", ONE * 100, 100),
    Kind("unfinished big head", BIG_HEAD, 60),
    Kind(
        "slow body, operators", HALF_A_BODY.replace(b"/v1/payments", b"/admin/v1/reviews/x/resolve"), is_operators=True
    ),
)


class Healthy:
    """Well-behaved callers in a process of their own: 20 requests a second, and their results."""

    def __init__(self, url: str, admin_url: str) -> None:
        self._url, self._admin_url = url, admin_url
        self.seconds: list[float] = []
        self.errors: list[str] = []

    async def run(self) -> None:
        """Ask until standard input ends: on a kept connection, on new ones, as tenant, stranger and operator."""
        loop = asyncio.get_running_loop()
        async with connection(self._url) as kept:
            asking = [
                asyncio.create_task(self._repeat("kept", 0.2, lambda: kept.ask(get("/v1/payments?limit=1", KEY)))),
                asyncio.create_task(self._repeat("create", 0.2, lambda: anew(self._url, create()))),
                asyncio.create_task(self._repeat("stranger", 0.2, lambda: anew(self._url, ONE))),
                asyncio.create_task(self._repeat("operator", 0.2, lambda: anew(self._admin_url, get("/readyz")))),
            ]
            await loop.run_in_executor(None, sys.stdin.read)
            for one in asking:
                one.cancel()
            await asyncio.wait(asking)

    async def _repeat(self, name: str, pause: float, ask: Callable[[], Awaitable[int]]) -> None:
        while True:
            began = time.monotonic()
            try:
                async with asyncio.timeout(PATIENCE):
                    status = await ask()
                if status >= 400:
                    self.errors.append(f"{name}: {status}")
                self.seconds.append(time.monotonic() - began)
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                self.errors.append(f"{name}: {type(error).__name__}")
            await asyncio.sleep(max(0.0, began + pause - time.monotonic()))


class Seen(NamedTuple):
    """What healthy callers saw."""

    seconds: list[float]
    errors: list[str]


@contextlib.asynccontextmanager
async def healthy_beside(server: ServerProcess) -> AsyncIterator[Callable[[], Awaitable[Seen]]]:
    """Run healthy callers for the duration of the block; the yielded function ends them and returns results."""
    command = (sys.executable, "-m", __spec__.name, server.stack.url, server.stack.admin_url)
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)

    async def end() -> Seen:
        output, _ = await process.communicate(b"")
        return Seen(**json.loads(output))

    try:
        yield end
    finally:
        if process.returncode is None:
            process.kill()


async def healthy(url: str, admin_url: str) -> None:
    """What the process of the healthy callers does."""
    callers = Healthy(url, admin_url)
    await callers.run()
    print(json.dumps({"seconds": callers.seconds, "errors": callers.errors}))


async def anew(url: str, request: bytes) -> int:
    """Ask on a connection of its own."""
    async with connection(url) as caller:
        return await caller.ask(request)


class Caller:
    """A connection that is used as it should be."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer

    async def ask(self, request: bytes) -> int:
        """Send a request and read its whole answer; the status."""
        self.writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line[:15].lower() == b"content-length:")
        await self._reader.readexactly(length)
        return int(head.split()[1])


@contextlib.asynccontextmanager
async def connection(url: str) -> AsyncIterator[Caller]:
    """Connect for the time of the block."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
    try:
        yield Caller(reader, writer)
    finally:
        writer.close()


def create() -> bytes:
    """A payment's create."""
    body = json.dumps(creditkey_body()).encode()
    head = get("/v1/payments", KEY, f"Idempotency-Key: {new_key()}", f"Content-Length: {len(body)}")
    return head.replace(b"GET", b"POST").replace(b"Host: x", b"Host: x\r\nContent-Type: application/json") + body


async def begin(kind: Kind, port: int) -> socket.socket:
    """One hostile connection."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError, TimeoutError):
        await loop.sock_connect(sock, ("127.0.0.1", port))
        async with asyncio.timeout(1):
            await loop.sock_sendall(sock, kind.sends)
    return sock


def open_ones(socks: list[socket.socket]) -> list[socket.socket]:
    """Those that the gateway has not closed."""
    poll = select.poll()
    by_number = {sock.fileno(): sock for sock in socks}
    for number in by_number:
        poll.register(number, select.POLLRDHUP)
    closed = {number for number, _ in poll.poll(0)}
    return [sock for number, sock in by_number.items() if number not in closed]


async def hold(kind: Kind, port: int) -> float:
    """Run all clients at once; return the seconds until the last of them was closed."""
    socks = await asyncio.gather(*(begin(kind, port) for _ in range(kind.clients)))
    left, began = list(socks), time.monotonic()
    while left and time.monotonic() < began + DEADLINE + SLACK + 5:
        await asyncio.sleep(0.1)
        left = open_ones(left)
    for sock in socks:
        sock.close()
    return time.monotonic() - began if not left else math.inf


async def reconnect(kind: Kind, port: int) -> int:
    """Run all clients, each reconnecting as soon as it is closed; return how many connections they made."""
    made, until = 0, time.monotonic() + LASTS
    socks: list[socket.socket] = []
    while time.monotonic() < until:
        still = open_ones(socks)
        for sock in set(socks) - set(still):
            sock.close()
        new = min(200, kind.clients - len(still))
        socks = still + list(await asyncio.gather(*(begin(kind, port) for _ in range(new))))
        made += new
        await asyncio.sleep(0)
    for sock in socks:
        sock.close()
    return made


class Memory:
    """The gateway's resident memory, in KiB."""

    def __init__(self, process: int) -> None:
        self._status = Path(f"/proc/{process}/status")
        self.first = self.most = self.now()

    def now(self) -> int:
        """At this moment."""
        return next(int(line.split()[1]) for line in self._status.read_text().splitlines() if line.startswith("VmRSS"))

    async def watch(self, stop: asyncio.Event) -> None:
        """Keep the highest."""
        while not stop.is_set():
            self.most = max(self.most, self.now())
            await asyncio.sleep(0.1)


class Outcome(NamedTuple):
    """What an attack did."""

    row: str
    is_good: bool


async def attack(server: ServerProcess, kind: Kind, how: Callable[[Kind, int], Awaitable[float | int]]) -> Outcome:
    """One attack with healthy callers beside it."""
    assert server.process is not None
    memory, stop = Memory(server.process.pid), asyncio.Event()
    watching = asyncio.create_task(memory.watch(stop))
    async with healthy_beside(server) as end_healthy:
        await asyncio.sleep(2)  # they have begun
        url = server.stack.admin_url if kind.is_operators else server.stack.url
        figure = await how(kind, urlsplit(url).port or 0)
        seen = await end_healthy()
    stop.set()
    await watching
    grown = memory.most - memory.first
    is_good = bool(seen.seconds) and not seen.errors and grown < MOST_MEMORY
    if how is hold:
        is_good = is_good and figure <= DEADLINE + SLACK
    return Outcome(row(kind, how is hold, figure, seen, grown), is_good)


def row(kind: Kind, is_once: bool, figure: float, seen: Seen, grown: int) -> str:
    """One line of the table."""
    result = f"once   {figure:6.1f} s to end" if is_once else f"again  {figure:6} made   "
    seconds = sorted(seen.seconds) or [math.inf]
    return (
        f"{kind.name:22} {result}  healthy {len(seconds):4}, errors {len(seen.errors)}, "
        f"p50 {1000 * seconds[len(seconds) // 2]:4.0f} ms, max {1000 * seconds[-1]:5.0f} ms  memory {grown:+6} KiB"
        f"  {dict(Counter(seen.errors)) or ''}"
    )


def short(settings: dict[str, Any]) -> None:
    """Every deadline is a few seconds."""
    names = ("request_head", "request_body", "idle_connection", "write")
    settings["timeouts"] = dict.fromkeys(names, f"{int(DEADLINE)}s")


async def main() -> int:
    """Run all attacks; return 1 if a limit was exceeded."""
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        async with running_server_process(Path(folder), short) as server:
            server.before = ("sh", "-c", f'ulimit -n {DESCRIPTORS}; exec "$@"', "sh")
            await server.start()
            for kind in KINDS:
                for how in (hold, reconnect):
                    outcomes.append(await attack(server, kind, how))
                    print(outcomes[-1].row, "" if outcomes[-1].is_good else "  BROKEN", flush=True)
            code = await server.end()
    lines = [line for line in server.errors.splitlines() if json.loads(line)["message"] != "request"]
    print(f"log: {len(lines)} lines beside those of requests, {len(server.errors)} bytes in all; exit code {code}")
    is_quiet = len(lines) < MOST_LINES and code == 0
    return 0 if is_quiet and all(outcome.is_good for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(healthy(*sys.argv[1:]) if sys.argv[1:] else main()))
