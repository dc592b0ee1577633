"""Gateways on one PostgreSQL, each a process with a short lease, and an endpoint that notes every attempt."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from aiohttp import web

from tests.support.server_process import ServerProcess, running_server_process
from tests.support.stack import WEBHOOK_SECRET, _bound_socket, _serve

NODES = 4


@dataclass
class Arrival:
    """One attempt at the endpoint, in seconds of ``time.time``; ``until`` is None while it waits for its answer."""

    at: float
    until: float | None = None


@dataclass
class Endpoint:
    """What arrived, by tenant and webhook; ``delay`` in seconds and the statuses of the answers, by tenant."""

    arrivals: dict[tuple[str, str], list[Arrival]] = field(default_factory=lambda: defaultdict(list))
    delay: dict[str, float] = field(default_factory=dict)
    statuses: dict[str, list[int]] = field(default_factory=dict)
    lateness: list[float] = field(default_factory=list)
    """Seconds from each event to the first arrival of its webhook, of all tenants but acme."""

    async def receive(self, request: web.Request) -> web.Response:
        """Answer an attempt: after the tenant's delay, the first one with the first status, the last one repeats."""
        tenant, body = request.match_info["tenant"], await request.read()
        arrivals = self.arrivals[tenant, request.headers["webhook-id"]]
        arrivals.append(Arrival(time.time()))
        if tenant != "acme" and len(arrivals) == 1:
            self.lateness.append(time.time() - _moment(json.loads(body)["timestamp"]))
        statuses, arrival = self.statuses.get(tenant, [204]), arrivals[-1]
        status = statuses[min(len(arrivals), len(statuses)) - 1]
        try:
            await asyncio.sleep(self.delay.get(tenant, 0))
        finally:
            arrival.until = time.time()
        return web.Response(status=status)


def _moment(rfc3339: str) -> float:
    return datetime.fromisoformat(rfc3339).timestamp()


@dataclass
class Testbed:
    """What runs."""

    server: ServerProcess
    endpoint: Endpoint
    database: psycopg.AsyncConnection[Any]
    lease: float
    nodes: list[Process] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)

    async def start_node(self) -> None:
        """Start one more gateway; return when it listens."""
        module = "tests.crash.cluster.short_lease"
        command = [sys.executable, "-m", module, str(self.lease), "serve", "--config", str(self.server.config)]
        with (self.server.stack.folder / f"node-{len(self.nodes)}.log").open("wb") as log:
            node = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=log)
        self.nodes.append(node)
        assert node.stdout is not None
        line = (await node.stdout.readline()).decode().split()
        assert line[:1] == ["ready"], line
        self.urls.append(line[1])

    async def kill_node(self) -> None:
        """End the oldest gateway as a power cut does."""
        node = self.nodes.pop(0)
        self.urls.pop(0)
        node.send_signal(signal.SIGKILL)
        await node.wait()

    async def queue(self, prefix: str, payments: int, versions: int) -> None:
        """Write webhooks of tenant acme that are due now, as a gateway that has died since."""
        given = {"prefix": prefix, "now": int(time.time() * 1000), "payments": payments, "versions": versions}
        await self.database.execute(_QUEUE, given)

    async def pending(self, prefix: str) -> int:
        """How many of them are on their way."""
        found = await self.database.execute(
            "SELECT COUNT(*) FROM events WHERE tenant = 'acme' AND status = 'pending' AND id LIKE %s",
            (f"evt_{prefix}%",),
        )
        row = await found.fetchone()
        assert row is not None
        return int(row[0])

    async def until_delivered(self, prefix: str, seconds: float) -> None:
        """Wait until none is. Raises ``TimeoutError``."""
        async with asyncio.timeout(seconds):
            while await self.pending(prefix):  # noqa: ASYNC110  # what other processes write
                await asyncio.sleep(0.2)

    async def until_arrived(self, prefix: str, count: int) -> None:
        """Wait until so many of them did. Raises ``TimeoutError``."""
        async with asyncio.timeout(30):
            while len(self.arrived(prefix)) < count:  # noqa: ASYNC110  # among 100,000 no waiter is woken for each
                await asyncio.sleep(0.02)

    def arrived(self, prefix: str) -> dict[str, list[Arrival]]:
        """What arrived of them, by webhook."""
        return {
            event: found for (_, event), found in self.endpoint.arrivals.items() if event.startswith(f"evt_{prefix}")
        }


# Row 0: what the search index has behind it, as it would by the time that so many are queued.
_QUEUE = """
    INSERT INTO events (rowid, tenant, id, payment_id, type, version, doc, delivery_id, status, next_attempt_at, tries,
        attempts, created_at, body)
    SELECT 0, 'acme', 'evt_' || key, 'pay_' || %(prefix)s || p, 'payment.captured', v, '{}', 'dlv_' || key, 'pending',
        %(now)s + p / 100, 0, '[]', %(now)s, '{"data": {}}'
    FROM generate_series(1, %(payments)s) p, generate_series(1, %(versions)s) v,
        LATERAL (SELECT %(prefix)s || '_' || lpad(p::text, 6, '0') || '_' || v AS key) keys"""


@contextlib.asynccontextmanager
async def running_testbed(folder: Path, database_url: str, lease: float) -> AsyncIterator[Testbed]:
    """Run everything for the time of the block; the gateways are killed at its end."""
    bound, endpoint = _bound_socket(), Endpoint()
    hooks = f"http://127.0.0.1:{bound.getsockname()[1]}"

    def change(settings: dict[str, Any]) -> None:
        settings["store"] = {"url": database_url, "pool": 4}
        settings["clocks"]["webhook_retry"] = ["0s", "1s", "5s", "1h"]
        settings["timeouts"] = {"webhook_total": "20s"}
        for name, tenant in settings["tenants"].items():
            tenant["webhook"] = {"url": f"{hooks}/{name}", "secrets": [WEBHOOK_SECRET]}

    async with running_server_process(folder, change) as server, contextlib.AsyncExitStack() as exits:
        app = web.Application()
        app.router.add_post("/{tenant}", endpoint.receive)
        await _serve(app, bound, exits)
        database = await psycopg.AsyncConnection.connect(database_url, autocommit=True)
        exits.push_async_callback(database.close)
        testbed = Testbed(server, endpoint, database, lease)
        try:
            for _ in range(NODES):
                await testbed.start_node()
            yield testbed
        finally:
            while testbed.nodes:
                await testbed.kill_node()
