"""Requests of tenants that were refused: why, by the id that their answer had. Bounded in rows, by tenant and in all.

What is kept is what the log has: no values, and no names that a caller chose.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from gateway.drivers.clock import milliseconds
from gateway.drivers.store.engine import Reads
from gateway.drivers.store.rows import columns
from gateway.drivers.store.statements import Statement

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS refused_requests (
        tenant TEXT NOT NULL, id TEXT NOT NULL, request_id TEXT NOT NULL, at BIGINT NOT NULL,
        route TEXT NOT NULL, status INTEGER NOT NULL, code TEXT NOT NULL, fields TEXT NOT NULL,
        PRIMARY KEY (tenant, id)
    )""",
    "CREATE INDEX IF NOT EXISTS refused_requests_by_id ON refused_requests (request_id)",
    "CREATE INDEX IF NOT EXISTS refused_requests_by_age ON refused_requests (at)",
)

MAX_OF_TENANT = 10_000
"""Rows of one tenant: one that repeats a mistake all day pushes out its own, not the others'."""

MAX_ROWS = 200_000
"""Rows of all tenants, about 40 MB; there may be a few thousand more for a while."""

MAX_FOUND = 20
"""Rows of one request id, which callers may choose and use again."""


class RefusedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One of them.

    ``id`` is its own, time-ordered; ``at``: Unix milliseconds; ``route``: with its method; ``fields``: paths of the
    wrong members.
    """

    tenant: str
    id: str
    request_id: str
    at: int
    route: str
    status: int
    code: str
    fields: str


_INSERT = f"INSERT INTO refused_requests ({columns(RefusedRequest)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  # our own names


def insert(refused: Sequence[RefusedRequest]) -> list[Statement]:
    """Keep these of one tenant, and no more than it may have."""
    return [*(Statement(_INSERT, msgspec.structs.astuple(one)) for one in refused), _trim(refused[0].tenant)]


def delete_before(at: datetime, limit: int) -> Statement:
    """Delete the oldest that came before a time."""
    oldest = "SELECT tenant, id FROM refused_requests WHERE at < ? ORDER BY at LIMIT ?"
    return Statement(
        f"DELETE FROM refused_requests WHERE (tenant, id) IN ({oldest})",  # noqa: S608  # our own words
        (milliseconds(at), limit),
    )


def _trim(tenant: str) -> Statement:
    newest = "SELECT id FROM refused_requests WHERE tenant = ? ORDER BY id DESC LIMIT 1 OFFSET ?"
    return Statement(
        f"DELETE FROM refused_requests WHERE tenant = ? AND id <= ({newest})",  # noqa: S608  # our own words
        (tenant, tenant, MAX_OF_TENANT),
    )


def trim_all() -> Statement:
    """Keep no more than all tenants may have together. Goes through the index of all."""
    newest = "SELECT at FROM refused_requests ORDER BY at DESC LIMIT 1 OFFSET ?"
    return Statement(f"DELETE FROM refused_requests WHERE at <= ({newest})", (MAX_ROWS,))  # noqa: S608  # as above


class RefusedRequests(Reads):
    """Reads them."""

    async def find(self, request_id: str) -> list[RefusedRequest]:
        """Those with this id, newest first."""
        return await self._all(
            RefusedRequest,
            f"SELECT {columns(RefusedRequest)} FROM refused_requests WHERE request_id = ?"  # noqa: S608  # our own names
            " ORDER BY id DESC LIMIT ?",
            (request_id, MAX_FOUND),
        )

    async def has_any(self, before: datetime) -> bool:
        """Whether the oldest came before a time."""
        sql = "SELECT 1 FROM refused_requests WHERE at < ? LIMIT 1"
        return bool(await self._engine.rows(sql, (milliseconds(before),)))
