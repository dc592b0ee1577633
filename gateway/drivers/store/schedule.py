"""Writes to the schedule of checks (table ``agenda``), and to the hints that bring a check forward.

A payment has at most one row; every change of the payment writes the row in its own transaction.
"""

from __future__ import annotations

from datetime import datetime

from gateway.core.payment import Payment
from gateway.drivers.clock import milliseconds
from gateway.drivers.store.statements import Statement


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


def schedule_check(payment: Payment, due_at: datetime | None) -> Statement:
    """Schedule the next check of a payment that has just changed; None: nothing more is due by the clock.

    An earlier time stays as long as a hint is due: the process that follows the hint up may die before it is done.
    """
    if due_at is None:
        return Statement(_DELETE + _UNLESS_HINTED, (payment.tenant, payment.id))
    return Statement(_SET, (payment.tenant, payment.id, milliseconds(due_at)))


def postpone_check(payment: Payment, due_at: datetime | None) -> Statement:
    """Postpone a check that was kept early for a hint, unless the payment moved or another hint came."""
    guard = _UNLESS_HINTED + _UNLESS_MOVED
    found = (payment.tenant, payment.id, payment.revision)
    if due_at is None:
        return Statement(_DELETE + guard, found)
    return Statement(_PUT_OFF + guard, (milliseconds(due_at), *found))


_HINTED = (
    "EXISTS (SELECT 1 FROM hints h WHERE h.tenant = agenda.tenant AND h.payment_id = agenda.payment_id AND h.due = 1)"
)
_UNLESS_HINTED = f" AND NOT {_HINTED}"
_UNLESS_MOVED = (
    " AND EXISTS (SELECT 1 FROM payments p WHERE p.tenant = agenda.tenant AND p.id = agenda.payment_id"
    " AND p.revision = ? AND p.open_operation IS NULL)"
)
_DELETE = "DELETE FROM agenda WHERE tenant = ? AND payment_id = ?"
_PUT_OFF = "UPDATE agenda SET due_at = ? WHERE tenant = ? AND payment_id = ?"
_INSERT = "INSERT INTO agenda (tenant, payment_id, due_at, tries) VALUES (?, ?, ?, 0)"
_SET = (
    f"{_INSERT} ON CONFLICT (tenant, payment_id) DO UPDATE SET tries = 0, due_at = CASE"
    f" WHEN agenda.due_at < excluded.due_at AND {_HINTED} THEN agenda.due_at ELSE excluded.due_at END"
)


def bring_check_forward(tenant: str, payment_id: str, due_at: datetime) -> Statement:
    """Bring a payment's next check forward; an earlier one stays."""
    return Statement(
        "INSERT INTO agenda (tenant, payment_id, due_at, tries) VALUES (?, ?, ?, 0)"
        " ON CONFLICT (tenant, payment_id) DO UPDATE SET due_at = excluded.due_at"
        " WHERE agenda.due_at > excluded.due_at",
        (tenant, payment_id, milliseconds(due_at)),
    )


def record_check(tenant: str, payment_id: str, *, was_due: int, due_at: datetime | None, tries: int) -> Statement:
    """Record a check that changed nothing and schedule the next, unless a change has scheduled another meanwhile."""
    if due_at is None:
        return Statement(
            "DELETE FROM agenda WHERE tenant = ? AND payment_id = ? AND due_at = ?", (tenant, payment_id, was_due)
        )
    return Statement(
        "UPDATE agenda SET due_at = ?, tries = ? WHERE tenant = ? AND payment_id = ? AND due_at = ?",
        (milliseconds(due_at), tries, tenant, payment_id, was_due),
    )
