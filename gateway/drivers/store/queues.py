"""What waits in the store, for operators: how much, and since when. Read by partial indexes, never by whole tables.

Counts end at ``COUNTED``, so that none takes longer the more there is. Times are Unix milliseconds.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from gateway.drivers.clock import milliseconds
from gateway.drivers.store.engine import Reads

COUNTED = 10_000
"""The most rows that are counted; a count of so many means at least as many."""

ENDPOINTS_READ = 1000
"""Endpoints that are read: a table of few rows, unless everything is down."""

REVIEWS_DATED = 1000
"""Payments under review that are searched for the oldest flag, which no index has."""


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows wait, and when the first of them was due; None where none is due."""

    count: int
    due_since: int | None = None


class OpenOperations(msgspec.Struct, frozen=True, kw_only=True):
    """Operations in one status without an outcome; ``oldest`` is the id of the first, which has its time."""

    count: int
    oldest: str | None


class UnknownOperation(msgspec.Struct, frozen=True, kw_only=True):
    """An operation whose outcome is unknown."""

    id: str
    tenant: str
    account: str
    payment_id: str


class EndpointRow(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint that fails or is disabled; ``url_sha256`` of the address that this was learnt of."""

    tenant: str
    url_sha256: str
    failing_since: int | None
    disabled_at: int | None
    reason: str | None


class Queues(Reads):
    """The reads."""

    async def schedule(self, now: datetime) -> Queue:
        """Checks of payments that are due."""
        at = milliseconds(now)
        count = await self._count("payments WHERE due_at <= ?", at)
        return Queue(count=count, due_since=await self._one("SELECT MIN(due_at) FROM payments WHERE due_at <= ?", at))

    async def inbox(self) -> Queue:
        """Callbacks that were proved and could not be applied yet."""
        count = await self._count("inbox WHERE verdict = 'pending'")
        return Queue(
            count=count, due_since=await self._one("SELECT MIN(next_attempt_at) FROM inbox WHERE verdict = 'pending'")
        )

    async def pending_webhooks(self) -> int:
        """Webhooks on their way."""
        return await self._count("events WHERE status = 'pending'")

    async def dead_webhooks(self) -> int:
        """Dead letters."""
        return await self._count("events WHERE status = 'dead'")

    async def webhooks_due(self) -> dict[str, int]:
        """When the next webhook of each owner that has pending ones is due."""
        return dict(await self._engine.rows(_FIRST_OF_EACH_OWNER, ()))

    async def operations(self, status: str) -> OpenOperations:
        """Operations that are ``sending`` or ``unknown``."""
        count = await self._count("payments WHERE open_status = ?", status)
        oldest = await self._one("SELECT MIN(open_operation) FROM payments WHERE open_status = ?", status)
        return OpenOperations(count=count, oldest=oldest)

    async def unknown_before(self, operation_id: str) -> list[UnknownOperation]:
        """Operations with an unknown outcome and an id below this one, which is made of a time; the oldest first."""
        return await self._all(
            UnknownOperation,
            "SELECT open_operation, tenant, account, id FROM payments WHERE open_status = 'unknown'"
            " AND open_operation < ? ORDER BY open_operation LIMIT ?",
            (operation_id, COUNTED),
        )

    async def reviews(self) -> tuple[int, str | None]:
        """How many payments are under review, and since when the oldest is (RFC 3339)."""
        oldest = await self._one(
            "SELECT MIN(since) FROM (SELECT json_extract(doc, '$.review.since') AS since FROM payments"
            " WHERE review IS NOT NULL LIMIT ?) dated",
            REVIEWS_DATED,
        )
        return await self._count("payments WHERE review IS NOT NULL"), oldest

    async def approvals(self, now: datetime) -> Queue:
        """Acts that wait for another key, and since when the oldest does: all wait equally long."""
        rows, at = "approvals WHERE status = 'open' AND expires_at > ?", milliseconds(now)
        oldest = await self._engine.row(f"SELECT created_at FROM {rows} ORDER BY expires_at LIMIT 1", (at,))  # noqa: S608  # our own words
        return Queue(count=await self._count(rows, at), due_since=oldest[0] if oldest else None)

    async def erasures(self) -> Queue:
        """Payments that somebody asked to erase and that have not ended yet."""
        rows = "pending_erasures WHERE asked_at IS NOT NULL"
        return Queue(count=await self._count(rows), due_since=await self._one(f"SELECT MIN(asked_at) FROM {rows}"))  # noqa: S608  # our own words

    async def endpoints(self) -> list[EndpointRow]:
        """Endpoints that fail or are disabled, the disabled ones first; at most ``ENDPOINTS_READ``."""
        return await self._all(
            EndpointRow,
            "SELECT tenant, url_sha256, failing_since, disabled_at, reason FROM webhook_endpoints"
            " WHERE failing_since IS NOT NULL OR disabled_at IS NOT NULL ORDER BY disabled_at IS NULL, tenant LIMIT ?",
            (ENDPOINTS_READ,),
        )

    async def _count(self, rows: str, *params: object) -> int:
        return int(await self._one(f"SELECT COUNT(*) FROM (SELECT 1 FROM {rows} LIMIT {COUNTED}) counted", *params))  # noqa: S608  # our own words

    async def _one(self, sql: str, *params: object) -> Any:
        return (await self._engine.rows(sql, params))[0][0]


# A step of the recursion is one seek: as many as there are owners with pending webhooks, however many those have.
_FIRST_OF_EACH_OWNER = """
    WITH RECURSIVE owners(tenant) AS (
        SELECT MIN(tenant) FROM events WHERE status = 'pending' UNION ALL
        SELECT (SELECT MIN(tenant) FROM events WHERE status = 'pending' AND tenant > owners.tenant)
        FROM owners WHERE owners.tenant IS NOT NULL
    )
    SELECT tenant, (SELECT MIN(next_attempt_at) FROM events WHERE status = 'pending' AND tenant = owners.tenant)
    FROM owners WHERE tenant IS NOT NULL"""
