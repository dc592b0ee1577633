"""A shared database that may be older than it was: a promoted standby, or a base backup that was restored.

Both begin a new timeline of the server, and say no more. A gateway that was there all the time knows: it looks for the
units that it wrote last. Where nobody was there, or units are missing, gateways are as careful as with a restored
backup: what happened meanwhile is asked for before anything is done again.
"""

from __future__ import annotations

from gateway.drivers.clock import milliseconds
from gateway.drivers.store.metadata import set_server
from gateway.drivers.store.nodes import LEASE
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import NO_TENANT
from gateway.flows.runtime import Gateway, log

PAUSE_SECONDS = 1.0
"""Between two looks whether another process knows."""


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
    """While it runs: whether the database is on another timeline than before, without what was written here last.

    Where it has all of it, the new timeline is noted for processes that start.
    """
    lost = [await _has_lost_units(gw, part) for part in gw.store.reachable]
    return any(lost)


async def _has_lost_units(gw: Gateway, part: Store) -> bool:
    server, _ = await part.metadata.server()
    if server in (None, gw.memory.servers.get(part, server)):  # a process that still starts knows nothing
        return False
    if not await part.keeps_last_units():
        log.error("the database has lost what was committed: providers are asked before anything is done")
        return True
    log.warning("the database goes on elsewhere, and has all that this process wrote")
    await _note_server(gw, part)
    return False


async def note_servers(gw: Gateway) -> None:
    """Note where the store is now."""
    if gw.node.is_shared:
        for part in gw.store.parts:
            await _note_server(gw, part)


async def _note_server(gw: Gateway, part: Store) -> None:
    server, noted = await part.metadata.server()
    gw.memory.servers[part] = server
    if server is not None and server != noted:
        await part.commit(NO_TENANT, set_server(server, gw.clock.now()))


async def _is_elsewhere(gw: Gateway) -> bool:
    """Whether a gateway noted another timeline. Not where the server does not say it."""
    known = [await part.metadata.server() for part in gw.store.parts]
    return any(server is not None and noted is not None and server != noted for server, noted in known)
