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

from tests.crash import audit, records, weather
from tests.crash.clients import PAUSE, Asked, Client
from tests.crash.evidence import Evidence
from tests.crash.process import Server
from tests.crash.pulse import Beat
from tests.crash.stories import live
from tests.crash.world import World, open_world
from tests.house import Reply

CLIENTS = 8

DEATHS: dict[tuple[Beat, ...], tuple[int, int]] = {
    tuple(Beat): (5, 120),
    (Beat.ASKED,): (1, 15),
    (Beat.DONE,): (1, 15),
    (Beat.TOLD,): (1, 4),
    (Beat.HOOKED,): (1, 15),
    (Beat.ANSWERED,): (1, 40),
}
"""What a death may wait for, and how many of it pass, least and most."""

DIES_AT_START = 0.15
"""How often the gateway is killed before or while it recovers."""

CALM_WITHIN = 30.0
"""Seconds after the faults until every story is told, and again until everything is at rest."""


@dataclass
class Figures:
    """What a storm came to. ``findings``: sentences by kind, all empty when the promises hold."""

    seed: str
    kills: int = 0
    stops: int = 0
    stranded: int = 0
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
            f"real crashes (seed {self.seed}): {self.kills} kills, {self.stops} stops, {self.stranded} operations on"
            f" their way at a death, {self.unanswered} requests without an answer; {self.payments} payments,"
            f" {self.operations} operations, {self.callbacks} callbacks, {self.webhooks} webhooks in {self.tries}"
            f" tries: {found}"
        )


async def storm(folder: Path, *, seed: str, kills: int, stops: int) -> Figures:
    """Run one storm in an empty folder."""
    figures = Figures(seed)
    async with open_world(folder, seed) as world:
        server = Server(world)
        clients = [Client(f"c{number}", world, random.Random(f"{seed}/{number}")) for number in range(CLIENTS)]
        lives = [asyncio.create_task(live(client, lambda: world.is_calm)) for client in clients]
        try:
            await _rage(world, server, figures, kills=kills, stops=stops)
            await weather.clear(world)
            await server.start()
            await _come_to_rest(world, lives)
            replayed = await _repeat_all(clients)
            await _collect(figures, world, clients, replayed)
        finally:
            for task in lives:
                task.cancel()
            await asyncio.gather(*lives, return_exceptions=True)
            await server.kill()
    return figures


async def _rage(world: World, server: Server, figures: Figures, *, kills: int, stops: int) -> None:
    """Live and die. The first life ends with traffic, so that there is something to recover."""
    stopped_in = set(world.dice.sample(range(kills), stops))
    for life in range(kills):
        if life > 0 and world.dice.random() < DIES_AT_START and life not in stopped_in:
            await server.start_and_die(world.dice.uniform(0.1, 1.0))
        else:
            await weather.change(world)
            await server.start()
            if life in stopped_in:
                await _stand_still(world, server)
                figures.stops += 1
            await _die_in_traffic(world, server)
        figures.kills += 1
        figures.stranded += await asyncio.to_thread(records.stranded, world.settings.store_path)


async def _die_in_traffic(world: World, server: Server) -> None:
    """Strike at the very moment something passes; or, where anything may, up to 20 ms behind it."""
    kinds, (least, most) = world.dice.choice(list(DEATHS.items()))
    beats, is_exact = world.dice.randint(least, most), len(kinds) == 1
    await world.pulse.after(beats, kinds=kinds, act=server.strike if is_exact else lambda: None)
    await asyncio.sleep(0 if is_exact else world.dice.uniform(0, 0.02))
    await server.kill()


async def _stand_still(world: World, server: Server) -> None:
    """Stop the process in the middle of traffic until clients have lost their patience, then let it go on.

    Meanwhile nobody can take its data folder: a second gateway is refused.
    """
    await world.pulse.after(world.dice.randint(5, 60), act=server.stop)
    try:
        assert await server.refuses_a_second(), "a second gateway took the folder of a stopped one"
        await world.pulse.after(CLIENTS, kinds=(Beat.ANSWERED,))
    finally:
        server.go_on()


async def _come_to_rest(world: World, lives: Sequence[asyncio.Task[None]]) -> None:
    """Let every story be told to its end, then wait until nothing moves by itself any more; at most so long each."""
    done, _ = await asyncio.wait(lives, timeout=CALM_WITHIN)
    for task in done:
        task.result()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CALM_WITHIN):
            while (await records.read(world)).unsettled():  # noqa: ASYNC110  # another process's database tells nobody
                await asyncio.sleep(PAUSE)


async def _repeat_all(clients: Sequence[Client]) -> dict[str, Reply]:
    """Ask everything once more that was ever settled; what it is answered now."""

    async def again(client: Client, asked: Asked) -> tuple[str, Reply]:
        headers: dict[str, str] = {"Idempotency-Key": asked.key}
        reply = await client.call(asked.method, asked.path, tenant=asked.tenant, headers=headers, json=asked.body)
        return asked.key, reply

    replies: dict[str, Reply] = {}
    for client in clients:
        replies |= dict(await asyncio.gather(*(again(client, asked) for asked in client.journal if asked.settled)))
    return replies


async def _collect(figures: Figures, world: World, clients: Sequence[Client], replayed: dict[str, Any]) -> None:
    found = await records.read(world)
    figures.unanswered = sum(client.unanswered for client in clients)
    figures.payments = len(found.payments)
    figures.operations = sum(len(several) for several in found.operations.values())
    figures.callbacks = sum(len(records.acknowledged(order)) for order in found.orders["psp"])
    figures.webhooks = sum(one["status"] == "delivered" for one in found.deliveries)
    figures.tries = len(world.endpoint.arrived)
    figures.findings = audit.findings(Evidence(found, clients, world.endpoint.arrived, replayed))
