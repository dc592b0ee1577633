"""Retry callbacks that were proved and stored, but whose effect failed for a reason of the gateway's own.

They are in the store, so a restart changes nothing. Each is retried on its own: one that fails again waits for its next
time (``clocks.reconcile``, the last value repeats) and holds back no other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from functools import partial

from gateway.core import documents
from gateway.core.errors import Conflict, Unavailable
from gateway.core.schedule import pause_after
from gateway.drivers.clock import milliseconds, optional_milliseconds
from gateway.drivers.store import inbox
from gateway.drivers.store.claims import Claimant
from gateway.drivers.store.inbox import StoredCallback
from gateway.flows import claims
from gateway.flows.callbacks.reprocess import Order, reprocess
from gateway.flows.runtime import Current, Gateway, log
from gateway.flows.tasks import backoff, described

BATCH_SIZE = 50
"""Rows read at a time."""

STORE_RETRY_MAX_SECONDS = 60.0
"""The longest pause between attempts to reach a store that fails."""

MAX_IDLE = timedelta(minutes=1)
"""The inbox is read again after this time, even if nothing is due."""

CLAIMED_BY_OTHERS = timedelta(seconds=1)
"""Pause until the inbox is read again on a shared store, though something is due."""

RETRY = Order(by="gateway", how="retry")


async def run(current: Current) -> None:
    """Retry what is due until cancelled. A store that is down is asked less and less often."""
    pauses = backoff(STORE_RETRY_MAX_SECONDS)
    while True:
        gw = current.gateway
        gw.inbox_timer.reset(milliseconds(gw.clock.now() + MAX_IDLE))
        try:
            await retry_due(gw)
            await gw.tasks.rest(gw.inbox_timer, await _next_due(gw))
            pauses = backoff(STORE_RETRY_MAX_SECONDS)
        except Exception as fault:  # a worker's loop: it must outlive whatever this was
            log.error("pending callbacks cannot be retried", extra=described(fault))
            await gw.clock.sleep(next(pauses))


async def _next_due(gw: Gateway) -> int | None:
    """When to look again (Unix milliseconds); what is due now and was not had is another process's."""
    due_at = optional_milliseconds(await gw.store.inbox.next_due())
    if due_at is None or not gw.node.is_shared:
        return due_at
    return max(due_at, milliseconds(gw.clock.now() + CLAIMED_BY_OTHERS))


async def retry_due(gw: Gateway) -> int:
    """Retry the callbacks that are due, once each; return how many there were.

    Raises ``Unavailable`` after all where the store of a tenant failed: its further callbacks wait, others' do not.
    """
    count, known = 0, -1
    failed: dict[str, Unavailable] = {}
    while len(failed) > known:  # behind what a tenant that failed has due there may be others'
        known = len(failed)
        for tenant, attempt in await _due(gw, failed):
            if tenant in failed:
                continue
            try:
                count += await attempt()
            except Unavailable as problem:
                failed[tenant] = problem
    if failed:
        raise next(iter(failed.values()))
    return count


async def _due(gw: Gateway, failed: Collection[str]) -> list[tuple[str, Callable[[], Awaitable[int]]]]:
    """The callbacks that are due, but for those of tenants that fail or, on a shared store, wait for a move.

    Whose each is, and what retries it, and counts it where it could be had.
    """
    if gw.node.is_shared:
        by = gw.node.claimant()
        wanted = await gw.store.claimable.callbacks(BATCH_SIZE, by, without={*failed, *gw.store.tenants.waiting()})
        return [(tenant, partial(_retry_claimed, gw, by, tenant, identifier)) for tenant, identifier in wanted]
    rows = await gw.store.inbox.due(gw.clock.now(), BATCH_SIZE, without=failed)
    return [(row.tenant, partial(_retry_own, gw, row)) for row in rows]


async def _retry_own(gw: Gateway, row: StoredCallback) -> int:
    await retry(gw, row)
    return 1


async def _retry_claimed(gw: Gateway, by: Claimant, tenant: str, identifier: str) -> int:
    rows = await claims.take(
        gw, "callback", by, tenant, [identifier], partial(gw.store.claimable.due_callbacks, tenant, by.at)
    )
    for row in rows:
        await retry(gw, row)
        await claims.give_up(gw, "callback", tenant, identifier)
    return len(rows)


async def retry(gw: Gateway, row: StoredCallback) -> None:
    """Retry one callback. If it fails again, store when it is next due: raises ``Unavailable`` when that fails too."""
    try:
        await reprocess(gw, row, documents.proved(row.event or ""), RETRY)
    except Conflict:
        return  # somebody else changed it; if it is to be retried still, it is due still
    except Exception as fault:  # one row's fault, whatever it is, must not stop the others
        known = {"tenant": row.tenant, "account": row.account, **described(fault)}
        log.error("a pending callback could not be applied", extra=known)
        again = gw.clock.now() + pause_after(gw.schedules.reconcile, row.tries)
        await gw.store.commit(row.tenant, [inbox.postpone(row, again)])
