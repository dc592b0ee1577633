"""Look again at named payments or a range, where the provider can be asked: each account in turn, at a bounded rate.

What is queued lies in memory: a restart forgets it, and the same act asks again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from gateway.core.errors import GatewayError, TenantError, invalid, merged
from gateway.drivers.settings import AccountEntry
from gateway.drivers.store.statements import NO_TENANT
from gateway.flows import audit
from gateway.flows.audit import Act
from gateway.flows.payments import lookup, review
from gateway.flows.runtime import Gateway, log

PER_SECOND = 5
"""Payments of one account that are looked at in a second, at most."""

MOST_QUEUED = 10_000
"""Payments of one act."""


class SyncFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which payments: of an account by this name, in this state, made since a time and before another."""

    account: str | None = None
    state: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class QueuedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """How many payments of an account are looked at again."""

    tenant: str
    account: str
    count: int


async def sync_range(
    gw: Gateway, tenants: Sequence[str], wanted: SyncFilter, act: Act, *, dry_run: bool
) -> list[QueuedAccount]:
    """Queue the payments of a range, and say how many of each account. Raises ``validation_failed`` for too many."""
    found = [(entry, await _ids_of(gw, entry, wanted)) for entry in _entries(gw, tenants, wanted.account)]
    total = sum(len(payment_ids) for _, payment_ids in found)
    if total > MOST_QUEUED:
        raise invalid(("$.since", f"more than {MOST_QUEUED} payments are in this range: choose a shorter one"))
    if not dry_run:
        row = audit.entry(gw, act, details={**act.details, "count": total})
        await gw.store.commit(act.tenant or NO_TENANT, [row])
        for entry, payment_ids in found:
            _queue(gw, entry, payment_ids)
    return _counted(found)


async def sync_named(
    gw: Gateway, tenants: Sequence[str], payment_ids: Sequence[str], act: Act, *, dry_run: bool
) -> list[QueuedAccount]:
    """Queue these payments before all that wait, and say how many of each account.

    Raises ``validation_failed`` and ``unsupported_by_provider`` with every one that cannot be looked at.
    """
    by_owner: dict[str, tuple[AccountEntry, list[str]]] = {}
    refusals = []
    for number, payment_id in enumerate(payment_ids):
        try:
            entry = gw.entry((await review.found(gw, payment_id, tenants)).payment)
        except TenantError as problem:
            refusals.append(invalid((f"$.payment_ids[{number}]", problem.detail)))
            continue
        if not entry.can_look_up:
            refusals.append(_unsupported(f"$.payment_ids[{number}]", entry))
        _, ids = by_owner.setdefault(entry.owner, (entry, []))
        if payment_id not in ids:
            ids.append(payment_id)
    if refusals:
        raise merged(*refusals)
    found = list(by_owner.values())
    if not dry_run:
        for entry, ids in found:
            about = {"tenant": entry.tenant}
            await gw.store.commit(entry.tenant, [audit.entry(gw, act, **about, payment_id=one) for one in ids])
            _queue(gw, entry, ids, first=True)
    return _counted(found)


def _counted(found: Iterable[tuple[AccountEntry, list[str]]]) -> list[QueuedAccount]:
    return [QueuedAccount(tenant=one.tenant, account=one.name, count=len(ids)) for one, ids in found if ids]


def _unsupported(field: str, entry: AccountEntry) -> TenantError:
    detail = f"{entry.provider.name} answers no lookups: its callbacks and the clock move these payments"
    return invalid((field, detail), code="unsupported_by_provider")


def _entries(gw: Gateway, tenants: Sequence[str], account: str | None) -> list[AccountEntry]:
    """The accounts of these tenants whose providers can be asked. Raises ``unsupported_by_provider`` for none."""
    named = [
        entry for tenant in tenants for entry in gw.tenant(tenant).accounts.values() if account in (None, entry.name)
    ]
    if account is not None and not named:
        raise invalid(("$.account", f'no tenant has an account "{account}"'))
    able = [entry for entry in named if entry.can_look_up]
    if account is not None and not able:
        raise _unsupported("$.account", named[0])
    return able


async def _ids_of(gw: Gateway, entry: AccountEntry, wanted: SyncFilter) -> list[str]:
    return await gw.store.payment_ids(
        entry.tenant, entry.name, state=wanted.state, since=wanted.since, until=wanted.until, limit=MOST_QUEUED + 1
    )


def _queue(gw: Gateway, entry: AccountEntry, payment_ids: Iterable[str], *, first: bool = False) -> None:
    """Add to the account's queue, ``first`` at its head, and start the work unless it runs."""
    waiting = gw.memory.to_look_at.setdefault((entry.tenant, entry.name), deque())
    before = dict.fromkeys(waiting)
    after = {**dict.fromkeys(payment_ids), **before} if first else {**before, **dict.fromkeys(payment_ids)}
    waiting.clear()
    waiting.extend(after)
    name = f"sync of {entry.owner}"
    if waiting and not gw.tasks.is_running(name):
        gw.tasks.start(name, _work(gw, entry.tenant, waiting))


async def _work(gw: Gateway, tenant: str, waiting: deque[str]) -> None:
    while waiting and not gw.current.is_stopping:
        gw = gw.current.gateway
        payment_id = waiting.popleft()
        try:
            await lookup.refresh(gw, tenant, payment_id, hinted=False)
        except GatewayError as problem:  # this payment is not looked at: the others are
            extra = {"payment_id": payment_id, "tenant": tenant, "problem": str(problem)}
            log.warning("a payment could not be looked up", extra=extra)
        await gw.clock.sleep(1 / PER_SECOND)
