"""Claim work on a store that several processes share, so that no process begins what a living one has begun."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import TypeVar

from gateway.core.errors import Unavailable
from gateway.drivers.store import claims
from gateway.drivers.store.claims import Claimant, Kind
from gateway.drivers.store.statements import Statement
from gateway.flows.runtime import Gateway

Row = TypeVar("Row")


async def take(
    gw: Gateway,
    kind: Kind,
    by: Claimant,
    tenant: str,
    wanted: Collection[str],
    read: Callable[[Collection[str]], Awaitable[dict[str, Row]]],
) -> list[Row]:
    """Claim these of a tenant's, and return those that may be begun at once: read again, by id, after the claim.

    Another process may have done one since it was seen to be due. None, where this process may begin nothing, and none
    of a tenant that is being moved.
    """
    if not _may_begin(gw, tenant, by):
        return []
    ours = [identifier for _, identifier in await gw.store.claim(tenant, claims.claim_ids(kind, by, tenant, wanted))]
    rows = await read(ours) if ours else {}
    if done := set(ours) - set(rows):
        await gw.store.commit(tenant, [claims.release(kind, by.node, tenant, done)])
    return list(rows.values()) if _may_begin(gw, tenant, by) else []


def _may_begin(gw: Gateway, tenant: str, by: Claimant) -> bool:
    return gw.store.tenants.unfinished_move(tenant) is None and gw.node.may_begin(tenant, by.at)


def release(gw: Gateway, kind: Kind, tenant: str, identifier: str, *, otherwise: str | None = None) -> list[Statement]:
    """What goes with the outcome of what was claimed. ``otherwise``: the conflict where another has taken it over."""
    claimed = kind, gw.node.id, tenant, [identifier]
    return [claims.release(*claimed, otherwise=otherwise)] if gw.node.is_shared else []


async def give_up(gw: Gateway, kind: Kind, tenant: str, identifier: str) -> None:
    """Release what has no outcome to be stored; where that fails it stays claimed, and is offered here again."""
    if gw.node.is_shared:
        with suppress(Unavailable):
            await gw.store.commit(tenant, release(gw, kind, tenant, identifier))
