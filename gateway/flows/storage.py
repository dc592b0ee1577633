"""Room for new payments: on the store's disk, and in each tenant's budget of stored bytes.

Without room no payment is created and no webhook tested; callbacks and operations of existing payments go on.
Operators are warned early.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.core.errors import LowDisk, TenantError
from gateway.core.views import rfc3339
from gateway.drivers.settings import Tenant
from gateway.drivers.store.databases import ask_each, unanswered
from gateway.flows.occurrences import Occurrence, report
from gateway.flows.runtime import Current, Gateway, log
from gateway.flows.tasks import described

CHECK_SECONDS = 60.0
"""Pause between two checks."""

BUDGET_USED_UP = "the budget of stored data is used up: ask the operators of this gateway for more"

LEVELS = (100, 80)
"""Percent of a budget at which operators are warned, the highest first."""


def require_disk(gw: Gateway, tenant: Tenant) -> None:
    """Raise ``LowDisk`` unless the disk has room for a new payment and for what may still come of the others."""
    if gw.disk.is_low() and gw.settings.stores[gw.store.tenants.store_of(tenant.id)].folder in gw.disk.low():
        raise LowDisk("the disk is almost full")


async def require_room(gw: Gateway, tenant: Tenant) -> None:
    """Refuse what need not be stored. Raises ``LowDisk``, and ``storage_budget_exceeded``."""
    require_disk(gw, tenant)
    stored, budget = await gw.store.stored_bytes(), gw.settings.limits.tenant_bytes
    if level_of(stored.get(tenant.id, 0), budget) == LEVELS[0]:
        raise TenantError("storage_budget_exceeded", BUDGET_USED_UP)


async def probe(gw: Gateway) -> None:
    """Let each store take a write, and remember of those that do not why, and since when.

    Raises ``Unavailable`` where none does.
    """
    now = gw.clock.now()
    found, problems = await ask_each(gw.store.by_name, lambda _, store: store.prove_writable(now))
    gw.store.note_outages(problems, now)
    if not found:
        raise unanswered(problems)


def away(gw: Gateway) -> list[str]:
    """The stores that take no write or did not answer, by name."""
    return [name for name in gw.settings.stores if name in gw.store.outages or name in gw.store.down]


def outages(gw: Gateway) -> Iterator[str]:
    """Say which stores take no write, since when, and why."""
    for name, outage in gw.store.outages.items():
        yield f"store {name} is unavailable since {rfc3339(outage.since)}: {outage.problem}"


async def run(current: Current) -> None:
    """Check periodically until cancelled."""
    while True:
        try:
            await check(current.gateway)
        except Exception as fault:  # a worker's loop: it checks again
            log.error("the space for new payments is not known", extra=described(fault))
        await current.gateway.clock.sleep(CHECK_SECONDS)


async def check(gw: Gateway) -> None:
    """Log once which tenants approach the end of their budget, and remember it for ``warnings``."""
    gw.disk.is_low()
    budget = gw.settings.limits.tenant_bytes
    stored = await gw.store.stored_bytes() if budget is not None else {}
    before = gw.memory.budget_levels
    gw.memory.budget_levels = {tenant: level_of(stored.get(tenant, 0), budget) for tenant in gw.settings.tenants}
    for tenant, level in gw.memory.budget_levels.items():
        if level > before.get(tenant, 0) and await gw.node.does("budgets"):
            report(gw, Occurrence.TENANT_NEAR_BUDGET, tenant=tenant, kind=f"{level} percent")


def level_of(stored: int, budget: int | None) -> int:
    """The highest of ``LEVELS`` that a tenant has reached, else 0."""
    if budget is None:
        return 0
    return next((level for level in LEVELS if stored * 100 >= budget * level), 0)


def warnings(gw: Gateway) -> list[str]:
    """What an operator should attend to soon, as of the last check."""
    found = {"low_disk": gw.disk.is_low(), "storage_budget": any(gw.memory.budget_levels.values())}
    return [*(name for name, holds in found.items() if holds), *(f"store_down {name}" for name in away(gw))]
