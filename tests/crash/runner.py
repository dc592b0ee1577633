"""Run the crashes: clients work, the gateway is killed and restarted, faults come and go; then everything is checked.

The only waits are for conditions with a deadline, and for the random time before a kill.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash import checks, faults
from tests.crash.checks import records
from tests.crash.checks.evidence import Evidence
from tests.crash.clients import PAUSE, Client, JournalEntry
from tests.crash.crash_points import CrashPoint
from tests.crash.server import Server
from tests.crash.testbed import Testbed, running_testbed
from tests.crash.workloads import run_workloads
from tests.support.stack import Reply

CLIENTS = 8

DEATHS: dict[tuple[CrashPoint, ...], tuple[int, int]] = {
    tuple(CrashPoint): (5, 120),
    (CrashPoint.PROVIDER_RECEIVED,): (1, 15),
    (CrashPoint.PROVIDER_EXECUTED,): (1, 15),
    (CrashPoint.CALLBACK_ANSWERED,): (1, 4),
    (CrashPoint.WEBHOOK_RECEIVED,): (1, 15),
    (CrashPoint.CLIENT_ANSWERED,): (1, 40),
}
"""Crash points a kill may wait for -> least and greatest number of them that pass before it."""

DIES_AT_START = 0.15
"""Probability of a kill before or during recovery."""

QUIET_WITHIN = 30.0
"""Seconds after the last fault for every workload to end, and again for everything to be resolved."""


@dataclass
class Figures:
    """The figures of a run. ``findings``: violations by kind."""

    seed: str
    kills: int = 0
    stops: int = 0
    in_flight: int = 0
    """Operations in ``sending`` at a kill."""
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
            f"real crashes (seed {self.seed}): {self.kills} kills, {self.stops} stops, {self.in_flight} operations in"
            f" flight at a kill, {self.unanswered} requests without an answer; {self.payments} payments,"
            f" {self.operations} operations, {self.callbacks} callbacks, {self.webhooks} webhooks in {self.tries}"
            f" tries: {found}"
        )


async def run_crashes(folder: Path, *, seed: str, kills: int, stops: int) -> Figures:
    """Run workloads under kills and faults in an empty folder, then check everything."""
    figures = Figures(seed)
    async with running_testbed(folder, seed) as testbed:
        server = Server(testbed)
        clients = [Client(f"c{number}", testbed, random.Random(f"{seed}/{number}")) for number in range(CLIENTS)]
        running = [asyncio.create_task(run_workloads(client, lambda: testbed.faults_ended)) for client in clients]
        try:
            await _kill_repeatedly(testbed, server, figures, kills=kills, stops=stops)
            await faults.clear(testbed)
            await server.start()
            await wait_until_quiet(testbed, running, QUIET_WITHIN)
            evidence = await collect(figures, testbed, clients)
            figures.findings = checks.findings(evidence)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await server.kill()
    return figures


async def _kill_repeatedly(testbed: Testbed, server: Server, figures: Figures, *, kills: int, stops: int) -> None:
    """Start and kill. The first process dies under traffic, so that there is something to recover."""
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
        figures.in_flight += await asyncio.to_thread(records.in_flight, testbed)


async def _die_in_traffic(testbed: Testbed, server: Server) -> None:
    await in_traffic(testbed, server.kill_now)
    await server.kill()


async def in_traffic(testbed: Testbed, act: Callable[[], None]) -> None:
    """Act exactly at a crash point of one kind, or up to 20 ms after one of any kind."""
    points, (least, most) = testbed.dice.choice(list(DEATHS.items()))
    count, is_exact = testbed.dice.randint(least, most), len(points) == 1
    await testbed.crash_points.after(count, points=points, act=act if is_exact else lambda: None)
    if not is_exact:
        await asyncio.sleep(testbed.dice.uniform(0, 0.02))
        act()


async def _pause_process(testbed: Testbed, server: Server) -> None:
    """Pause the process under traffic until clients have timed out, then resume it.

    Meanwhile a second gateway on the same data folder must be refused.
    """
    await testbed.crash_points.after(testbed.dice.randint(5, 60), act=server.stop)
    try:
        assert await server.refuses_a_second(), "a second gateway took the folder of a stopped one"
        await testbed.crash_points.after(CLIENTS, points=(CrashPoint.CLIENT_ANSWERED,))
    finally:
        server.resume()


async def wait_until_quiet(testbed: Testbed, running: Sequence[asyncio.Task[None]], seconds: float) -> None:
    """Let every workload end, then wait until everything is resolved; ``seconds`` each at most."""
    done, _ = await asyncio.wait(running, timeout=seconds)
    for task in done:
        task.result()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (await records.read(testbed)).unresolved():  # noqa: ASYNC110  # another process's database sends no notification
                await asyncio.sleep(PAUSE)


async def _replay_all(clients: Sequence[Client]) -> dict[str, Reply]:
    """Repeat every request that has a final answer; return the answers by key."""

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


async def collect(figures: Figures, testbed: Testbed, clients: Sequence[Client]) -> Evidence:
    """Read everybody's records, and count what they hold."""
    replayed = await _replay_all(clients)
    found = await records.read(testbed)
    figures.unanswered = sum(client.unanswered for client in clients)
    figures.payments = len(found.payments)
    figures.operations = sum(len(several) for several in found.operations.values())
    figures.callbacks = sum(len(records.acknowledged(order)) for order in found.orders["psp"])
    figures.webhooks = sum(one["status"] == "delivered" for one in found.deliveries)
    figures.tries = len(testbed.endpoint.arrived)
    return Evidence(found, clients, testbed.endpoint.arrived, replayed)
