"""The nodes on the store as operators see them, and which of them need a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from gateway.core.views import rfc3339
from gateway.drivers.clock import milliseconds
from gateway.drivers.store.nodes import NodeRow
from gateway.drivers.store.rows import from_milliseconds
from gateway.flows.runtime import Gateway
from gateway.flows.status.shape import NodeStatus

HASH_CHARACTERS = 12
"""Characters of a hash that are shown: enough to compare."""

SKEW_SECONDS = 2.0
"""A clock that differs from the database's by more needs setting."""


async def nodes_of(gw: Gateway, now: datetime) -> list[NodeStatus]:
    """Every process on the store, for a while also one that ended without leaving; alone with it only this one."""
    own = gw.node.row(gw.settings.shared_digest, gw.bound_url, now)
    rows = await gw.store.nodes.all() if gw.node.is_shared else [own]
    newest = {(row.host, row.url): row.started_at for row in rows}  # the longest running come first
    return [_shown(now, row) for row in rows if _is_of_interest(now, row, newest[row.host, row.url])]


def _is_of_interest(now: datetime, row: NodeRow, newest: int) -> bool:
    """Whether a process lives, or ended without leaving and none was started in its place."""
    has_left = row.alive_until == 0
    return row.alive_until > milliseconds(now) or not (has_left or newest > row.started_at)


def _shown(now: datetime, row: NodeRow) -> NodeStatus:
    at = milliseconds(now)
    return NodeStatus(
        id=row.id,
        host=row.host,
        pid=row.pid,
        version=row.version,
        config_hash=row.settings_hash,
        started_at=rfc3339(from_milliseconds(row.started_at)),
        lag_seconds=max(0.0, (at - row.renewed_at) / 1000),
        clock_skew_seconds=row.clock_ahead / 1000,
        url=row.url,
        is_alive=row.alive_until > at,
    )


def alive(nodes: Sequence[NodeStatus]) -> list[NodeStatus]:
    """The nodes that are alive."""
    return [one for one in nodes if one.is_alive]


def missing(nodes: Sequence[NodeStatus]) -> list[NodeStatus]:
    """The nodes that ended without leaving."""
    return [one for one in nodes if not one.is_alive]


def differing(nodes: Sequence[NodeStatus]) -> tuple[set[str], set[str]]:
    """The versions and the settings under which living nodes work; of each there should be one."""
    living = alive(nodes)
    return {one.version for one in living}, {one.config_hash for one in living}


def sentences(nodes: Sequence[NodeStatus]) -> Iterator[str]:
    """Say of nodes what to do."""
    versions, hashes = differing(nodes)
    if len(versions) > 1:
        said = f"nodes run different versions ({', '.join(sorted(versions))})"
        yield f"{said}: upgrade and restart those that gateway status --json shows with the older one, gateway serve"
    if len(hashes) > 1:
        said = f"nodes work under different settings ({', '.join(sorted(one[:HASH_CHARACTERS] for one in hashes))})"
        yield f"{said}: give all the same files, then on each gateway reload"
    for one in missing(nodes):
        said = f"node {one.id} ({one.host}, process {one.pid}) has ended without a word"
        yield f"{said} {one.lag_seconds:.0f} seconds ago: read the end of its log, start it again, gateway serve"
    for one in alive(nodes):
        if abs(one.clock_skew_seconds) > SKEW_SECONDS:
            said = f"the clock of {one.host} is {one.clock_skew_seconds:+.1f} seconds from the database's"
            yield f"{said}: let NTP set both, timedatectl"
