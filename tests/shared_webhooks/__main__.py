"""``python -m tests.shared_webhooks``: prints figures; ends with 1 where an attempt was made twice, or too late."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from gateway.drivers.store.nodes import LEASE
from gateway.drivers.store.postgresql.engine import open_postgresql
from gateway.flows.webhooks.dispatch import MAX_CONCURRENT_ATTEMPTS
from tests.shared_webhooks.testbed import Testbed, running_testbed
from tests.support import claim_plans
from tests.support.postgresql_cluster import NOT_DURABLE, running_cluster
from tests.support.stack import key_of, new_key, psp_body

EVENTS = 1_000_000

SHORT_LEASE = 1.5
"""Seconds, where a lease is to end."""

Findings = list[str]


async def slow_endpoint(bed: Testbed, queued: int) -> Findings:  # every part has this form
    """An endpoint that takes longer than two leases, and fails once: each attempt number arrives once, in order."""
    bed.endpoint.delay["acme"], bed.endpoint.statuses["acme"] = 2.5 * SHORT_LEASE, [500, 204]
    await bed.queue("slow", payments=40, versions=2)
    await bed.until_delivered("slow", 120)
    arrived = bed.arrived("slow")
    twice = [event for event, found in arrived.items() if len(found) != 2]
    early = [event for event, found in arrived.items() if event.endswith("_2") and found[0].at < first_end(bed, event)]
    print(f"slow endpoint: {len(arrived)} webhooks, {sum(map(len, arrived.values()))} attempts; not two: {len(twice)}")
    return [f"{event}: not two attempts" for event in twice] + [f"{event}: before version 1" for event in early]


def first_end(bed: Testbed, event: str) -> float:
    """When the first attempt at version 1 was answered."""
    until = bed.arrived(event[4:-1] + "1")[event[:-1] + "1"][0].until
    assert until is not None
    return until


async def killed_node(bed: Testbed, queued: int) -> Findings:
    """A process is killed in the middle: all arrive, and twice only what it had under way."""
    bed.endpoint.delay["acme"], bed.endpoint.statuses["acme"] = 0.3, [204]
    await bed.queue("killed", payments=400, versions=1)
    await bed.until_arrived("killed", 100)
    at = time.time()
    await bed.kill_node()
    await bed.until_delivered("killed", 60)
    seconds = time.time() - at
    arrived = bed.arrived("killed")
    twice = {event: found for event, found in arrived.items() if len(found) > 1}
    wrong = [event for event, found in twice.items() if abs(found[0].at - at) > 1]
    print(f"killed node: {len(arrived)} webhooks, all delivered {seconds:.1f} s later; arrived twice: {len(twice)}")
    await bed.start_node()
    lost = [] if len(arrived) == 400 else [f"{400 - len(arrived)} webhooks did not arrive"]
    many = ["more than it had under way"] * (len(twice) > MAX_CONCURRENT_ATTEMPTS)
    return lost + many + [f"{event}: twice, and was not under way" for event in wrong]


async def crowded(bed: Testbed, queued: int) -> Findings:
    """One tenant has a long queue: how late another tenant's webhooks are, without and with it."""
    bed.endpoint.delay["acme"] = 0.1
    quiet = await lateness(bed)
    await bed.queue("crowd", payments=queued, versions=1)
    await bed.until_arrived("crowd", 100)
    began, before = time.time(), len(bed.arrived("crowd"))
    busy = await lateness(bed)
    rate = (len(bed.arrived("crowd")) - before) / (time.time() - began)
    twice = [event for event, found in bed.arrived("crowd").items() if len(found) > 1]
    for name, found in (("quiet", quiet), (f"{queued} queued of another tenant", busy)):
        middle, most = part(found, 0.5), part(found, 0.99)
        print(f"{name}: {len(found)} webhooks, p50 {middle:.0f} ms, p99 {most:.0f} ms after their event")
    print(f"meanwhile the other tenant's queue: {rate:.0f} webhooks a second")
    late = part(busy, 0.99) > 2 * part(quiet, 0.99)
    return [f"{event}: twice" for event in twice] + ["p99 more than doubled"] * late


def part(seconds: list[float], share: float) -> float:
    """The milliseconds that so many of these do not exceed."""
    return sorted(seconds)[int(share * (len(seconds) - 1))] * 1000


async def lateness(bed: Testbed, seconds: float = 25, a_second: float = 8) -> list[float]:
    """Create payments of globex at every node in turn; how long after their events their webhooks arrive."""
    bed.endpoint.lateness.clear()
    headers, ends, number = {"Authorization": f"Bearer {key_of('globex')}"}, time.time() + seconds, 0
    while time.time() < ends:
        url, number = bed.urls[number % len(bed.urls)], number + 1
        sent = {**headers, "Idempotency-Key": new_key()}
        async with bed.server.stack.http.post(f"{url}/v1/payments", json=psp_body(), headers=sent) as reply:
            assert reply.status == 201, await reply.text()
        await asyncio.sleep(1 / a_second)
    await asyncio.sleep(2)
    return list(bed.endpoint.lateness)


async def plans(url: str, events: int) -> Findings:
    """What is read before a claim goes by the partial indexes, however many events there are."""
    store = await open_postgresql(url, pool=2, statement_timeout=600)
    await claim_plans.fill(store, events)
    found = await claim_plans.plans(store)
    await store.close()
    wrong = {name: problems for name, plan in found.items() if (problems := claim_plans.problems(name, plan))}
    print(f"plans with {events} events: {len(found) - len(wrong)} of {len(found)} by their indexes")
    return [f"{name}: {problems}\n{found[name]}" for name, problems in wrong.items()]


class Part(NamedTuple):
    """What is done, with a lease of so many seconds."""

    run: Callable[[Testbed, int], Awaitable[Findings]]
    lease: float


PARTS = {
    "slow": Part(slow_endpoint, SHORT_LEASE),
    "killed": Part(killed_node, SHORT_LEASE),
    "crowded": Part(crowded, LEASE.total_seconds()),
}


async def run(folder: Path, wanted: list[str], queued: int) -> Findings:
    """Run the parts that are wanted, each on a database of its own."""
    findings: Findings = []
    with running_cluster(folder / "postgresql", **NOT_DURABLE) as cluster:
        for name in wanted:
            cluster.execute(f"CREATE DATABASE {name}")
            place = folder / name
            place.mkdir()
            if name == "plans":
                findings += await plans(cluster.url(name), EVENTS)
                continue
            async with running_testbed(place, cluster.url(name), PARTS[name].lease) as bed:
                findings += await PARTS[name].run(bed, queued)
    return findings


def main() -> int:
    """Run, and say what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.shared_webhooks", description=sys.modules[__name__].__doc__)
    parser.add_argument("parts", nargs="*", default=[*PARTS, "plans"])
    parser.add_argument("--queued", type=int, default=100_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shared-webhooks-") as folder:
        Path(folder).chmod(0o755)  # PostgreSQL may run as another user
        findings = asyncio.run(run(Path(folder), given.parts, given.queued))
    print(*findings, sep="\n", file=sys.stderr)
    return 1 if findings else 0


sys.exit(main())
