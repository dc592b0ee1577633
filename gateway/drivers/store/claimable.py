"""What a process may claim of a shared store (due, and held by no other living process), and what it then reads again.

The second read shows what another process did between the first and the claim. Each claim is of one tenant. It finds
its rows by their keys alone: ``COALESCE`` keeps the planner from going through all rows that are due, which it believes
to be few until it analyzes the table.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from gateway.drivers.clock import milliseconds
from gateway.drivers.store.claims import Claimant, free
from gateway.drivers.store.deliveries import DELIVERY, DISABLED, IN_ORDER, DeliveryRow, delivery
from gateway.drivers.store.engine import Reads
from gateway.drivers.store.inbox import WHOLE, StoredCallback, stored
from gateway.drivers.store.moves import NOT_BARRED
from gateway.drivers.store.rows import from_milliseconds, made_of
from gateway.drivers.store.schedule import ScheduledCheck
from gateway.drivers.store.statements import none_of, placeholders

NEVER = 2**63 - 1
"""Milliseconds after which nothing is due."""


class Claimable(Reads):
    """The reads."""

    async def webhooks(
        self, tenant: str, endpoint: str, limit: int, by: Claimant, *, under_way: Collection[str] = ()
    ) -> list[tuple[str, int]]:
        """(id, when it is due) of the next webhooks of a tenant, in the order of ``Deliveries.next_to_send``."""
        is_free, values = free("webhook", by, "d.tenant", "d.delivery_id")
        rows = await self._engine.rows(
            f"SELECT d.delivery_id, d.next_attempt_at FROM events d WHERE {IN_ORDER}"  # noqa: S608  # our own words
            f"{none_of('d.delivery_id', under_way)} AND NOT EXISTS ({DISABLED}) AND {is_free}"
            " ORDER BY d.next_attempt_at LIMIT ?",
            (tenant, *under_way, tenant, endpoint, *values, limit),
        )
        return [(identifier, at) for identifier, at in rows]

    async def due_webhooks(
        self, tenant: str, endpoint: str, now: datetime, ids: Collection[str]
    ) -> dict[str, DeliveryRow]:
        """Those of these webhooks that are due still, the longest due first; none of a disabled endpoint."""
        rows = await self._engine.rows(
            f"{DELIVERY} d WHERE d.tenant = ? AND d.delivery_id IN ({placeholders(ids)})"
            f" AND COALESCE(d.status, '') = 'pending' AND d.next_attempt_at <= ? AND NOT EXISTS ({DISABLED})"
            " ORDER BY d.next_attempt_at",
            (tenant, *ids, milliseconds(now), tenant, endpoint),
        )
        return {row.id: row for row in map(delivery, rows)}

    async def checks(self, limit: int, by: Claimant) -> list[tuple[str, str]]:
        """(tenant, payment) of checks that are due: of each tenant at most ``limit``, the longest due first."""
        is_free, values = free("check", by, "p.tenant", "p.id")
        rows = await self._engine.rows(
            "SELECT tenant, id FROM (SELECT p.tenant, p.id, p.due_at,"  # noqa: S608  # our own words
            f" ROW_NUMBER() OVER (PARTITION BY p.tenant ORDER BY p.due_at) AS place FROM payments p"
            f" WHERE p.due_at <= ? AND {is_free}) due WHERE place <= ? ORDER BY due_at",
            (milliseconds(by.at), *values, limit),
        )
        return [(tenant, identifier) for tenant, identifier in rows]

    async def due_checks(self, tenant: str, now: datetime, payment_ids: Collection[str]) -> dict[str, ScheduledCheck]:
        """The checks of these payments that are due still."""
        rows = await self._engine.rows(
            "SELECT tenant, id, due_at, tries FROM payments"  # noqa: S608  # question marks
            f" WHERE tenant = ? AND id IN ({placeholders(payment_ids)}) AND COALESCE(due_at, ?) <= ?",
            (tenant, *payment_ids, NEVER, milliseconds(now)),
        )
        return {row.payment_id: row for row in (made_of(ScheduledCheck, row) for row in rows)}

    async def last_lookup(self, tenant: str, payment_id: str) -> datetime | None:
        """When a process last began to look a payment up for a hint (``claims.claim_lookup``)."""
        sql = "SELECT at FROM lookups WHERE tenant = ? AND payment_id = ?"
        row = await self._engine.row(sql, (tenant, payment_id))
        return None if row is None else from_milliseconds(row[0])

    async def callbacks(self, limit: int, by: Claimant, *, without: Collection[str] = ()) -> list[tuple[str, str]]:
        """(tenant, id) of pending callbacks whose next try is due, as ``Inbox.due``."""
        is_free, values = free("callback", by, "i.tenant", "i.id")
        rows = await self._engine.rows(
            "SELECT i.tenant, i.id FROM inbox i WHERE i.verdict = 'pending' AND i.next_attempt_at <= ?"  # noqa: S608  # our own words
            f"{none_of('i.tenant', without)} AND {is_free} AND {NOT_BARRED}"
            " ORDER BY i.next_attempt_at LIMIT ?",
            (milliseconds(by.at), *without, *values, limit),
        )
        return [(tenant, identifier) for tenant, identifier in rows]

    async def due_callbacks(self, tenant: str, now: datetime, ids: Collection[str]) -> dict[str, StoredCallback]:
        """Those of these callbacks whose next try is due still, the longest due first."""
        rows = await self._engine.rows(
            f"{WHOLE} WHERE tenant = ? AND id IN ({placeholders(ids)}) AND COALESCE(verdict, '') = 'pending'"
            " AND next_attempt_at <= ? ORDER BY next_attempt_at",
            (tenant, *ids, milliseconds(now)),
        )
        return {row.id: row for row in map(stored, rows)}
