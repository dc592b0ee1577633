"""Apply what was proved and stored, but whose effect failed for a reason of ours; and forget old evidence.

Pending callbacks live in the store, so a restart changes nothing. Each is tried on its own: one that fails again waits
for its next moment (``clocks.reconcile``, the last value repeats) and holds back no other.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from gateway.core import documents
from gateway.core.errors import Conflict
from gateway.drivers.store import inbox
from gateway.drivers.store.inbox import StoredCallback
from gateway.flows.context import Gateway, log
from gateway.flows.inbox import Order, judge_stored

AT_ONCE = 50
"""Rows read at a time."""

LONGEST_PAUSE = 60.0
"""Seconds after which the inbox is looked at again, whatever it said."""

REFUSED_FOR = timedelta(days=7)
"""How long a refused callback is kept."""

SWEPT_EVERY = timedelta(hours=1)

SWEPT_AT_ONCE = 200
"""Old rows removed in one unit of work, so that nobody waits long behind it."""

RETRY = Order(by="gateway", how="retry")


async def run(gw: Gateway) -> None:
    """Work off the inbox until cancelled. A store that is down is asked less and less often."""
    failures, next_sweep = 0, gw.clock.now()
    while True:
        gw.inbox_due.clear()
        try:
            await retry_due(gw)
            if gw.clock.now() >= next_sweep:
                is_done = await sweep(gw)
                next_sweep = gw.clock.now() + (SWEPT_EVERY if is_done else timedelta(seconds=1))
            failures, pause = 0, await _pause(gw, next_sweep)
        except Exception as fault:  # a worker's loop: it must outlive whatever this was
            log.error("the inbox cannot be worked off", extra={"kind": type(fault).__name__})
            failures, pause = failures + 1, min(2.0**failures, LONGEST_PAUSE)
        await gw.until(gw.inbox_due, pause)


async def retry_due(gw: Gateway) -> int:
    """Try the pending callbacks that are due, once each; return how many there were. Raises ``Unavailable``."""
    rows = await gw.store.inbox.due(gw.clock.now(), AT_ONCE)
    for row in rows:
        await retry(gw, row)
    return len(rows)


async def retry(gw: Gateway, row: StoredCallback) -> None:
    """Try one pending callback; note when again if it fails. Raises ``Unavailable`` when that cannot be noted."""
    try:
        await judge_stored(gw, row, documents.proved(row.event or ""), RETRY)
    except Conflict:
        return  # somebody else judged it; if it is pending still, it is due still
    except Exception as fault:  # one row's fault, whatever it is, must not stop the others
        known = {"tenant": row.tenant, "account": row.account, "kind": type(fault).__name__}
        log.error("a pending callback could not be applied", extra=known)
        again = gw.schedules.reconcile[min(row.tries, len(gw.schedules.reconcile) - 1)]
        await gw.store.commit([inbox.postpone(row, gw.clock.now() + again)])


async def sweep(gw: Gateway) -> bool:
    """Forget some of the refused callbacks that are too old; return whether none was left."""
    before = gw.clock.now() - REFUSED_FOR
    await gw.store.commit([inbox.forget_refused(before, SWEPT_AT_ONCE)])
    return not await gw.store.inbox.has_refused(before)


async def _pause(gw: Gateway, next_sweep: datetime) -> float:
    moments = [moment for moment in (await gw.store.inbox.next_due(), next_sweep) if moment is not None]
    return min(LONGEST_PAUSE, max(0.0, (min(moments) - gw.clock.now()).total_seconds()))
