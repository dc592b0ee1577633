"""SIGTERM under load: whoever sent a request gets a whole answer, what was accepted is done, and the end is clean."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from gateway.core.errors import OutcomeUnknown
from gateway.drivers.store.sqlite import open_sqlite_to_read
from gateway.web.connections.graceful_shutdown import drop_new_connections
from gateway.web.server import running
from tests.support.clients.keep_alive import Connection, Reply, Reset, connected
from tests.support.server_process import ServerProcess, running_server_process
from tests.support.stack import creditkey_body, key_of, new_key, running_stack

CYCLES = 10
KEEPING, HASTY = 8, 4
"""Clients that keep their connection, and clients that make a new one for every request."""

ENOUGH = 30
"""Answers after which a cycle is stopped."""

ACME = {"Authorization": f"Bearer {key_of('acme')}"}


class Journal:
    """What all clients of a test saw."""

    def __init__(self) -> None:
        self.answers: Counter[int] = Counter()
        self.resets = 0
        self.created: list[str] = []
        self.is_enough = asyncio.Event()

    def note(self, reply: Reply | Reset) -> None:
        """One request's end."""
        if isinstance(reply, Reset):
            self.resets += 1
            return
        self.answers[reply.status] += 1
        if reply.status == 201:
            self.created.append(reply.json["id"])
            if len(self.created) % ENOUGH == 0:
                self.is_enough.set()


async def client(url: str, journal: Journal, *, keeps: bool) -> None:
    """Create payments until the server lets nobody in."""
    while True:
        async with connected(url) as connection:
            if connection is None:
                return
            while True:
                reply = await create(connection)
                journal.note(reply)
                if not keeps or isinstance(reply, Reset) or reply.is_last:
                    break


async def create(connection: Connection) -> Reply | Reset:
    """Ask for one payment."""
    headers = {**ACME, "Idempotency-Key": new_key()}
    return await connection.ask("POST", "/v1/payments", headers, creditkey_body())


async def readiness(admin: Connection | None) -> int:
    """What ``/readyz`` answers on an open connection."""
    assert admin is not None
    ready = await admin.ask("GET", "/readyz", {})
    assert isinstance(ready, Reply)
    return ready.status


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    """A process that is not started yet."""
    async with running_server_process(tmp_path) as opened:
        yield opened


async def missing(server: ServerProcess, created: list[str]) -> list[str]:
    """Which of these payments the store does not have."""
    store = await open_sqlite_to_read(server.stack.store_file)
    found = [identifier for identifier in created if await store.payment("acme", identifier) is not None]
    await store.close()
    return sorted(set(created) - set(found))


async def test_ten_stops_under_load_reset_nobody(server: ServerProcess) -> None:
    """Ten times a gateway with twelve busy clients is stopped: no request is reset, none lost, exit code 0."""
    await server.stack.faults("creditkey", delay_ms=20)  # so that requests are under way when it stops
    journal, codes = Journal(), []
    for _ in range(CYCLES):
        await server.start()
        journal.is_enough.clear()
        async with asyncio.TaskGroup() as clients:
            for number in range(KEEPING + HASTY):
                clients.create_task(client(server.stack.url, journal, keeps=number < KEEPING))
            await journal.is_enough.wait()
            codes.append(await server.end(signal.SIGTERM, signal.SIGTERM))
    print(f"\n{CYCLES} stops, {dict(journal.answers)} answers, {journal.resets} reset, exit codes {set(codes)}")
    assert codes == [0] * CYCLES
    assert journal.resets == 0
    assert set(journal.answers) == {201, 503}
    assert len(journal.created) >= CYCLES * ENOUGH
    assert await missing(server, journal.created) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can judge packets for a socket")
def test_what_has_connected_is_still_accepted() -> None:
    """Once nothing new is let in, a connection that was made before, with its request, is there to be accepted."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
        with socket.create_connection(address, timeout=10) as early:
            early.sendall(b"request")
            drop_new_connections(listening)
            with pytest.raises(TimeoutError):
                socket.create_connection(address, timeout=0.2)
            accepted, _ = listening.accept()
            with accepted:
                assert accepted.recv(100) == b"request"


async def test_an_idle_connection_gets_its_last_answer(server: ServerProcess) -> None:
    """A request on a connection that was idle when the stop began is told so, and that the connection ends."""
    await server.start()
    async with connected(server.stack.url) as idle:
        assert idle is not None
        assert isinstance(await create(idle), Reply)
        ending = asyncio.create_task(server.end())
        async with connected(server.stack.admin_url) as admin:
            while await readiness(admin) == 200:
                pass
        last = await create(idle)
        assert isinstance(last, Reply)
        assert (last.status, last.json["code"], last.is_last) == (503, "shutting_down", True)
        assert await ending == 0


async def test_what_was_accepted_is_answered_though_the_gateway_stops(server: ServerProcess) -> None:
    """A create that waits for its provider when the stop begins is answered 201, and its connection ends."""
    await server.stack.faults("creditkey", delay_ms=1500)
    await server.start()
    async with connected(server.stack.url) as connection:
        assert connection is not None
        running = asyncio.create_task(create(connection))
        while not await server.stack.provider_requests("creditkey"):  # noqa: ASYNC110  # another process asks there
            await asyncio.sleep(0)
        assert await server.end() == 0
        reply = await running
    assert isinstance(reply, Reply)
    assert (reply.status, reply.is_last) == (201, True)
    assert await missing(server, [reply.json["id"]]) == []


async def test_a_client_that_never_asks_again_holds_nobody_up(server: ServerProcess) -> None:
    """Connections without a request are closed after their grace, and the gateway ends with 0."""
    await server.start()
    async with contextlib.AsyncExitStack() as stack:
        idle = [await stack.enter_async_context(connected(server.stack.url)) for _ in range(5)]
        assert all(idle)
        assert await server.end() == 0


PATIENCE = 10
"""Seconds after which a test gives up on what should have happened at once."""


def head(line: str, *headers: str | bytes) -> bytes:
    """A request's head that ends its connection."""
    lines = (f"{line} HTTP/1.1", "Host: x", "Connection: close", *headers)
    return b"\r\n".join(one if isinstance(one, bytes) else one.encode() for one in lines) + b"\r\n\r\n"


async def test_stopping_has_one_deadline(tmp_path: Path) -> None:
    """A request that never ends, and its operation, keep the server only as long as it may take to stop."""
    let_go, asked = asyncio.Event(), asyncio.Event()

    async def hang(*_: object, **__: object) -> Any:
        asked.set()
        await let_go.wait()
        raise OutcomeUnknown("timeout")

    async with running_stack(tmp_path) as stack:
        pass
    async with asyncio.timeout(PATIENCE):
        async with running(stack.settings, stack.registry, stop_within=0.2) as server:
            server.gateway.send = hang
            port = urlsplit(server.url).port
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            body = b'{"merchant_reference":"D-1","amount":"1.00","currency":"USD","account":"psp-main"}'
            writer.write(
                head(
                    "POST /v1/payments",
                    f"Authorization: Bearer {key_of('acme')}",
                    f"Idempotency-Key: {new_key()}",
                    "Content-Type: application/json",
                    f"Content-Length: {len(body)}",
                )
                + body
            )
            await asked.wait()
        writer.close()
    let_go.set()
    await server.gateway.tasks.drain(PATIENCE)
