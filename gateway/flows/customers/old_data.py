"""Erase customers' data when ``retention.customer_data`` is over, counted from the last change of an ended payment.

Each payment is passed once, when it is old enough to have ended that long ago; one that has not is looked at again in
every round until it has.
"""

from __future__ import annotations

from gateway.drivers.store.metadata import set_timestamp
from gateway.drivers.store.pending_erasures import PendingErasure, ask_to_erase
from gateway.flows.customers.erase import erase_all
from gateway.flows.customers.find import tenants_of
from gateway.flows.runtime import Gateway

BATCH_SIZE = 200
"""Payments that are looked at in one go."""

PAUSE_SECONDS = 0.1
"""Pause between two of them: payments go first."""

PASSED = "customer data passed of "
"""Prefix of the timestamp before which a tenant's payments were made that have been passed; the tenant follows."""


async def erase(gw: Gateway) -> None:
    """Erase what has ended of all that is to be erased, and what has become old since the last round."""
    await erase_noted(gw)
    for tenant in await tenants_of(gw):
        if not gw.store.cannot_serve(tenant):
            await _erase_old(gw, tenant)


async def erase_noted(gw: Gateway) -> int:
    """Erase what has ended of what was noted before; return how many payments. The log is the caller's to empty."""
    erased, after = 0, ("", "")
    while page := await gw.store.pending_erasures.page(after, BATCH_SIZE):
        erased += await erase_all(gw, page)
        after = page[-1].key
        await gw.clock.sleep(PAUSE_SECONDS)
    return erased


async def _erase_old(gw: Gateway, tenant: str) -> None:
    kept_for = gw.settings.retention.customer_data
    if kept_for is None:
        return
    after, before = "", gw.clock.now() - kept_for
    since = await gw.store.of(tenant).metadata.timestamp(PASSED + tenant)
    while page := await gw.store.pending_erasures.made_between(tenant, since, before, after=after, limit=BATCH_SIZE):
        wanted = [PendingErasure(tenant, payment_id, is_asked_for=False) for payment_id in page]
        await gw.store.commit(tenant, ask_to_erase([one.key for one in wanted], None))
        await erase_all(gw, wanted)
        after = page[-1]
        await gw.clock.sleep(PAUSE_SECONDS)
    if after:
        await gw.store.commit(tenant, [set_timestamp(PASSED + tenant, before)])
