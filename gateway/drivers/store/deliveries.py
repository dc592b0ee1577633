"""Webhooks on their way to tenants, and the state of the endpoints they go to.

A webhook is part of its event's row (``statements.insert_event``), in columns that are null where nobody listened. A
delivery is ``pending`` (with a next try), ``delivered`` or ``dead``; a dead letter died ``exhausted`` (its schedule
ended) or ``disabled`` (its endpoint was disabled). An endpoint has a row only after a failed try. The row names the
SHA-256 of the endpoint's URL: failures of one URL do not count against the next one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec

from gateway.drivers.clock import milliseconds, optional_milliseconds
from gateway.drivers.store.engine import Reads
from gateway.drivers.store.rows import PageRequest, first_id, made_of, members, where
from gateway.drivers.store.statements import Statement, none_of, placeholders
from gateway.drivers.store.stored_bytes import bytes_of

STATUSES = ("pending", "delivered", "dead")

DEAD_LETTER_BATCH = 500
"""Dead letters made in one transaction, which others wait for."""


class DeliveryRow(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook on its way. ``next_attempt_at`` and ``created_at`` in Unix milliseconds.

    ``tries`` counts those of the schedule that runs now; ``attempts`` logs the newest of all, each ``at`` (RFC 3339),
    ``status_code``, ``error``. A test of the endpoint has no payment, and version 0.
    """

    tenant: str
    id: str
    event_id: str
    payment_id: str | None
    type: str
    version: int
    body: str
    status: str = "pending"
    died_of: str | None = None
    next_attempt_at: int | None = None
    tries: int = 0
    attempts: list[dict[str, Any]] = []
    created_at: int


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a tenant's endpoint: failing without a success since, disabled at; Unix milliseconds."""

    failing_since: int | None
    disabled_at: int | None
    reason: str | None


class ListedDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown of a webhook: not its body. ``attempts`` as ``DeliveryRow`` has them, as they are stored."""

    tenant: str
    id: str
    type: str
    payment_id: str | None
    status: str
    next_attempt_at: int | None
    attempts: msgspec.Raw


class DeliveryFilter(PageRequest, frozen=True, kw_only=True):
    """Which webhooks a list shows, newest first."""

    status: str | None = None
    payment_id: str | None = None


class RedeliveryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which deliveries are to be sent again: made in this time, both ends included."""

    status: str
    created_after: datetime | None = None
    created_before: datetime | None = None
    died_of: str | None = None


def store_attempt(row: DeliveryRow, before: DeliveryRow | None = None) -> Statement:
    """A delivery as one try left it, unless it was restarted during the attempt: then the new schedule stays.

    ``before``: as it was read; None where it had no tries.
    """
    log, log_before = _log(row), "[]" if before is None else _log(before)
    return Statement(
        "UPDATE events SET status = ?, died_of = ?, next_attempt_at = ?, tries = ?, attempts = ?"
        " WHERE tenant = ? AND delivery_id = ? AND tries >= ?",
        (
            row.status,
            row.died_of,
            row.next_attempt_at,
            row.tries,
            log,
            row.tenant,
            row.id,
            row.tries - 1,
        ),
        grows=(row.tenant, bytes_of(log) - bytes_of(log_before)),
    )


def restart_schedule(tenant: str, delivery_ids: Sequence[str], at: datetime) -> Statement:
    """Begin a whole new schedule for deliveries, now; their earlier tries stay in the log."""
    return Statement(
        "UPDATE events SET status = 'pending', died_of = NULL, next_attempt_at = ?, tries = 0"  # noqa: S608  # question marks
        f" WHERE tenant = ? AND delivery_id IN ({placeholders(delivery_ids)})",
        (milliseconds(at), tenant, *delivery_ids),
    )


def hold_disabled(tenant: str, endpoint: str) -> Statement:
    """Ahead of ``mark_dead`` in its unit: an endpoint that is disabled is so until the unit is written."""
    return Statement(
        "UPDATE webhook_endpoints SET reason = reason WHERE tenant = ? AND url_sha256 = ? AND disabled_at IS NOT NULL",
        (tenant, endpoint),
    )


def mark_dead(tenant: str, endpoint: str, limit: int = DEAD_LETTER_BATCH) -> Statement:
    """Mark at most ``limit`` pending deliveries of a disabled endpoint dead; of another endpoint none.

    One that another process delivers meanwhile stays delivered.
    """
    return Statement(
        "UPDATE events SET status = 'dead', died_of = 'disabled', next_attempt_at = NULL"  # noqa: S608  # our own words
        " WHERE tenant = ? AND delivery_id IN (SELECT delivery_id FROM events WHERE tenant = ? AND status = 'pending'"
        " ORDER BY next_attempt_at LIMIT ?) AND status = 'pending'"
        f" AND EXISTS ({DISABLED})",
        (tenant, tenant, limit, tenant, endpoint),
    )


def record_endpoint_failure(tenant: str, endpoint: str, at: datetime) -> Statement:
    """The endpoint failed; since when, is the first failure's time. Another URL begins with a clean row."""
    return Statement(
        "INSERT INTO webhook_endpoints (tenant, url_sha256, failing_since) VALUES (?, ?, ?)"
        " ON CONFLICT (tenant) DO UPDATE SET url_sha256 = excluded.url_sha256,"
        " failing_since = excluded.failing_since,"
        " disabled_at = CASE WHEN webhook_endpoints.url_sha256 = excluded.url_sha256"
        " THEN webhook_endpoints.disabled_at ELSE NULL END,"
        " reason = CASE WHEN webhook_endpoints.url_sha256 = excluded.url_sha256"
        " THEN webhook_endpoints.reason ELSE NULL END"
        " WHERE webhook_endpoints.url_sha256 <> excluded.url_sha256 OR webhook_endpoints.failing_since IS NULL",
        (tenant, endpoint, milliseconds(at)),
    )


def record_endpoint_success(tenant: str, endpoint: str) -> Statement:
    """The endpoint took a webhook: what failed before counts no more."""
    return Statement(
        "UPDATE webhook_endpoints SET failing_since = NULL"
        " WHERE tenant = ? AND url_sha256 = ? AND failing_since IS NOT NULL",
        (tenant, endpoint),
    )


def disable_endpoint(tenant: str, endpoint: str, at: datetime, *, reason: str, failing_before: datetime) -> Statement:
    """Disable an endpoint that has only failed since ``failing_before`` or earlier."""
    return Statement(
        "UPDATE webhook_endpoints SET disabled_at = ?, reason = ?"
        " WHERE tenant = ? AND url_sha256 = ? AND disabled_at IS NULL AND failing_since <= ?",
        (milliseconds(at), reason, tenant, endpoint, milliseconds(failing_before)),
    )


def enable_endpoint(tenant: str, endpoint: str) -> Statement:
    """Enable an endpoint and clear its failures."""
    return Statement(
        "UPDATE webhook_endpoints SET failing_since = NULL, disabled_at = NULL, reason = NULL"
        " WHERE tenant = ? AND url_sha256 = ?",
        (tenant, endpoint),
    )


def delete_webhooks(tenant: str, status: str, delivery_ids: Sequence[str]) -> list[Statement]:
    """Delete webhooks of a status; one that is sent again meanwhile stays, and so do the events of payments."""
    theirs = f" WHERE tenant = ? AND status = ? AND delivery_id IN ({placeholders(delivery_ids)})"
    params = (tenant, status, *delivery_ids)
    return [
        Statement(f"DELETE FROM events{theirs} AND payment_id IS NULL", params),  # noqa: S608  # question marks
        Statement(f"UPDATE events SET {_NO_WEBHOOK}{theirs}", params),  # noqa: S608  # question marks
    ]


class Deliveries(Reads):
    """The reads."""

    async def next_to_send(
        self, tenant: str, endpoint: str, limit: int, *, under_way: Collection[str] = ()
    ) -> list[DeliveryRow]:
        """The next webhooks of a tenant that may go out, due or not yet, the longest due first; none ``under_way``.

        Never one that was not tried yet while an earlier version of its payment was not either: first tries keep the
        order of versions. None while the endpoint is disabled.
        """
        rows = await self._engine.rows(
            f"{DELIVERY} d WHERE {IN_ORDER}"  # our own words
            f"{none_of('d.delivery_id', under_way)} AND NOT EXISTS ({DISABLED})"
            " ORDER BY d.next_attempt_at LIMIT ?",
            (tenant, *under_way, tenant, endpoint, limit),
        )
        return [delivery(row) for row in rows]

    async def endpoint(self, tenant: str, endpoint: str) -> Endpoint | None:
        """What is known of this endpoint; None when nothing is held against it."""
        rows = await self._engine.rows(
            "SELECT failing_since, disabled_at, reason FROM webhook_endpoints WHERE tenant = ? AND url_sha256 = ?",
            (tenant, endpoint),
        )
        return made_of(Endpoint, rows[0]) if rows else None

    async def has_pending(self, tenant: str) -> bool:
        """Whether a tenant has webhooks on their way."""
        sql = "SELECT 1 FROM events WHERE tenant = ? AND status = 'pending' LIMIT 1"
        return bool(await self._engine.rows(sql, (tenant,)))

    async def of_payment(self, tenant: str, payment_id: str) -> list[DeliveryRow]:
        """Webhooks of a payment, in the order of its versions."""
        rows = await self._engine.rows(
            f"{DELIVERY} WHERE tenant = ? AND payment_id = ? AND delivery_id IS NOT NULL ORDER BY version",
            (tenant, payment_id),
        )
        return [delivery(row) for row in rows]

    async def newest(self, tenant: str, wanted: DeliveryFilter) -> list[ListedDelivery]:
        """Webhooks of one tenant, newest first (ids are time-ordered). Raises ``KeyError`` for no status."""
        conditions, values = where(("tenant = ?", tenant), ("delivery_id < ?", wanted.cursor))
        conditions += " AND delivery_id IS NOT NULL"
        if wanted.status is not None:
            conditions += f" AND {_WITH_STATUS[wanted.status]}"
        if wanted.payment_id is not None:
            conditions, values = f"{conditions} AND {_OF_PAYMENT}", (*values, tenant, wanted.payment_id)
        rows = await self._engine.rows(
            f"{_LISTED} WHERE {conditions} ORDER BY delivery_id DESC LIMIT ?", (*values, wanted.limit)
        )
        return [_listed(row) for row in rows]

    async def find(self, tenant: str, delivery_id: str) -> DeliveryRow | None:
        """One webhook."""
        rows = await self._engine.rows(f"{DELIVERY} WHERE tenant = ? AND delivery_id = ?", (tenant, delivery_id))
        return delivery(rows[0]) if rows else None

    async def ids_of(self, tenant: str, wanted: RedeliveryFilter, *, after: str, limit: int) -> list[str]:
        """Ids of a tenant's deliveries above ``after``, oldest first. Raises ``KeyError`` for no status."""
        conditions, values = _to_redeliver(tenant, wanted)
        rows = await self._engine.rows(
            f"SELECT delivery_id FROM events WHERE {conditions} AND delivery_id > ? ORDER BY delivery_id LIMIT ?",  # noqa: S608  # our own words
            (*values, after, limit),
        )
        return [identifier for (identifier,) in rows]

    async def count(self, tenant: str, wanted: RedeliveryFilter) -> int:
        """How many deliveries of a tenant these are. Raises ``KeyError`` for no status."""
        conditions, values = _to_redeliver(tenant, wanted)
        rows = await self._engine.rows(f"SELECT COUNT(*) FROM events WHERE {conditions}", values)  # noqa: S608  # as above
        return int(rows[0][0])

    async def page_by_age(self, tenant: str, *, after: str, before: datetime, limit: int) -> list[tuple[str, str]]:
        """(id, status) of a tenant's deliveries above ``after`` that were made before a date, oldest first."""
        rows = await self._engine.rows(
            "SELECT delivery_id, status FROM events WHERE tenant = ? AND delivery_id > ? AND delivery_id < ?"
            " ORDER BY delivery_id LIMIT ?",
            (tenant, after, first_id("dlv", before), limit),
        )
        return [(identifier, status) for identifier, status in rows]


_NAMED = {"id": "delivery_id", "event_id": "id"}
"""Columns that are named otherwise than the members of a delivery."""
DELIVERY, _LISTED = (
    f"SELECT {', '.join(_NAMED.get(member, member) for member in kind.__struct_fields__)} FROM events"  # noqa: S608  # our own members
    for kind in (DeliveryRow, ListedDelivery)
)
_NO_WEBHOOK = ", ".join(
    f"{column} = NULL" for column in ("delivery_id", "status", "tries", "attempts", "created_at", "body")
)
IN_ORDER = (
    "d.tenant = ? AND d.status = 'pending' AND (d.attempts <> '[]' OR NOT EXISTS (SELECT 1 FROM events e"
    " WHERE e.tenant = d.tenant AND e.payment_id = d.payment_id AND e.version < d.version"
    " AND COALESCE(e.status, '') = 'pending' AND e.attempts = '[]'))"
)
"""A webhook of a tenant on its way whose first try, if it had none, keeps the order of versions.

The payment's others are asked for so that no index of all pending webhooks will do: there may suddenly be many.
"""
DISABLED = "SELECT 1 FROM webhook_endpoints w WHERE w.tenant = ? AND w.url_sha256 = ? AND w.disabled_at IS NOT NULL"
# Not by the column: a payment's few webhooks are to be looked up, not to be searched for among all of the tenant's.
_OF_PAYMENT = "delivery_id IN (SELECT delivery_id FROM events WHERE tenant = ? AND payment_id = ?)"
# Written out, not a parameter: only so does a database see that an index of these rows will do.
_WITH_STATUS = {status: f"status = '{status}'" for status in STATUSES}
_attempts = msgspec.json.Decoder(list[dict[str, Any]])


def _to_redeliver(tenant: str, wanted: RedeliveryFilter) -> tuple[str, tuple[Any, ...]]:
    conditions, values = where(
        ("tenant = ?", tenant),
        ("created_at >= ?", optional_milliseconds(wanted.created_after)),
        ("created_at <= ?", optional_milliseconds(wanted.created_before)),
        ("died_of = ?", wanted.died_of),
    )
    return f"{conditions} AND {_WITH_STATUS[wanted.status]}", values


def _log(row: DeliveryRow) -> str:
    return msgspec.json.encode(row.attempts).decode()


def _listed(row: tuple[Any, ...]) -> ListedDelivery:
    named = members(ListedDelivery, row)
    return ListedDelivery(**{**named, "attempts": msgspec.Raw(named["attempts"])})


def delivery(row: tuple[Any, ...]) -> DeliveryRow:
    """The row of a query that begins with ``DELIVERY``."""
    named = members(DeliveryRow, row)
    return DeliveryRow(**{**named, "attempts": _attempts.decode(named["attempts"])})
