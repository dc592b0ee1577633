"""Writes to the schedule of checks (``payments.due_at``), and to the hints that bring a check forward.

Every change of a payment sets its next check in the same statement (``statements.update_payment``).
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from gateway.core.payment import Payment
from gateway.drivers.clock import milliseconds, optional_milliseconds
from gateway.drivers.store.statements import HINTED, Statement


class ScheduledCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A payment whose check is due. ``due_at``: Unix milliseconds; ``tries``: checks in a row that changed nothing."""

    tenant: str
    payment_id: str
    due_at: int
    tries: int


def store_hint(tenant: str, payment_id: str, provider_reference: str, at: datetime) -> Statement:
    """One row per payment and key; a later hit makes it due again."""
    return Statement(
        "INSERT INTO hints (tenant, payment_id, provider_reference, received_at, due) VALUES (?, ?, ?, ?, 1)"
        " ON CONFLICT (tenant, payment_id, provider_reference)"
        " DO UPDATE SET due = 1, received_at = excluded.received_at",
        (tenant, payment_id, provider_reference, milliseconds(at)),
        "hint",
    )


def trim_hints(tenant: str, payment_id: str, keep: int) -> Statement:
    """Keep only the newest hints of a payment: a caller who has its link can name any number of keys."""
    rows = "tenant = ? AND payment_id = ?"
    newest = f"SELECT received_at FROM hints WHERE {rows} ORDER BY received_at DESC LIMIT 1 OFFSET ?"  # noqa: S608  # ours
    return Statement(
        f"DELETE FROM hints WHERE {rows} AND received_at <= ({newest})",  # noqa: S608  # our own words
        (tenant, payment_id, tenant, payment_id, keep),
    )


def close_hint(tenant: str, payment_id: str, provider_reference: str, received_at: int) -> Statement:
    """A hint that was followed up, unless it came again meanwhile."""
    return Statement(
        "UPDATE hints SET due = 0 WHERE tenant = ? AND payment_id = ? AND provider_reference = ? AND received_at = ?",
        (tenant, payment_id, provider_reference, received_at),
    )


def delete_processed_hints(before: datetime, limit: int) -> Statement:
    """Delete at most ``limit`` processed hints that came before a date; one that is due stays."""
    key = "tenant, payment_id, provider_reference"
    old = f"SELECT {key} FROM hints WHERE due = 0 AND received_at < ? ORDER BY received_at LIMIT ?"  # noqa: S608  # ours
    return Statement(
        f"DELETE FROM hints WHERE due = 0 AND ({key}) IN ({old})",  # noqa: S608  # our own words
        (milliseconds(before), limit),
    )


def bring_check_forward(tenant: str, payment_id: str, due_at: datetime) -> Statement:
    """Bring a payment's next check forward; an earlier one stays."""
    at = milliseconds(due_at)
    return Statement(_BRING_FORWARD, (at, tenant, payment_id, at))


def postpone_check(payment: Payment, due_at: datetime | None) -> Statement:
    """Postpone a check that was kept early for a hint, unless the payment moved or another hint came."""
    return Statement(_POSTPONE, (optional_milliseconds(due_at), payment.tenant, payment.id, payment.revision))


def record_check(tenant: str, payment_id: str, *, was_due: int, due_at: datetime | None, tries: int) -> Statement:
    """Record a check that changed nothing and schedule the next, unless a change has scheduled another meanwhile."""
    return Statement(
        _RECORD, (optional_milliseconds(due_at), 0 if due_at is None else tries, tenant, payment_id, was_due)
    )


_BRING_FORWARD = "UPDATE payments SET due_at = ? WHERE tenant = ? AND id = ? AND (due_at IS NULL OR due_at > ?)"
_POSTPONE = (
    "UPDATE payments SET due_at = ? WHERE tenant = ? AND id = ? AND revision = ? AND open_operation IS NULL"  # noqa: S608  # ours
    f" AND due_at IS NOT NULL AND NOT {HINTED}"
)
_RECORD = "UPDATE payments SET due_at = ?, tries = ? WHERE tenant = ? AND id = ? AND due_at = ?"
