"""Keep the search index up to date, and build it where it is missing. Payments have priority."""

from __future__ import annotations

from gateway.flows import search
from gateway.flows.runtime import Current, log
from gateway.flows.tasks import described

WHEN_DONE = {True: 5.0, False: 60.0}
"""Seconds until the next batch of events where none is left, by whether events came since the last look."""

WHEN_BEHIND = {True: 2.0, False: 0.002}
"""The same where more are left: a batch in two seconds takes nothing from payments that come by the hundred."""


async def run(current: Current) -> None:
    """Index a batch now and then until cancelled."""
    newest, pause = 0, WHEN_DONE[True]
    while True:
        await current.gateway.clock.sleep(pause)
        gw = current.gateway
        try:
            if not await gw.node.does("index"):
                pause = WHEN_DONE[False]
                continue
            before = newest
            newest = sum([await part.search.last_event_row() for part in gw.store.reachable])
            left = await search.catch_up(gw, 1)
            pause = (WHEN_BEHIND if left else WHEN_DONE)[newest != before]
        except Exception as fault:  # a worker's loop: what failed is done the next time
            log.error("the search index cannot be updated", extra=described(fault))
            pause = WHEN_DONE[False]
