"""How long after a callback its webhook is at the tenant: with nothing else to do, and while payments come in.

From the moment the callback is sent to the moment the webhook's last byte is received, at an endpoint that answers at
once. Nothing is asked of these figures; they are what a tenant waits for the news that its customer has paid.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import cycle

from bench import machine
from bench.client import Client, client
from bench.contestant import PAYMENTS, Contestant
from bench.effort import Effort
from bench.gateway import gateway
from bench.settings import TENANT_KEYS
from bench.table import Row
from bench.webhook_receiver import Receiver
from bench.yardsticks import provider

LOAD = PAYMENTS._replace(connections=16)
LOAD_SECONDS = 6
MOST = 300
"""Callbacks of one situation."""

READY, CAPTURED = "payment.awaiting_customer", "payment.captured"


def rows(_: Effort) -> Iterator[Row]:
    """Two tenants in turn, one callback at a time."""
    port = machine.free_port()
    with (
        provider(100) as provider_port,
        gateway(provider_port, webhooks=f"http://127.0.0.1:{port}/hooks") as ours,
    ):
        idle, loaded = asyncio.run(_measure(ours, port))
        ours.check()
    for name, seen in (("idle", idle), (f"with {LOAD.connections} connections paying", loaded)):
        for part in (0.5, 0.99):
            title, value = f"callback → webhook p{part * 100:.0f}, {name}", seen[int(len(seen) * part)] * 1000
            yield Row(title, value, unit=" ms", detail=f"{len(seen)} callbacks, a 100 ms provider")


async def _measure(ours: Contestant, port: int) -> tuple[list[float], list[float]]:
    """Latencies in seconds, sorted: idle and under load."""
    receiver = Receiver()
    async with receiver.listening(port), client(ours) as tenant:
        payments = await _payments(tenant, receiver, 2 * MOST)
        idle = [await _latency(tenant, receiver, *payment) for payment in payments[:MOST]]
        load = asyncio.create_task(asyncio.to_thread(ours.pay, LOAD_SECONDS, LOAD))
        await asyncio.sleep(1)
        left = iter(payments[MOST:])
        loaded: list[float] = []
        while not load.done() and (payment := next(left, None)) is not None:
            loaded.append(await _latency(tenant, receiver, *payment))
        await load
    return sorted(idle), sorted(loaded)


async def _payments(tenant: Client, receiver: Receiver, count: int) -> list[tuple[str, str]]:
    """Tenant and id of new payments, whose own webhooks have all arrived."""
    names = [name for name, _ in zip(cycle(TENANT_KEYS), range(count), strict=False)]
    references = [f"webhook-{number}" for number in range(count)]
    payments = await asyncio.gather(*map(tenant.pay, names, references, references))
    await asyncio.gather(*(receiver.time_of(READY, payment) for payment in payments))
    return list(zip(names, payments, strict=True))


async def _latency(tenant: Client, receiver: Receiver, whose: str, payment: str) -> float:
    began = time.perf_counter()
    await tenant.call_back(whose, payment, payment[-12:])
    return await receiver.time_of(CAPTURED, payment) - began
