"""Notice a shared database that may have lost commits: a promoted standby, or a base backup that was restored.

Both begin a new timeline of the server, which is all that they show. A gateway that kept running looks for the units
that it wrote last. If none kept running, or units are missing, gateways act as on a restored backup: providers are
asked what happened before anything is done again. Until all have looked, the units of tenants are held (``gate.py``),
because a unit that one process misses may be repeated at another.
"""

from __future__ import annotations

from datetime import timedelta

from gateway.drivers.clock import milliseconds
from gateway.drivers.store import claims
from gateway.drivers.store.metadata import ON_SERVER, RESTORED, set_only, set_timestamp
from gateway.drivers.store.nodes import LEASE
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import NO_TENANT
from gateway.flows.runtime import Gateway, log

PAUSE_SECONDS = 1.0
"""Between two looks whether another process knows."""

OTHERS_LOOK_WITHIN = timedelta(seconds=6)
"""How long the others are waited for, longer than between two of their renewals: one may have died with the server."""


async def may_be_older(gw: Gateway) -> bool:
    """At a start: whether the database is on another timeline than gateways knew, and none that lives has noted it.

    Waits for one that seems to live, for as long as that is sure: it may have ended, or just have started as well.
    """
    if not gw.node.is_shared:
        return False
    until = gw.clock.now() + LEASE
    while await _is_elsewhere(gw):
        now = gw.clock.now()
        others = [one for one in await gw.store.nodes.all() if one.id != gw.node.id]
        if now >= until or not any(one.alive_until > milliseconds(now) for one in others):
            return True
        await gw.clock.sleep(PAUSE_SECONDS)
    return False


async def has_lost_units(gw: Gateway) -> bool:
    """While it runs: whether the database is on another timeline than before, without what was written last.

    Where it has all that was written here, the new timeline is noted for processes that start.
    """
    lost = [await _has_lost_units(gw, part) for part in gw.store.reachable]
    return any(lost)


async def _has_lost_units(gw: Gateway, part: Store) -> bool:
    server, _ = await part.metadata.server()
    if server is None:
        return False
    if part not in gw.memory.servers:  # a process that still starts knows nothing
        await part.commit(NO_TENANT, [claims.looked_at(server, gw.node.id)])
        return False
    if server == gw.memory.servers[part]:
        return part.gate.is_held and await _is_somebody_missing(gw, part, server)
    if not await part.keeps_last_units():
        log.error("the database has lost committed data: providers are asked before anything is done")
        return True
    log.warning("the database is on another timeline, and has everything that this process wrote")
    await _note_server(gw, part)
    return False


async def _is_somebody_missing(gw: Gateway, part: Store, server: str) -> bool:
    """Whether a process that seems to live has not looked in time."""
    now, since = gw.clock.now(), await part.metadata.timestamp(ON_SERVER + server)
    if since is None or now < since + OTHERS_LOOK_WITHIN or not await part.nodes.are_to_look(server, now):
        return False
    log.error("a process ended without checking its last writes: providers are asked before anything is done")
    return True


async def go_on(gw: Gateway) -> None:
    """Let units go on where all processes have looked."""
    for part in gw.store.reachable:
        server = gw.memory.servers.get(part)
        if part.gate.is_held and server is not None and not await part.nodes.are_to_look(server, gw.clock.now()):
            await read_caution(gw)  # after the others have looked
            part.gate.know(server)


async def go_on_carefully(gw: Gateway) -> None:
    """Let all processes be careful from now on, and units go on here."""
    now = gw.clock.now()
    for part in gw.store.parts:
        await part.commit(NO_TENANT, [set_timestamp(RESTORED, now)])
    gw.restored_at = now
    _open_carefully(gw)


async def read_caution(gw: Gateway) -> None:
    """Be careful from when another process says so."""
    before, gw.restored_at = gw.restored_at, await gw.store.metadata.timestamp(RESTORED)
    if gw.restored_at not in (None, before):
        _open_carefully(gw)


def _open_carefully(gw: Gateway) -> None:
    for part in gw.store.parts:
        part.gate.go_on_carefully()


async def note_servers(gw: Gateway) -> None:
    """Note where the store is now."""
    if gw.node.is_shared:
        for part in gw.store.parts:
            await _note_server(gw, part)


async def _note_server(gw: Gateway, part: Store) -> None:
    server, noted = await part.metadata.server()
    gw.memory.servers[part] = server
    if not part.gate.is_held:
        part.gate.know(server)
    if server is not None:
        unit = [claims.looked_at(server, gw.node.id)]
        await part.commit(NO_TENANT, unit if server == noted else [*set_only(ON_SERVER, server, gw.clock.now()), *unit])


async def _is_elsewhere(gw: Gateway) -> bool:
    """Whether a gateway noted another timeline. Not where the server does not say it."""
    known = [await part.metadata.server() for part in gw.store.parts]
    return any(server is not None and noted is not None and server != noted for server, noted in known)
