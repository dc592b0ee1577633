"""The primary database dies under load and its standby takes over: what tenants see, and what is lost."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.crash import faults
from tests.crash.clients import Client
from tests.crash.cluster import once
from tests.crash.cluster.crashes import LEASE, NODES, WORKERS
from tests.crash.cluster.testbed import Cluster, running_cluster
from tests.crash.runner import Figures, collect, wait_until_quiet
from tests.crash.workloads import Workloads, give_up, press, reference, ship_on_credit
from tests.support.durable_postgresql import DATABASE, Postgresql
from tests.support.postgresql_cluster import USER
from tests.support.stack import psp_body

STANDBY = "standby"
WARM_UP, PHASE = 5.0, 20.0
"""Seconds under load that are not counted, and that are, before the primary dies and after the standby took over."""

NOTICED_AFTER = 1.0
"""Seconds from the primary's death to the order to promote; with Patroni until the leader's key has expired."""


async def pay(client: Client) -> None:
    """Create at the PSP and pay, quickly and often: of every payment the callback comes back too."""
    tenant = client.dice.choice(["acme", "globex"])
    body = psp_body(merchant_reference=reference(client, "D"))
    payment = await client.ask("POST", "/v1/payments", body, tenant=tenant, takes_open=True)
    if payment is not None and payment["redirect_url"]:
        await press(client, {"id": payment["redirect_url"].rpartition("/")[2], "order_no": payment["id"]}, "pay")


CLIENTS: list[Workloads] = [{ship_on_credit: 5, give_up: 2}] * 4 + [{pay: 1}] * 12
"""A few do everything, most do what is quick."""


class Phase(NamedTuple):
    """Creates whose outcome tenants learned within a time."""

    name: str
    seconds: float
    latencies: Sequence[float]

    def __str__(self) -> str:
        ordered = sorted(self.latencies) or [math.nan]
        p50, p99 = (ordered[int(len(ordered) * share)] * 1000 for share in (0.5, 0.99))
        per_second = len(self.latencies) / self.seconds
        return f"{self.name}: {per_second:.1f} payments/s, p50 {p50:.0f} ms, p99 {p99:.0f} ms, {self.seconds:.1f} s"


@dataclass
class FailoverFigures(Figures):
    """``phases``: before the death, from then to the first new payment, and after it."""

    phases: list[Phase] = field(default_factory=list)
    promoted_in: float = 0.0

    def __str__(self) -> str:
        phases = "".join(f"\n  {phase}" for phase in self.phases)
        return f"{super().__str__()}\n  promoted {self.promoted_in:.2f} s after the order{phases}"


async def fail_over(folder: Path, *, seed: str, workers: int = WORKERS, lease: float = LEASE) -> FailoverFigures:
    """Run workloads on two nodes, kill the primary, promote its synchronous standby, then check everything."""
    figures = FailoverFigures(seed)
    primary, standby = await asyncio.to_thread(pair, folder, is_synchronous=True)
    try:
        async with running_cluster(
            folder,
            seed=seed,
            store_url=either(primary, standby),
            nodes=NODES,
            workers=workers,
            lease=lease,
            clients=CLIENTS,
        ) as cluster:
            cluster.testbed.endpoint.faults_ended = True
            await _measure(cluster, primary, standby, figures)
            await faults.clear(cluster.testbed)
            await wait_until_quiet(cluster.testbed, cluster.running, 30 + 3 * lease)
            evidence = await collect(figures, cluster.testbed, cluster.clients)
            figures.findings = once.findings(evidence, cluster.fates)
    finally:
        await asyncio.to_thread(standby.stop)
    return figures


async def _measure(cluster: Cluster, primary: Postgresql, standby: Postgresql, figures: FailoverFigures) -> None:
    await asyncio.sleep(WARM_UP)
    began = time.monotonic()
    await asyncio.sleep(PHASE)
    died = time.monotonic()
    primary.kill()
    figures.kills += 1
    await asyncio.sleep(NOTICED_AFTER)
    ordered = time.monotonic()
    await asyncio.to_thread(standby.promote)
    figures.promoted_in = time.monotonic() - ordered
    returned = await _first_payment(cluster, since=time.monotonic())
    await asyncio.sleep(PHASE)
    over = time.monotonic()
    times = {"before": (began, died), "while": (died, returned), "after": (returned, over)}
    figures.phases = [
        Phase(name, end - begin, [ended - began for began, ended in _ended(cluster, begin, end)])
        for name, (begin, end) in times.items()
    ]


async def _first_payment(cluster: Cluster, since: float) -> float:
    """When a payment that began on the new primary had its answer."""
    async with asyncio.timeout(60):
        while not (found := _ended(cluster, since, math.inf)):  # noqa: ASYNC110  # a journal sends no notification
            await asyncio.sleep(0.01)
    return min(end for _, end in found)


def _ended(cluster: Cluster, begin: float, end: float) -> list[tuple[float, float]]:
    """When creates began and ended, of those that ended within a time."""
    entries = [entry for client in cluster.clients for entry in client.journal if entry.path == "/v1/payments"]
    return [(one.began, one.ended) for one in entries if one.ended is not None and begin <= one.ended < end]


def pair(folder: Path, *, is_synchronous: bool) -> tuple[Postgresql, Postgresql]:
    """A primary and a standby that follows it."""
    primary = Postgresql.made(folder / "primary")
    standby = primary.standby(folder / STANDBY, STANDBY)
    if is_synchronous:
        primary.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'")
        primary.execute("SELECT pg_reload_conf()")
    wanted = [("sync" if is_synchronous else "async",)]
    deadline = time.monotonic() + 30
    while primary.execute("SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'") != wanted:
        assert time.monotonic() < deadline, f"the standby does not follow, see {standby.log}"
        time.sleep(0.1)
    return primary, standby


def either(primary: Postgresql, standby: Postgresql) -> str:
    """The URL that leads to whichever takes writes."""
    hosts = f"{primary.address},{standby.address}"
    return f"postgresql://{USER}@{hosts}/{DATABASE}?target_session_attrs=read-write"


def lag(standby: Postgresql) -> None:
    """Let a standby receive nothing more."""
    standby.execute("ALTER SYSTEM SET primary_conninfo = ''")
    standby.execute("SELECT pg_reload_conf()")
    while standby.execute("SELECT 1 FROM pg_stat_wal_receiver"):
        time.sleep(0.01)
