"""The primary dies before an asynchronous standby has everything: what is lost, and what of it is found again.

Nothing here can be right or wrong but the counting: what such a standby has not received is gone.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash import faults
from tests.crash.checks import records
from tests.crash.clients import Client, JournalEntry
from tests.crash.cluster.crashes import LEASE, NODES
from tests.crash.cluster.failover import NOTICED_AFTER, either, lag, pair
from tests.crash.cluster.testbed import Cluster, running_cluster
from tests.crash.workloads import Workloads, reference
from tests.support.stack import Reply, creditkey_body, psp_body

NOTICED_WITHIN = 6.0
"""Seconds until gateways notice that something is missing, and are careful."""

LOADED = 10.0
"""Seconds under load before the primary dies."""


async def order_goods(client: Client) -> None:
    """Create at Credit Key, and no more."""
    body = creditkey_body(merchant_reference=reference(client, "SO"))
    await client.ask("POST", "/v1/payments", body, takes_open=True)


async def deposit(client: Client) -> None:
    """Create at the PSP, and no more."""
    body = psp_body(merchant_reference=reference(client, "D"))
    await client.ask("POST", "/v1/payments", body, takes_open=True)


CLIENTS: list[Workloads] = [{order_goods: 1, deposit: 1}] * 12


@dataclass
class Loss:
    """Of one run. Payments are those whose creates were answered; those that are lost are not in the new primary."""

    behind: float
    answered: int = 0
    lost: dict[str, int] = field(default_factory=dict)
    """By provider."""
    repeated: dict[str, dict[int, int]] = field(default_factory=dict)
    """Answers to the requests of lost payments, repeated under their keys, by provider and status."""
    orphans: dict[str, int] = field(default_factory=dict)
    """Orders at the provider that no payment knows, after the repetitions."""
    second_orders: int = 0
    """Orders at Credit Key beyond one per reference."""
    callbacks: dict[int, int] = field(default_factory=dict)
    """Answers to callbacks of lost payments, by status."""

    def __str__(self) -> str:
        return (
            f"asynchronous standby, {self.behind:g} s behind: {self.answered} payments answered, lost {self.lost};"
            f" repeated under their keys: {self.repeated};"
            f" orders that no payment knows then: {self.orphans}; second orders at Credit Key: {self.second_orders};"
            f" callbacks of lost payments: {self.callbacks}"
        )


async def lose(folder: Path, *, seed: str, behind: float) -> Loss:
    """Let the standby fall behind, kill the primary, promote; then repeat what was lost."""
    loss = Loss(behind)
    primary, standby = await asyncio.to_thread(pair, folder, is_synchronous=False)
    try:
        async with running_cluster(
            folder,
            seed=seed,
            store_url=either(primary, standby),
            nodes=NODES,
            workers=1,
            lease=LEASE,
            clients=CLIENTS,
        ) as cluster:
            cluster.testbed.endpoint.faults_ended = True
            await asyncio.sleep(LOADED)
            if behind:
                await asyncio.to_thread(lag, standby)
                await asyncio.sleep(behind)
            primary.kill()
            await asyncio.sleep(NOTICED_AFTER)
            await asyncio.to_thread(standby.promote)
            await faults.clear(cluster.testbed)
            await asyncio.gather(*cluster.running)
            lost = await _count(cluster, loss)
            await _call_back(cluster, lost["psp_open_api"], loss)
            await asyncio.sleep(NOTICED_WITHIN)
            await _repeat(cluster, lost, loss)
    finally:
        await asyncio.to_thread(standby.stop)
    return loss


async def _count(cluster: Cluster, loss: Loss) -> dict[str, list[tuple[Client, JournalEntry]]]:
    found = await records.read(cluster.testbed)
    entries = [(client, entry) for client in cluster.clients for entry in client.journal if entry.outcome is not None]
    lost: dict[str, list[tuple[Client, JournalEntry]]] = {"creditkey": [], "psp_open_api": []}
    for client, entry in entries:
        if entry.outcome["id"] not in found.payments:
            lost[entry.outcome["provider"]].append((client, entry))
    loss.answered, loss.lost = len(entries), {provider: len(several) for provider, several in lost.items()}
    return lost


async def _call_back(cluster: Cluster, lost: list[tuple[Client, JournalEntry]], loss: Loss) -> None:
    """Customers pay at the PSP what the store does not know."""
    for _, entry in lost:
        order = entry.outcome["redirect_url"].rpartition("/")[2]
        called = (await cluster.testbed.call_provider("psp", "POST", f"/pay/{order}/pay")).json
        loss.callbacks[called["status"]] = loss.callbacks.get(called["status"], 0) + 1


async def _repeat(cluster: Cluster, lost: dict[str, list[tuple[Client, JournalEntry]]], loss: Loss) -> None:
    for provider, entries in lost.items():
        replies: list[Reply] = await asyncio.gather(*(client.send(entry) for client, entry in entries))
        counted = loss.repeated.setdefault(provider, {})
        for reply in replies:
            counted[reply.status] = counted.get(reply.status, 0) + 1
    found = await records.read(cluster.testbed)
    references = {one["merchant_reference"] for one in found.payments.values()}
    known = {"creditkey": ("remote_id", references), "psp": ("order_no", found.payments.keys())}
    for provider, (name, here) in known.items():
        loss.orphans[provider] = sum(one[name] not in here for one in found.orders[provider])
    orders = [one["remote_id"] for one in found.orders["creditkey"]]
    loss.second_orders = len(orders) - len(set(orders))
