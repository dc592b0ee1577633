"""Renew this process's lease on a shared store, and find work that others left. On SQLite this does nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from gateway.core.errors import Unavailable
from gateway.drivers.store.moves import Move
from gateway.flows.background import after_restore, startup
from gateway.flows.runtime import Current, Gateway, log
from gateway.flows.tasks import described, first_of
from gateway.flows.webhooks import dispatch

RENEW_SECONDS = 5.0
"""Pause between two renewals: several fit into a lease."""

RENEW_AGAIN_SECONDS = 1.0
"""Pause after a renewal that failed."""

LOOK_AGAIN_SECONDS = 0.1
"""Pause between two checks whether all processes have checked another timeline, while units are held."""

MOVING_SECONDS = 0.5
"""Pause between two renewals while a tenant is moved: it is served again after the first that finds it there."""

LOOK_SECONDS = 5.0
"""Pause between two looks for work that another process has left or does not know of."""


Moves = list[tuple[str, Move]]
"""Moves of tenants, each with the name of the store that is left."""


@asynccontextmanager
async def joined(current: Current) -> AsyncIterator[None]:
    """Be one of the processes on the store for the time of the block. Raises ``Unavailable``."""
    node = current.gateway.node
    if not node.is_shared:
        yield
        return
    await _renew(current.gateway)
    renewing = asyncio.create_task(_keep_renewing(current), name="renew node")
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.wait((renewing,))
        with suppress(Unavailable):  # then others wait until its time is over
            await node.leave()


async def _keep_renewing(current: Current) -> None:
    pause = RENEW_AGAIN_SECONDS  # soon it is known where this one listens
    moves: Moves = []
    while True:
        await _wait(current.gateway, pause)
        try:
            await _renew(current.gateway)
            moves = _say_moves(current.gateway, moves)
            await startup.stay_careful(current.gateway)
            pause = _pause(current.gateway)
        except Exception as fault:  # it must go on, or nothing is begun here any more
            log.error("this node could not be renewed", extra=described(fault))
            pause = RENEW_AGAIN_SECONDS


def _say_moves(gw: Gateway, known: Moves) -> Moves:
    """Log each step of a tenant's move once; return all moves."""
    moves = gw.store.tenants.moves_under_way()
    for name, one in moves:
        if (name, one) not in known:
            extra = {"tenant": one.tenant, "detail": f"from {name} to {one.to}: {one.step}"}
            log.info("a tenant is moved to another store", extra=extra)
    return moves


def _pause(gw: Gateway) -> float:
    if any(part.gate.is_held for part in gw.store.reachable):
        return LOOK_AGAIN_SECONDS
    return RENEW_SECONDS if all(one.is_over for _, one in gw.store.tenants.moves_under_way()) else MOVING_SECONDS


async def _wait(gw: Gateway, pause: float) -> None:
    """Wait for the next renewal, or until a connection gives reason to check which server the database is on."""
    noticed = [part.gate.noticed for part in gw.store.parts]
    await first_of(gw.clock.sleep(pause), *(one.wait() for one in noticed))
    for one in noticed:
        one.clear()


async def _renew(gw: Gateway) -> None:
    await gw.node.renew(gw.settings.shared_digest, gw.bound_url)


async def run(current: Current) -> None:
    """Wake the other workers periodically until cancelled: a process that has ended may have left work."""
    while current.gateway.node.is_shared:
        await current.gateway.clock.sleep(LOOK_SECONDS)
        try:
            await look_for_work(current.gateway)
        except Exception as fault:  # a worker's loop: it looks again
            log.error("cannot look for work of other nodes", extra=described(fault))


async def look_for_work(gw: Gateway) -> None:
    """Wake what claims checks and callbacks, and of webhooks the tenants that have some."""
    gw.check_timer.no_later_than(0)
    gw.inbox_timer.no_later_than(0)
    await dispatch.wake(gw)
    await after_restore.go_on(gw)
