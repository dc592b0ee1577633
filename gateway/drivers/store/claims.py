"""Which process on a shared store has claimed what: a claim is valid as long as its node is alive (``nodes.py``).

Rows are narrow, so that what is claimed is not rewritten. A claim is deleted in the unit that stores the outcome. Only
a shared store has this table.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from gateway.drivers.clock import milliseconds
from gateway.drivers.store.statements import NO_TENANT, Statement, placeholders

Kind = Literal["webhook", "check", "callback", "job", "timeline", "move"]
"""What is claimed, by its id: a delivery, a payment, a row of the inbox; a job of the gateway's own has no tenant.

Of a timeline, and of a tenant's move, no process claims more than that it has looked at it.
"""

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS claims (
        tenant TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, node TEXT NOT NULL,
        PRIMARY KEY (tenant, kind, id)
    )""",
    """
    CREATE TABLE IF NOT EXISTS lookups (
        tenant TEXT NOT NULL, payment_id TEXT NOT NULL, at BIGINT NOT NULL,
        PRIMARY KEY (tenant, payment_id)
    )""",
)

_INSERT = "INSERT INTO claims (tenant, kind, id, node) SELECT o.tenant, CAST(? AS TEXT), o.id, CAST(? AS TEXT)"
_LIVES = "EXISTS (SELECT 1 FROM nodes me WHERE me.id = ? AND me.alive_until > ?)"
HOLDER_IS_OVER = "EXISTS (SELECT 1 FROM nodes n WHERE n.id = claims.node AND n.alive_until <= ?)"
_TAKE_OVER = (
    " ON CONFLICT (tenant, kind, id) DO UPDATE SET node = excluded.node WHERE claims.node = excluded.node"
    f" OR {HOLDER_IS_OVER} RETURNING tenant, id"
)
"""That its node is over must be seen: one that has joined since this statement began is not seen, and lives. So nobody
claims without a row of its own."""


class Claimant(NamedTuple):
    """Who claims, and when: work may begin only where ``Node.may_begin`` says so of that time."""

    node: str
    at: datetime


def claim(kind: Kind, by: Claimant, offered: str, params: Sequence[Any]) -> Statement:
    """Claim what a SELECT offers (columns ``tenant`` and ``id``, none twice), and return these columns of what was.

    What others hold is left out; what the claimant holds already it gets again, so the SELECT must leave out what is
    under way here. Another node may have done in the meantime what was offered: read it again before beginning it.
    """
    return Statement(
        f"{_INSERT} FROM ({offered}) o WHERE {_LIVES}{_TAKE_OVER}",
        (kind, by.node, *params, by.node, *[milliseconds(by.at)] * 2),
    )


def claim_ids(kind: Kind, by: Claimant, tenant: str, identifiers: Collection[str]) -> Statement:
    """Claim these of a tenant's; as ``claim``. In their order, so that no two nodes wait for each other."""
    rows = ", ".join("(?)" for _ in identifiers)
    offered = f"SELECT CAST(? AS TEXT) AS tenant, column1 AS id FROM (VALUES {rows}) AS ids"  # noqa: S608  # question marks
    return claim(kind, by, offered, (tenant, *sorted(identifiers)))


def free(kind: Kind, by: Claimant, tenant: str, identifier: str) -> tuple[str, tuple[Any, ...]]:
    """A condition, and its parameters: no other living node has claimed the row of these columns."""
    condition = (
        f"NOT EXISTS (SELECT 1 FROM claims c JOIN nodes n ON n.id = c.node WHERE c.tenant = {tenant}"  # noqa: S608  # our own words
        f" AND c.kind = ? AND c.id = {identifier} AND c.node <> ? AND n.alive_until > ?)"
    )
    return condition, (kind, by.node, milliseconds(by.at))


def claim_job(name: str, by: Claimant) -> Statement:
    """Claim a job of the gateway's own; one node does it as long as it lives."""
    return claim("job", by, "SELECT '' AS tenant, CAST(? AS TEXT) AS id", (name,))


def looked_at(server: str, node: str) -> Statement:
    """Note that a process has looked at a server and timeline: whether it misses something is on record."""
    return Statement(
        "INSERT INTO claims (tenant, kind, id, node) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (NO_TENANT, "timeline", f"{server} {node}", node),
    )


def claim_lookup(tenant: str, payment_id: str, at: datetime, *, last_before: datetime) -> Statement:
    """Return a row to the one that may look a payment up for a hint: the last such lookup began early enough."""
    return Statement(
        "INSERT INTO lookups (tenant, payment_id, at) VALUES (?, ?, ?)"
        " ON CONFLICT (tenant, payment_id) DO UPDATE SET at = excluded.at WHERE lookups.at <= ? RETURNING payment_id",
        (tenant, payment_id, milliseconds(at), milliseconds(last_before)),
    )


def release(
    kind: Kind, node: str, tenant: str, identifiers: Collection[str], *, otherwise: str | None = None
) -> Statement:
    """Release what a node has claimed; what another has taken over stays. ``otherwise``: of one, the conflict then."""
    return Statement(
        f"DELETE FROM claims WHERE tenant = ? AND kind = ? AND node = ? AND id IN ({placeholders(identifiers)})",  # noqa: S608  # question marks
        (tenant, kind, node, *identifiers),
        otherwise,
    )
