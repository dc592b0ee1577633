"""Delete what nobody needs any more: old webhooks, idempotency keys, unproved callbacks. In small batches."""

from __future__ import annotations

from datetime import datetime, timedelta

from gateway.drivers.store import deliveries, inbox, refused_requests, schedule, statements
from gateway.flows.runtime import Current, Gateway, log

DELIVERED_KEPT = timedelta(days=30)
"""How long a delivered webhook is kept. Dead letters and the timeline stay, within the tenant's budget."""

IDEMPOTENCY_KEYS_KEPT = timedelta(days=8)
"""How long an idempotency key answers repetitions; the API promises seven days. An open operation keeps its key."""

REFUSED_KEPT = timedelta(days=7)
"""How long a refused callback is kept as evidence."""

REFUSED_REQUESTS_KEPT = timedelta(days=7)
"""How long it is kept why a tenant's request was refused."""

HINTS_KEPT = timedelta(days=30)
"""How long an accepted callback without proof is kept, and the provider references that hints named."""

ROUND_SECONDS = 3600.0
"""Pause between two rounds."""

BATCH_SIZE = 200
"""Rows in one transaction."""

PAUSE_SECONDS = 0.1
"""Pause between two batches: payments go first."""


async def run(current: Current) -> None:
    """Make a round every hour until cancelled."""
    checked_up_to: dict[str, str] = {}
    while True:
        await current.gateway.clock.sleep(ROUND_SECONDS)
        try:
            await _round(current.gateway, checked_up_to)
        except Exception as fault:  # a worker's loop: what failed is done in the next round
            log.error("housekeeping failed", extra={"kind": type(fault).__name__})


async def _round(gw: Gateway, checked_up_to: dict[str, str]) -> None:
    for tenant in gw.settings.tenants:
        await delete_old_idempotency_keys(gw, tenant)
    for tenant in (*gw.settings.tenants, *gw.settings.operator_webhooks):
        checked_up_to[tenant] = await delete_delivered(gw, tenant, after=checked_up_to.get(tenant, ""))
    await delete_refused(gw)
    await delete_hints(gw)
    await delete_refused_requests(gw)


async def delete_old_idempotency_keys(gw: Gateway, tenant: str) -> None:
    """Delete one tenant's old idempotency keys that have an answer."""
    before = gw.clock.now() - IDEMPOTENCY_KEYS_KEPT
    while old := await gw.store.answered_keys(tenant, before, BATCH_SIZE):
        await gw.store.commit(statements.delete_idempotency_keys(tenant, old))
        await gw.clock.sleep(PAUSE_SECONDS)


async def delete_delivered(gw: Gateway, tenant: str, *, after: str) -> str:
    """Delete one tenant's old delivered webhooks after a delivery id; return the last id that was checked.

    So what stays (dead letters) is read once per start of the process, not once per round.
    """
    before = gw.clock.now() - DELIVERED_KEPT
    while page := await gw.store.deliveries.page_by_age(tenant, after=after, before=before, limit=BATCH_SIZE):
        old = [identifier for identifier, status in page if status == "delivered"]
        if old:
            await gw.store.commit(deliveries.delete_delivered(tenant, old))
        after = page[-1][0]
        await gw.clock.sleep(PAUSE_SECONDS)
    return after


async def delete_refused(gw: Gateway) -> None:
    """Delete all tenants' old refused callbacks, the oldest first."""
    await _delete_callbacks(gw, inbox.REFUSED, gw.clock.now() - REFUSED_KEPT)


async def delete_hints(gw: Gateway) -> None:
    """Delete all tenants' old callbacks without proof, the oldest first, and the references they named."""
    before = gw.clock.now() - HINTS_KEPT
    await _delete_callbacks(gw, inbox.UNPROVED, before)
    await gw.store.commit([schedule.delete_processed_hints(before, BATCH_SIZE)])


async def delete_refused_requests(gw: Gateway) -> None:
    """Delete all tenants' old refused requests, the oldest first."""
    before = gw.clock.now() - REFUSED_REQUESTS_KEPT
    while await gw.store.refused_requests.has_any(before):
        await gw.store.commit([refused_requests.delete_before(before, BATCH_SIZE)])
        await gw.clock.sleep(PAUSE_SECONDS)


async def _delete_callbacks(gw: Gateway, rows: str, before: datetime) -> None:
    while await gw.store.inbox.has_any(rows, before):
        await gw.store.commit([inbox.delete_callbacks(rows, before, BATCH_SIZE)])
        await gw.clock.sleep(PAUSE_SECONDS)
