"""Forget what nobody needs any more: old webhooks, keys, callbacks nobody proved. Small steps, at leisure."""

from __future__ import annotations

from datetime import datetime, timedelta

from gateway.drivers.store import deliveries, inbox, schedule, statements
from gateway.flows.runtime import Gateway, log

DELIVERED_KEPT = timedelta(days=30)
"""How long a delivered webhook is shown. Dead letters and the timeline are kept, within the tenant's budget."""

KEYS_KEPT = timedelta(days=8)
"""How long an idempotency key answers repetitions; the API promises seven days. An open operation keeps its key."""

REFUSED_KEPT = timedelta(days=7)
"""How long a refused callback is kept as evidence."""

HINTS_KEPT = timedelta(days=30)
"""How long an accepted callback without proof is kept, and which keys of a payment were asked for."""

EVERY = 3600.0
"""Seconds between two rounds."""

AT_ONCE = 200
"""Rows in one transaction."""

BREATH = 0.1
"""Seconds between two steps of a round: payments go first."""


async def run(gw: Gateway) -> None:
    """Make a round every hour until cancelled."""
    walked: dict[str, str] = {}
    while True:
        await gw.clock.sleep(EVERY)
        try:
            for tenant in gw.settings.tenants:
                await forget_keys(gw, tenant)
                walked[tenant] = await forget_delivered(gw, tenant, after=walked.get(tenant, ""))
            await forget_refused(gw)
            await forget_hints(gw)
        except Exception as fault:  # a worker's loop: what failed is done in the next round
            log.error("housekeeping failed", extra={"kind": type(fault).__name__})


async def forget_keys(gw: Gateway, tenant: str) -> None:
    """Drop one tenant's old idempotency keys that have an answer."""
    before = gw.clock.now() - KEYS_KEPT
    while old := await gw.store.answered_keys(tenant, before, AT_ONCE):
        await gw.store.commit([statements.delete_idempotency_keys(tenant, old)])
        await gw.clock.sleep(BREATH)


async def forget_delivered(gw: Gateway, tenant: str, *, after: str) -> str:
    """Drop one tenant's old delivered webhooks above a delivery id; return the id up to which it was looked.

    What stays (dead letters) is passed over once per start, not once per round.
    """
    before = gw.clock.now() - DELIVERED_KEPT
    while page := await gw.store.deliveries.page_by_age(tenant, after=after, before=before, limit=AT_ONCE):
        old = [identifier for identifier, status in page if status == "delivered"]
        if old:
            await gw.store.commit([deliveries.delete_deliveries(tenant, old)])
        after = page[-1][0]
        await gw.clock.sleep(BREATH)
    return after


async def forget_refused(gw: Gateway) -> None:
    """Drop all tenants' old refused callbacks, the oldest first."""
    await _forget_callbacks(gw, inbox.REFUSED, gw.clock.now() - REFUSED_KEPT)


async def forget_hints(gw: Gateway) -> None:
    """Drop all tenants' old callbacks without proof, the oldest first, and which keys they named."""
    before = gw.clock.now() - HINTS_KEPT
    await _forget_callbacks(gw, inbox.UNPROVED, before)
    await gw.store.commit([schedule.delete_processed_hints(before, AT_ONCE)])


async def _forget_callbacks(gw: Gateway, rows: str, before: datetime) -> None:
    while await gw.store.inbox.has_any(rows, before):
        await gw.store.commit([inbox.delete_callbacks(rows, before, AT_ONCE)])
        await gw.clock.sleep(BREATH)
