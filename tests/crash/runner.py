"""The storm: clients work, the gateway's process dies and starts again, faults come and go; then calm, and the audit.

The only waits are for conditions with a deadline, and for the random moment of a death.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash import checks, faults
from tests.crash.checks import records
from tests.crash.checks.evidence import Evidence
from tests.crash.clients import PAUSE, Client, JournalEntry
from tests.crash.crash_points import CrashPoint
from tests.crash.server import Server
from tests.crash.testbed import Testbed, running_testbed
from tests.crash.workloads import run_workloads
from tests.house import Reply

CLIENTS = 8

DEATHS: dict[tuple[CrashPoint, ...], tuple[int, int]] = {
    tuple(CrashPoint): (5, 120),
    (CrashPoint.PROVIDER_RECEIVED,): (1, 15),
    (CrashPoint.PROVIDER_EXECUTED,): (1, 15),
    (CrashPoint.CALLBACK_ANSWERED,): (1, 4),
    (CrashPoint.WEBHOOK_RECEIVED,): (1, 15),
    (CrashPoint.CLIENT_ANSWERED,): (1, 40),
}
"""What a death may wait for, and how many of it pass, least and most."""

DIES_AT_START = 0.15
"""How often the gateway is killed before or while it recovers."""

QUIET_WITHIN = 30.0
"""Seconds after the faults until every story is told, and again until everything is at rest."""


@dataclass
class Figures:
    """What a storm came to. ``findings``: sentences by kind, all empty when the promises hold."""

    seed: str
    kills: int = 0
    stops: int = 0
    in_flight: int = 0
    """Operations that were on their way at a death."""
    unanswered: int = 0
    payments: int = 0
    operations: int = 0
    callbacks: int = 0
    webhooks: int = 0
    tries: int = 0
    findings: dict[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        found = ", ".join(f"{kind} {len(texts)}" for kind, texts in self.findings.items())
        return (
            f"real crashes (seed {self.seed}): {self.kills} kills, {self.stops} stops, {self.in_flight} operations on"
            f" their way at a death, {self.unanswered} requests without an answer; {self.payments} payments,"
            f" {self.operations} operations, {self.callbacks} callbacks, {self.webhooks} webhooks in {self.tries}"
            f" tries: {found}"
        )


async def run_crashes(folder: Path, *, seed: str, kills: int, stops: int) -> Figures:
    """Run one storm in an empty folder."""
    figures = Figures(seed)
    async with running_testbed(folder, seed) as testbed:
        server = Server(testbed)
        clients = [Client(f"c{number}", testbed, random.Random(f"{seed}/{number}")) for number in range(CLIENTS)]
        running = [asyncio.create_task(run_workloads(client, lambda: testbed.faults_ended)) for client in clients]
        try:
            await _kill_repeatedly(testbed, server, figures, kills=kills, stops=stops)
            await faults.clear(testbed)
            await server.start()
            await _wait_until_quiet(testbed, running)
            replayed = await _replay_all(clients)
            await _collect(figures, testbed, clients, replayed)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await server.kill()
    return figures


async def _kill_repeatedly(testbed: Testbed, server: Server, figures: Figures, *, kills: int, stops: int) -> None:
    """Live and die. The first life ends with traffic, so that there is something to recover."""
    stopped_in = set(testbed.dice.sample(range(kills), stops))
    for life in range(kills):
        if life > 0 and testbed.dice.random() < DIES_AT_START and life not in stopped_in:
            await server.start_and_die(testbed.dice.uniform(0.1, 1.0))
        else:
            await faults.change(testbed)
            await server.start()
            if life in stopped_in:
                await _pause_process(testbed, server)
                figures.stops += 1
            await _die_in_traffic(testbed, server)
        figures.kills += 1
        figures.in_flight += await asyncio.to_thread(records.in_flight, testbed.settings.store_path)


async def _die_in_traffic(testbed: Testbed, server: Server) -> None:
    """Strike at the very moment something passes; or, where anything may, up to 20 ms behind it."""
    points, (least, most) = testbed.dice.choice(list(DEATHS.items()))
    count, is_exact = testbed.dice.randint(least, most), len(points) == 1
    await testbed.crash_points.after(count, points=points, act=server.kill_now if is_exact else lambda: None)
    await asyncio.sleep(0 if is_exact else testbed.dice.uniform(0, 0.02))
    await server.kill()


async def _pause_process(testbed: Testbed, server: Server) -> None:
    """Stop the process in the middle of traffic until clients have lost their patience, then let it go on.

    Meanwhile nobody can take its data folder: a second gateway is refused.
    """
    await testbed.crash_points.after(testbed.dice.randint(5, 60), act=server.stop)
    try:
        assert await server.refuses_a_second(), "a second gateway took the folder of a stopped one"
        await testbed.crash_points.after(CLIENTS, points=(CrashPoint.CLIENT_ANSWERED,))
    finally:
        server.resume()


async def _wait_until_quiet(testbed: Testbed, running: Sequence[asyncio.Task[None]]) -> None:
    """Let every story be told to its end, then wait until nothing moves by itself any more; at most so long each."""
    done, _ = await asyncio.wait(running, timeout=QUIET_WITHIN)
    for task in done:
        task.result()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(QUIET_WITHIN):
            while (await records.read(testbed)).unresolved():  # noqa: ASYNC110  # another process's database tells nobody
                await asyncio.sleep(PAUSE)


async def _replay_all(clients: Sequence[Client]) -> dict[str, Reply]:
    """Ask everything once more that was ever settled; what it is answered now."""

    async def again(client: Client, entry: JournalEntry) -> tuple[str, Reply]:
        headers: dict[str, str] = {"Idempotency-Key": entry.key}
        reply = await client.call(entry.method, entry.path, tenant=entry.tenant, headers=headers, json=entry.body)
        return entry.key, reply

    replies: dict[str, Reply] = {}
    for client in clients:
        replies |= dict(
            await asyncio.gather(*(again(client, entry) for entry in client.journal if entry.final_answers))
        )
    return replies


async def _collect(figures: Figures, testbed: Testbed, clients: Sequence[Client], replayed: dict[str, Any]) -> None:
    found = await records.read(testbed)
    figures.unanswered = sum(client.unanswered for client in clients)
    figures.payments = len(found.payments)
    figures.operations = sum(len(several) for several in found.operations.values())
    figures.callbacks = sum(len(records.acknowledged(order)) for order in found.orders["psp"])
    figures.webhooks = sum(one["status"] == "delivered" for one in found.deliveries)
    figures.tries = len(testbed.endpoint.arrived)
    figures.findings = checks.findings(Evidence(found, clients, testbed.endpoint.arrived, replayed))
