"""Requests of tenants that were refused: why, by the id that their answer had. Bounded in rows, by tenant and in all.

What is kept is what the log has: no values, and no names that a caller chose.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from gateway.drivers.clock import milliseconds
from gateway.drivers.store.engine import Engine
from gateway.drivers.store.rows import columns, made_of
from gateway.drivers.store.statements import Statement

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS refused_requests (
        number INTEGER PRIMARY KEY, tenant TEXT NOT NULL, request_id TEXT NOT NULL, at BIGINT NOT NULL,
        route TEXT NOT NULL, status INTEGER NOT NULL, code TEXT NOT NULL, fields TEXT NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS refused_requests_by_tenant ON refused_requests (tenant, number)",
    "CREATE INDEX IF NOT EXISTS refused_requests_by_id ON refused_requests (request_id)",
)
"""``number`` counts them: the engine gives each the next one."""

MAX_OF_TENANT = 10_000
"""Rows of one tenant: one that repeats a mistake all day pushes out its own, not the others'."""

MAX_ROWS = 200_000
"""Rows of all tenants, about 40 MB."""

MAX_FOUND = 20
"""Rows of one request id, which callers may choose and use again."""


class RefusedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One of them. ``at``: Unix milliseconds; ``route``: with its method; ``fields``: paths of the wrong members."""

    tenant: str
    request_id: str
    at: int
    route: str
    status: int
    code: str
    fields: str


_INSERT = f"INSERT INTO refused_requests ({columns(RefusedRequest)}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  # our own names


def insert(refused: Sequence[RefusedRequest]) -> list[Statement]:
    """Keep these of one tenant, and no more than it may have."""
    return [*(Statement(_INSERT, msgspec.structs.astuple(one)) for one in refused), _trim(refused[0].tenant)]


def delete_before(at: datetime, limit: int) -> Statement:
    """Delete the oldest that came before a time."""
    oldest = "SELECT number, at FROM refused_requests ORDER BY number LIMIT ?"
    return Statement(
        f"DELETE FROM refused_requests WHERE number IN (SELECT number FROM ({oldest}) oldest WHERE at < ?)",  # noqa: S608  # our own words
        (limit, milliseconds(at)),
    )


def _trim(tenant: str) -> Statement:
    newest = "SELECT number FROM refused_requests WHERE tenant = ? ORDER BY number DESC LIMIT 1 OFFSET ?"
    return Statement(
        f"DELETE FROM refused_requests WHERE tenant = ? AND number <= ({newest})",  # noqa: S608  # our own words
        (tenant, tenant, MAX_OF_TENANT),
    )


def trim_all() -> Statement:
    """Keep no more than all tenants may have together."""
    newest = "SELECT MAX(number) FROM refused_requests"
    return Statement(f"DELETE FROM refused_requests WHERE number <= ({newest}) - ?", (MAX_ROWS,))  # noqa: S608  # as above


class RefusedRequests:
    """Reads them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def find(self, request_id: str) -> list[RefusedRequest]:
        """Those with this id, newest first."""
        rows = await self._engine.rows(
            f"SELECT {columns(RefusedRequest)} FROM refused_requests WHERE request_id = ?"  # noqa: S608  # our own names
            " ORDER BY number DESC LIMIT ?",
            (request_id, MAX_FOUND),
        )
        return [made_of(RefusedRequest, row) for row in rows]

    async def has_any(self, before: datetime) -> bool:
        """Whether the oldest came before a time."""
        oldest = "SELECT at FROM refused_requests ORDER BY number LIMIT 1"
        sql = f"SELECT 1 FROM ({oldest}) oldest WHERE at < ?"  # noqa: S608  # our own words
        return bool(await self._engine.rows(sql, (milliseconds(before),)))
