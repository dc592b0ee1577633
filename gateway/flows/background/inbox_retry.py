"""Apply what was proved and stored, but whose effect failed for a reason of ours.

Pending callbacks live in the store, so a restart changes nothing. Each is tried on its own: one that fails again waits
for its next moment (``clocks.reconcile``, the last value repeats) and holds back no other.
"""

from __future__ import annotations

from datetime import timedelta

from gateway.core import documents
from gateway.core.errors import Conflict
from gateway.drivers.store import inbox
from gateway.drivers.store.inbox import StoredCallback
from gateway.drivers.store.statements import milliseconds, optional_milliseconds
from gateway.flows.callbacks.reprocess import Order, reprocess
from gateway.flows.runtime import Gateway, doubling, log

AT_ONCE = 50
"""Rows read at a time."""

LONGEST_SICK_PAUSE = 60.0
"""Seconds between tries to reach a store that fails, at the most."""

LONGEST_PAUSE = timedelta(minutes=1)
"""The time after which the inbox is looked at again, whatever it said."""

RETRY = Order(by="gateway", how="retry")


async def run(gw: Gateway) -> None:
    """Work off the inbox until cancelled. A store that is down is asked less and less often."""
    pauses = doubling(LONGEST_SICK_PAUSE)
    while True:
        gw.inbox_alarm.set(milliseconds(gw.clock.now() + LONGEST_PAUSE))
        try:
            await retry_due(gw)
            await gw.rest(gw.inbox_alarm, optional_milliseconds(await gw.store.inbox.next_due()))
            pauses = doubling(LONGEST_SICK_PAUSE)
        except Exception as fault:  # a worker's loop: it must outlive whatever this was
            log.error("the inbox cannot be worked off", extra={"kind": type(fault).__name__})
            await gw.clock.sleep(next(pauses))


async def retry_due(gw: Gateway) -> int:
    """Try the pending callbacks that are due, once each; return how many there were. Raises ``Unavailable``."""
    rows = await gw.store.inbox.due(gw.clock.now(), AT_ONCE)
    for row in rows:
        await retry(gw, row)
    return len(rows)


async def retry(gw: Gateway, row: StoredCallback) -> None:
    """Try one pending callback; note when again if it fails. Raises ``Unavailable`` when that cannot be noted."""
    try:
        await reprocess(gw, row, documents.proved(row.event or ""), RETRY)
    except Conflict:
        return  # somebody else judged it; if it is pending still, it is due still
    except Exception as fault:  # one row's fault, whatever it is, must not stop the others
        known = {"tenant": row.tenant, "account": row.account, "kind": type(fault).__name__}
        log.error("a pending callback could not be applied", extra=known)
        again = gw.schedules.reconcile[min(row.tries, len(gw.schedules.reconcile) - 1)]
        await gw.store.commit([inbox.postpone(row, gw.clock.now() + again)])
