"""The processes that share one store: each is a node, alive as long as it renews its row.

One renewal a few seconds apart keeps everything that a process has claimed (``claims.py``). Times are the nodes' own
clocks, in Unix milliseconds, which must agree to within ``MARGIN``. Only a shared store has this table.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from gateway.drivers.clock import milliseconds
from gateway.drivers.store.engine import Reads
from gateway.drivers.store.rows import columns
from gateway.drivers.store.statements import Statement, placeholders

LEASE = timedelta(seconds=30)
"""How long a node is alive after a renewal; then others may take what it had claimed."""

MARGIN = timedelta(seconds=5)
"""How long before that it begins nothing any more: by how much clocks may differ."""

KEPT = timedelta(hours=1)
"""How long a node that ended is remembered."""

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS nodes (
        id TEXT PRIMARY KEY, host TEXT NOT NULL, pid BIGINT NOT NULL, version TEXT NOT NULL,
        settings_hash TEXT NOT NULL, url TEXT NOT NULL, started_at BIGINT NOT NULL, renewed_at BIGINT NOT NULL,
        alive_until BIGINT NOT NULL, clock_ahead BIGINT NOT NULL
    )""",
)


class NodeRow(msgspec.Struct, frozen=True, kw_only=True):
    """A process. ``clock_ahead``: milliseconds by which its clock was ahead of the database's at its last renewal."""

    id: str
    host: str
    pid: int
    version: str
    settings_hash: str
    url: str
    started_at: int
    renewed_at: int
    alive_until: int
    clock_ahead: int


def renew(row: NodeRow) -> Statement:
    """Join, or stay alive until ``row.alive_until``."""
    return Statement(_RENEW, msgspec.structs.astuple(row), "node")


def leave(node: str) -> Statement:
    """Leave; what it had claimed is free at once. Its row stays for a while: claims are taken over by it."""
    return Statement("UPDATE nodes SET alive_until = 0 WHERE id = ?", (node,))


def forget_dead(now: datetime) -> list[Statement]:
    """Forget nodes that ended long ago, with their claims, and old lookups."""
    long_ago = milliseconds(now - KEPT)
    return [
        Statement("DELETE FROM claims WHERE node IN (SELECT id FROM nodes WHERE renewed_at < ?)", (long_ago,)),
        Statement("DELETE FROM nodes WHERE renewed_at < ?", (long_ago,)),
        Statement("DELETE FROM lookups WHERE at < ?", (long_ago,)),
    ]


class Nodes(Reads):
    """The reads."""

    async def all(self) -> list[NodeRow]:
        """Every node, also those that left or stopped lately; the longest running first."""
        sql = f"SELECT {_COLUMNS} FROM nodes ORDER BY started_at, id"  # noqa: S608  # our own members
        return await self._all(NodeRow, sql, ())

    async def is_alive(self, node: str, now: datetime) -> bool:
        """Whether a node has renewed its row in time."""
        sql = "SELECT 1 FROM nodes WHERE id = ? AND alive_until > ?"
        return await self._engine.row(sql, (node, milliseconds(now))) is not None

    async def are_to_look(self, server: str, now: datetime) -> bool:
        """Whether a process lives that has not looked at a server and timeline (``claims.looked_at``)."""
        sql = (
            "SELECT 1 FROM nodes n WHERE n.alive_until > ? AND NOT EXISTS (SELECT 1 FROM claims c"
            " WHERE c.tenant = '' AND c.kind = 'timeline' AND c.id = ? || ' ' || n.id) LIMIT 1"
        )
        return bool(await self._engine.rows(sql, (milliseconds(now), server)))

    async def database_clock(self) -> int:
        """The database's clock; it decides nothing."""
        return int((await self._engine.rows("SELECT clock_milliseconds()", ()))[0][0])


_COLUMNS = columns(NodeRow)
_RENEW = (
    f"INSERT INTO nodes ({_COLUMNS}) VALUES ({placeholders(NodeRow.__struct_fields__)})"  # noqa: S608  # our own members
    " ON CONFLICT (id) DO UPDATE SET settings_hash = excluded.settings_hash, url = excluded.url,"
    " renewed_at = excluded.renewed_at, alive_until = excluded.alive_until, clock_ahead = excluded.clock_ahead"
)
