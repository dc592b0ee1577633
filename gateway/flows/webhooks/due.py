"""Which webhooks of a tenant go out now: all that are due, or on a shared store those that this process could claim."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import NamedTuple

from gateway.drivers.clock import milliseconds
from gateway.drivers.store.deliveries import DeliveryRow
from gateway.flows import claims
from gateway.flows.runtime import Gateway

READ_AHEAD = 16
"""Webhooks that are read beyond those that start at once: a long line is not read again at each end of an attempt.
On a shared store none: they would wait here while another process could send them."""


CONTENDED_MS = 100
"""Milliseconds until a process that could claim nothing of what is due looks again."""


class Endpoint(NamedTuple):
    """A tenant's endpoint, and what is under way to it from here: the ids of webhooks."""

    tenant: str
    url_sha256: str
    under_way: Collection[str]


class Due(NamedTuple):
    """Webhooks to send now, and when to look again (Unix milliseconds); None where nothing waits."""

    rows: list[DeliveryRow]
    later: int | None


async def find(gw: Gateway, endpoint: Endpoint, room: int) -> Due:
    """What is due at an endpoint that so many may be sent to at once."""
    return await (_claim(gw, endpoint, room) if gw.node.is_shared else _read(gw, endpoint, room + READ_AHEAD))


async def _read(gw: Gateway, endpoint: Endpoint, limit: int) -> Due:
    tenant, url_sha256, under_way = endpoint
    rows = await gw.store.deliveries.next_to_send(tenant, url_sha256, limit, under_way=under_way)
    now = milliseconds(gw.clock.now())
    waiting = [(row.next_attempt_at or 0, row) for row in rows]
    due = [row for at, row in waiting if at <= now]
    return Due(due, min((at for at, _ in waiting if at > now), default=None))


async def _claim(gw: Gateway, endpoint: Endpoint, room: int) -> Due:
    tenant, url_sha256, under_way = endpoint
    by, store = gw.node.claimant(), gw.store.claimable
    waiting = await store.webhooks(tenant, url_sha256, room + 1, by, under_way=under_way)
    now = milliseconds(by.at)
    wanted = [identifier for identifier, at in waiting[:room] if at <= now]
    later = next((at for _, at in waiting[len(wanted) :]), None)
    if not wanted:
        return Due([], later)
    rows = await claims.take(gw, "webhook", by, tenant, wanted, partial(store.due_webhooks, tenant, url_sha256, by.at))
    if len(rows) < len(wanted):  # others were first, and there may be more; or nothing may be begun here
        later = now if rows else now + CONTENDED_MS
    return Due(rows, later)
