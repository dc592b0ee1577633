"""Nodes on one PostgreSQL, behind a front that clients, browsers and providers call, with all else of the testbed."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from tests.crash.clients import Client
from tests.crash.cluster.front import Front
from tests.crash.cluster.nodes import Fates, Node
from tests.crash.cluster.senders import Senders
from tests.crash.testbed import Testbed, running_testbed
from tests.crash.workloads import Workloads, run_workloads

START_WITHIN = 90.0
"""Seconds until all nodes listen."""


@dataclass
class Cluster:
    """Everything that runs."""

    testbed: Testbed
    nodes: Sequence[Node]
    fates: Fates
    clients: Sequence[Client]
    running: Sequence[asyncio.Task[None]]

    async def all_up(self) -> None:
        """Wait until all nodes listen. Raises ``TimeoutError``."""
        async with asyncio.timeout(START_WITHIN):
            await asyncio.gather(*(node.up.wait() for node in self.nodes))


@contextlib.asynccontextmanager
async def running_cluster(
    folder: Path, *, seed: str, store_url: str, nodes: int, workers: int, lease: float, clients: Sequence[Workloads]
) -> AsyncIterator[Cluster]:
    """Run clients, each with its workloads, and all else for the time of the block; kill the nodes at its end."""
    async with running_testbed(folder, seed, store_url) as testbed:
        fates = Fates(lease)
        several = [Node(testbed, f"node-{number}", workers, lease, fates) for number in range(nodes)]
        testbed.endpoint.sender_of = _sender_among(several)
        front = Front([node.port for node in several], random.Random(f"{seed}/front"))
        server = await asyncio.start_server(front.accept, "127.0.0.1", urlsplit(testbed.url).port)
        programs = [Client(f"c{one}", testbed, random.Random(f"{seed}/{one}")) for one in range(len(clients))]
        running = [
            asyncio.create_task(run_workloads(program, lambda: testbed.faults_ended, workloads))
            for program, workloads in zip(programs, clients, strict=True)
        ]
        kept = [asyncio.create_task(node.keep()) for node in several]
        testbed.up.set()
        try:
            cluster = Cluster(testbed, several, fates, programs, running)
            await cluster.all_up()
            yield cluster
        finally:
            for task in (*running, *kept):
                task.cancel()
            await asyncio.gather(*running, *kept, return_exceptions=True)
            for node in several:
                node.kill_now()
            server.close()


def _sender_among(nodes: Sequence[Node]) -> Callable[[web.Request], int | None]:
    senders = Senders()

    def sender_of(request: web.Request) -> int | None:
        assert request.transport is not None
        peer, here = (request.transport.get_extra_info(name) for name in ("peername", "sockname"))
        return senders.process_of(peer, here, (pid for node in nodes for pid in node.pids())) if peer else None

    return sender_of
