"""Moves of tenants between stores as operators see them, and which of them need a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from gateway.core.errors import Unavailable
from gateway.core.views import rfc3339
from gateway.drivers.clock import milliseconds
from gateway.drivers.store.moves import Move
from gateway.drivers.store.rows import from_milliseconds
from gateway.flows.runtime import Gateway
from gateway.flows.status.shape import MoveStatus
from gateway.flows.tenant_stores import moved

EXPECTED_SECONDS = 300.0
"""A move that takes longer may have been interrupted."""


async def moves_of(gw: Gateway, now: datetime) -> list[MoveStatus]:
    """The moves that have not ended, whose old rows are there still."""
    return [
        MoveStatus(
            tenant=one.tenant,
            source=name,
            to=one.to,
            step=str(one.step),
            since=rfc3339(from_milliseconds(one.at)),
            age_seconds=max(0.0, (milliseconds(now) - one.at) / 1000),
            nodes=await _not_seen(gw, name, one, now),
        )
        for name, one in gw.store.tenants.moves_under_way()
    ]


async def _not_seen(gw: Gateway, source: str, one: Move, now: datetime) -> list[str]:
    try:
        return [row.id for row in await gw.store.by_name[source].moves.not_acknowledged(one, now)]
    except Unavailable:  # that it is down is said elsewhere
        return []


def sentences(gw: Gateway, moves: Sequence[MoveStatus]) -> Iterator[str]:
    """Say of moves what to do, and of settings that name the store that a tenant has left."""
    for one in moves:
        if one.age_seconds >= EXPECTED_SECONDS:
            said = f"tenant {one.tenant} is on its way from {one.source} to {one.to} since {one.since} ({one.step})"
            yield f"{said}: if nobody moves it now, run gateway store move-tenant {one.tenant} {one.to} again"
    for tenant, name in moved(gw.store, gw.settings).items():
        said = f"tenant {tenant} was moved to {name}, and the settings of this node say otherwise"
        yield f"{said}: write tenants.{tenant}.store: {name}, then gateway reload"
