"""Delete what nobody needs any more: old webhooks, idempotency keys, callbacks, and data of customers. In batches."""

from __future__ import annotations

from datetime import datetime, timedelta

from gateway.drivers.store import approvals, deliveries, inbox, nodes, refused_requests, schedule, statements
from gateway.drivers.store.statements import NO_TENANT
from gateway.flows.customers import old_data
from gateway.flows.customers.erase import empty_log
from gateway.flows.runtime import Current, Gateway, log
from gateway.flows.tasks import described

IDEMPOTENCY_KEYS_KEPT = timedelta(days=8)
"""How long an idempotency key answers repetitions; the API promises seven days. An open operation keeps its key."""

REFUSED_KEPT = timedelta(days=7)
"""How long a refused callback is kept as evidence."""

REFUSED_REQUESTS_KEPT = timedelta(days=7)
"""How long it is kept why a tenant's request was refused."""

HINTS_KEPT = timedelta(days=30)
"""How long an accepted callback without proof is kept, and the provider references that hints named."""

BATCH_SIZE = 200
"""Rows in one transaction."""

PAUSE_SECONDS = 0.1
"""Pause between two batches: payments go first."""

Checked = dict[tuple[str, str], str]
"""By tenant and what is looked through, the id up to which nothing is left to do."""


async def run(current: Current) -> None:
    """Make a round every ``clocks.housekeeping`` until cancelled."""
    checked: Checked = {}
    while True:
        await current.gateway.clock.sleep(current.gateway.settings.clocks.housekeeping.total_seconds())
        try:
            if await current.gateway.node.does("retention"):
                await _round(current.gateway, checked)
        except Exception as fault:  # a worker's loop: what failed is done in the next round
            log.error("housekeeping failed", extra=described(fault))


async def _round(gw: Gateway, checked: Checked) -> None:
    await expire_approvals(gw)  # first: a fault in what follows must not keep what they hold
    kept = gw.settings.retention
    for tenant in gw.settings.tenants:
        if gw.store.cannot_serve(tenant):
            continue
        await delete_old_idempotency_keys(gw, tenant)
        if kept.inbox_bodies is not None:
            place = (tenant, "inbox")
            checked[place] = await empty_callbacks(gw, tenant, kept.inbox_bodies, after=checked.get(place, ""))
    for owner in (*gw.settings.tenants, *gw.settings.operator_webhooks):
        for status, age in (("delivered", kept.delivered_webhooks), ("dead", kept.dead_letters)):
            if age is not None and not gw.store.cannot_serve(owner):
                place = (owner, status)
                checked[place] = await delete_webhooks(gw, owner, status, age, after=checked.get(place, ""))
    await delete_refused(gw)
    await delete_hints(gw)
    await delete_refused_requests(gw)
    await old_data.erase(gw)
    for part in gw.store.reachable if gw.node.is_shared else ():
        await part.commit(NO_TENANT, nodes.forget_dead(gw.clock.now()))
    if gw.memory.log_holds_deleted:
        await empty_log(gw)


async def delete_old_idempotency_keys(gw: Gateway, tenant: str) -> None:
    """Delete one tenant's old idempotency keys that have an answer."""
    before = gw.clock.now() - IDEMPOTENCY_KEYS_KEPT
    while old := await gw.store.answered_keys(tenant, before, BATCH_SIZE):
        await gw.store.commit(tenant, statements.delete_idempotency_keys(tenant, old))
        await gw.clock.sleep(PAUSE_SECONDS)


async def delete_webhooks(gw: Gateway, tenant: str, status: str, age: timedelta, *, after: str) -> str:
    """Delete one tenant's old webhooks of a status after a delivery id; return the id up to which none can follow.

    So what stays is read once per start of the process, not once per round; what is on its way is looked at again.
    """
    before, checked, is_passed = gw.clock.now() - age, after, True
    while page := await gw.store.deliveries.page_by_age(tenant, after=after, before=before, limit=BATCH_SIZE):
        old = [identifier for identifier, found in page if found == status]
        if old:
            await gw.store.commit(tenant, deliveries.delete_webhooks(tenant, status, old))
            gw.memory.log_holds_deleted = True
        for after, found in page:
            is_passed = is_passed and found != "pending"
            checked = after if is_passed else checked
        await gw.clock.sleep(PAUSE_SECONDS)
    return checked


async def empty_callbacks(gw: Gateway, tenant: str, age: timedelta, *, after: str) -> str:
    """Delete the contents of one tenant's old callbacks after an id; return the id up to which none has any.

    What was proved stays as an event, so that a callback whose effect failed is still applied.
    """
    before = gw.clock.now() - age
    while page := await gw.store.inbox.page_by_age(tenant, after=after, before=before, limit=BATCH_SIZE):
        await gw.store.commit(tenant, [inbox.empty_callback(tenant, *row) for row in page])
        gw.memory.log_holds_deleted = True
        after, _ = page[-1]
        await gw.clock.sleep(PAUSE_SECONDS)
    return after


async def delete_refused(gw: Gateway) -> None:
    """Delete all tenants' old refused callbacks, the oldest first."""
    await _delete_callbacks(gw, inbox.REFUSED, gw.clock.now() - REFUSED_KEPT)


async def delete_hints(gw: Gateway) -> None:
    """Delete all tenants' old callbacks without proof, the oldest first, and the references they named."""
    before = gw.clock.now() - HINTS_KEPT
    await _delete_callbacks(gw, inbox.UNPROVED, before)
    for part in gw.store.reachable:
        await part.commit(NO_TENANT, [schedule.delete_processed_hints(before, BATCH_SIZE)])


async def delete_refused_requests(gw: Gateway) -> None:
    """Delete all tenants' old refused requests, the oldest first."""
    before = gw.clock.now() - REFUSED_REQUESTS_KEPT
    for part in gw.store.reachable:
        while await part.refused_requests.has_any(before):
            await part.commit(NO_TENANT, [refused_requests.delete_before(before, BATCH_SIZE)])
            gw.memory.log_holds_deleted = True
            await gw.clock.sleep(PAUSE_SECONDS)


async def _delete_callbacks(gw: Gateway, rows: str, before: datetime) -> None:
    for part in gw.store.reachable:
        while await part.inbox.has_any(rows, before):
            await part.commit(NO_TENANT, [inbox.delete_callbacks(rows, before, BATCH_SIZE)])
            gw.memory.log_holds_deleted = True
            await gw.clock.sleep(PAUSE_SECONDS)


async def expire_approvals(gw: Gateway) -> None:
    """End the approvals that nobody gave in time, and forget what they were for."""
    now = gw.clock.now()
    for part in gw.store.reachable:
        if await part.approvals.has_overdue(now):
            await part.commit(NO_TENANT, [approvals.expire(now)])
            gw.memory.log_holds_deleted = True
