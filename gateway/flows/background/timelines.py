"""A shared database that may be older than it was: a promoted standby, or a base backup that was restored.

Both begin a new timeline of the server, and say no more. A gateway that was there all the time knows: it looks for the
units that it wrote last. Where nobody was there, or units are missing, gateways are as careful as with a restored
backup: what happened meanwhile is asked for before anything is done again.
"""

from __future__ import annotations

from gateway.drivers.clock import milliseconds
from gateway.drivers.store.metadata import set_server
from gateway.drivers.store.nodes import LEASE
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
    server, _ = await gw.store.metadata.server()
    if server in (None, gw.memory.server):
        return False
    if not await gw.store.keeps_last_units():
        log.error("the database has lost what was committed: providers are asked before anything is done")
        return True
    log.warning("the database goes on elsewhere, and has all that this process wrote")
    await note_server(gw)
    return False


async def note_server(gw: Gateway) -> None:
    """Note where the store is now."""
    if not gw.node.is_shared:
        return
    server, noted = await gw.store.metadata.server()
    gw.memory.server = server
    if server is not None and server != noted:
        await gw.store.commit(NO_TENANT, set_server(server, gw.clock.now()))


async def _is_elsewhere(gw: Gateway) -> bool:
    """Whether a gateway noted another timeline. Not where the server does not say it."""
    server, noted = await gw.store.metadata.server()
    return server is not None and noted is not None and server != noted
