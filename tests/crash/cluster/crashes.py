"""Kill nodes, supervisors, workers, database connections and the database under load; then check everything."""

from __future__ import annotations

import asyncio
import functools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.crash import faults
from tests.crash.checks import records
from tests.crash.cluster import once
from tests.crash.cluster.nodes import Node
from tests.crash.cluster.testbed import Cluster, running_cluster
from tests.crash.runner import Figures, collect, in_traffic, wait_until_quiet
from tests.crash.workloads import WORKLOADS
from tests.support.durable_postgresql import DATABASE, Postgresql

NODES, WORKERS = 2, 2
CLIENTS = [WORKLOADS] * 12
LEASE = 12.0
"""Seconds; with the 30 of a release each death would take longer."""

ISOLATIONS = ("read committed", "serializable")
"""What PostgreSQL's transactions are; the gateway needs the first, and databases that have only the second exist."""

DEATHS = {"node": 30, "worker": 25, "supervisor": 10, "connection": 25, "database": 10}
"""What dies, and how often."""

DOWN = 1.0
"""Seconds at most until the database is started again."""

RECONNECTED_WITHIN = 2.0
"""Seconds from a database that answers to a gateway that uses it again."""

STAYS_AWAY = 0.15
"""Probability of a node that is started only after its lease."""


@dataclass
class ClusterFigures(Figures):
    """What came besides."""

    deaths: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    """Webhooks that came again because a process died that had them under way."""

    def __str__(self) -> str:
        deaths = ", ".join(f"{name} {count}" for name, count in self.deaths.items())
        return f"{super().__str__()}; died: {deaths}; {self.repeated} webhooks came again after a death"


async def run_cluster_crashes(
    folder: Path,
    *,
    seed: str,
    kills: int,
    stops: int,
    workers: int = WORKERS,
    lease: float = LEASE,
    isolation: str = ISOLATIONS[0],
) -> ClusterFigures:
    """Run workloads on two nodes under kills and faults in an empty folder, then check everything."""
    figures = ClusterFigures(seed)
    made = functools.partial(Postgresql.made, default_transaction_isolation=isolation)
    database = await asyncio.to_thread(made, folder / "postgresql")
    try:
        async with running_cluster(
            folder,
            seed=seed,
            store_url=database.url(DATABASE),
            nodes=NODES,
            workers=workers,
            lease=lease,
            clients=CLIENTS,
        ) as cluster:
            await _Deaths(cluster, database, lease, figures).happen(kills, stops)
            await faults.clear(cluster.testbed)
            await cluster.all_up()
            await wait_until_quiet(cluster.testbed, cluster.running, 30 + 3 * lease)
            evidence = await collect(figures, cluster.testbed, cluster.clients)
            figures.findings = once.findings(evidence, cluster.fates)
            figures.repeated = sum(count for count, _ in once.repeated(evidence).values())
    finally:
        await asyncio.to_thread(database.stop)
    return figures


class _Deaths:
    """Kill one thing after the other; nodes are started again by themselves."""

    def __init__(self, cluster: Cluster, database: Postgresql, lease: float, figures: ClusterFigures) -> None:
        self._cluster, self._database, self._lease, self._figures = cluster, database, lease, figures
        self._dice = cluster.testbed.dice
        self._how: dict[str, Callable[[Node], None]] = {
            "node": lambda node: node.kill_now(self._seconds_away()),
            "supervisor": Node.kill_supervisor_now,
            "worker": lambda node: node.kill_worker_now(self._dice),
            "connection": lambda _: self._database.kill_connection(self._dice),
            "database": lambda _: self._database.kill(),
        }

    async def happen(self, kills: int, stops: int) -> None:
        """``kills`` deaths, and before ``stops`` of them a pause."""
        stopped_before = set(self._dice.sample(range(kills), stops))
        for number in range(kills):
            await faults.change(self._cluster.testbed)
            if number in stopped_before:
                await self._a_node().pause(self._lease * self._dice.uniform(1.1, 1.5))
                self._figures.stops += 1
            (what,) = self._dice.choices(list(DEATHS), list(DEATHS.values()))
            await self._die(what, self._a_node())
            self._figures.kills += 1
            self._figures.deaths[what] += 1

    async def _die(self, what: str, node: Node) -> None:
        await in_traffic(self._cluster.testbed, functools.partial(self._once, what, node))
        if what in ("database", "connection"):
            began = time.monotonic()
            await asyncio.sleep(self._dice.uniform(0, DOWN))
            if what == "database":
                await asyncio.to_thread(self._database.start)
            await asyncio.to_thread(self._database.wait)
            self._cluster.fates.outages.append((began, time.monotonic() + RECONNECTED_WITHIN))
        self._figures.in_flight += await asyncio.to_thread(self._in_flight)

    def _once(self, what: str, node: Node) -> None:
        if node.pids():
            self._how[what](node)

    def _in_flight(self) -> int:
        try:
            return records.in_flight(self._cluster.testbed)
        except psycopg.OperationalError:  # it may still be recovering from the death before
            return 0

    def _a_node(self) -> Node:
        return self._dice.choice([node for node in self._cluster.nodes if node.up.is_set()] or self._cluster.nodes)

    def _seconds_away(self) -> float:
        is_long = self._dice.random() < STAYS_AWAY
        return self._dice.uniform(1.0, 1.5) * self._lease if is_long else self._dice.uniform(0, 1.0)
