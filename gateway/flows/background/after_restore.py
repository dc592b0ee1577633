"""What follows where a store may have lost commits: every payment that may still move is checked soon, and customers
who were erased since are erased again.

In batches, each a transaction with the place up to which it has come, and in a task of its own: a large store takes
minutes. What a process leaves unfinished the next start finishes, or another process on the same store.
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter

from gateway.core.errors import Conflict, Unavailable
from gateway.drivers.store import metadata
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import NO_TENANT
from gateway.flows.customers import old_data
from gateway.flows.customers.erase import empty_log
from gateway.flows.runtime import Gateway, log

BATCH_SIZE = 500
"""Payments in one transaction."""

PAUSE_SECONDS = 0.02
"""Pause between two batches: payments go first."""

RETRY_SECONDS = 5.0
"""Pause after the store has failed."""

WORK = "follow a restored store"
"""The name of the task."""


async def go_on(gw: Gateway) -> None:
    """Start the checks that are left, unless they run. Raises ``Unavailable``."""
    if gw.tasks.is_running(WORK):
        return
    if any([await part.metadata.unchecked() is not None for part in gw.store.reachable]):
        gw.tasks.start(WORK, _work(gw))


async def finish(gw: Gateway) -> int:
    """Finish the checks and erasures that are left; return how many payments were erased again.

    Raises ``Unavailable``, and ``Conflict`` where another process does it.
    """
    for part in gw.store.reachable:
        while await _check_next(gw, part) and not gw.current.is_stopping:
            await gw.clock.sleep(PAUSE_SECONDS)
    gw.check_timer.no_later_than(0)
    erased = await old_data.erase_noted(gw)
    await empty_log(gw)
    return erased


async def _work(gw: Gateway) -> None:
    while not gw.current.is_stopping:
        try:
            await finish(gw)
        except Conflict:
            return  # another process is at it
        except Unavailable as problem:
            log.error("payments of a restored store wait for their check", extra={"problem": str(problem)})
            await gw.clock.sleep(RETRY_SECONDS)
        else:
            return


async def _check_next(gw: Gateway, part: Store) -> bool:
    """Schedule the check of the next payments of a store for now; return whether there may be more."""
    after = await part.metadata.unchecked()
    if after is None:
        return False
    now, keys = gw.clock.now(), await part.metadata.payments_after(after, BATCH_SIZE)
    has_more = len(keys) == BATCH_SIZE
    unit = [metadata.move_unchecked(after, keys[-1] if has_more else None)]
    for tenant, own in groupby(keys, itemgetter(0)):
        ids = [payment_id for _, payment_id in own]
        unit.append(metadata.check_payments(now, tenant, ids, grace_began_before=gw.settings.clocks.grace_began(now)))
    await part.commit(NO_TENANT, unit)
    return has_more
