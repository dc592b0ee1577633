"""Every write, as data: SQL, its parameters, and what it means when it does not touch exactly one row.

A unit of work is a list of these; an engine runs it whole or not at all. An expectation that does not hold is a
``Conflict`` named by ``otherwise``: the flow reads again and decides again. No engine's error texts are parsed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from gateway.core import documents
from gateway.core.errors import Reason
from gateway.core.payment import Operation, Payment, PaymentEvent
from gateway.core.wire import Callback


class Statement(NamedTuple):
    """One write. ``otherwise`` names the conflict when not exactly one row was touched; None: any number is fine."""

    sql: str
    params: tuple[Any, ...]
    otherwise: str | None = None


Unit = Sequence[Statement]

EPOCH = datetime.fromtimestamp(0, UTC)


def milliseconds(at: datetime) -> int:
    """Unix milliseconds, as every time column holds them."""
    return (at - EPOCH) // timedelta(milliseconds=1)


def optional_milliseconds(at: datetime | None) -> int | None:
    """The same for a time that may be absent."""
    return None if at is None else milliseconds(at)


def _review(payment: Payment) -> str | None:
    return None if payment.review is None else payment.review.reason


def insert_payment(payment: Payment, open_operation: str) -> Statement:
    """A new payment, in version 1, with its create already open."""
    return Statement(
        "INSERT INTO payments (tenant, id, account, provider, deposit_method, merchant_reference, provider_reference,"
        " state, version, revision, open_operation, replaced_by, review, created_at, expired_at, doc)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            payment.tenant,
            payment.id,
            payment.account,
            payment.provider,
            payment.deposit_method,
            payment.merchant_reference,
            payment.provider_reference,
            payment.state,
            payment.version,
            payment.revision,
            open_operation,
            payment.replaced_by,
            _review(payment),
            milliseconds(payment.created_at),
            optional_milliseconds(payment.expired_at),
            documents.encode(payment),
        ),
        "payment",
    )


def update_payment(before: Payment, after: Payment, *, open_before: str | None, open_after: str | None) -> Statement:
    """A payment as it is now; only if nobody else moved it or opened or settled an operation since it was read."""
    written = replace(after, revision=before.revision + 1)
    return Statement(
        "UPDATE payments SET account = ?, provider = ?, provider_reference = ?, state = ?, version = ?,"
        " revision = ?, open_operation = ?, replaced_by = ?, review = ?, expired_at = ?, doc = ?"
        " WHERE tenant = ? AND id = ? AND revision = ? AND COALESCE(open_operation, '') = ?",
        (
            after.account,
            after.provider,
            after.provider_reference,
            after.state,
            after.version,
            written.revision,
            open_after,
            after.replaced_by,
            _review(after),
            optional_milliseconds(after.expired_at),
            documents.encode(written),
            before.tenant,
            before.id,
            before.revision,
            open_before or "",
        ),
        "version",
    )


def open_operation(payment: Payment, operation_id: str) -> Statement:
    """Open an operation on a payment that is still as it was read and has none open."""
    return Statement(
        "UPDATE payments SET open_operation = ?"
        " WHERE tenant = ? AND id = ? AND revision = ? AND open_operation IS NULL",
        (operation_id, payment.tenant, payment.id, payment.revision),
        "version",
    )


def insert_operation(operation: Operation) -> Statement:
    """The intent, before the first byte leaves. The unique index keeps a payment to one open operation."""
    return Statement(
        "INSERT INTO operations (tenant, id, payment_id, kind, status, created_at, updated_at, doc)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            operation.tenant,
            operation.id,
            operation.payment_id,
            operation.kind,
            operation.status,
            milliseconds(operation.created_at),
            milliseconds(operation.updated_at),
            documents.encode(operation),
        ),
        "operation",
    )


def update_operation(operation: Operation) -> Statement:
    """An operation's outcome, or what was learnt of it; only while it is open, and never back to ``sending``."""
    return Statement(
        "UPDATE operations SET status = ?, updated_at = ?, doc = ?"
        " WHERE tenant = ? AND id = ? AND status IN ('sending', 'unknown') AND ? <> 'sending'",
        (
            operation.status,
            milliseconds(operation.updated_at),
            documents.encode(operation),
            operation.tenant,
            operation.id,
            operation.status,
        ),
        "operation",
    )


def claim_key(operation: Operation, fingerprint: str) -> Statement:
    """The idempotency row: written with the operation it stands for, by nothing else."""
    return Statement(
        "INSERT INTO idempotency_keys (tenant, idempotency_key, fingerprint, operation_id, payment_id, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            operation.tenant,
            operation.idempotency_key,
            fingerprint,
            operation.id,
            operation.payment_id,
            milliseconds(operation.created_at),
        ),
        "idempotency_key",
    )


def pass_key_on(operation: Operation) -> Statement:
    """Point the idempotency row at the operation that follows one that was not sent."""
    return Statement(
        "UPDATE idempotency_keys SET operation_id = ? WHERE tenant = ? AND idempotency_key = ?",
        (operation.id, operation.tenant, operation.idempotency_key),
        "idempotency_key",
    )


def store_answer(operation: Operation, status: int, answer: bytes) -> Statement:
    """What a repeated request is answered with from now on."""
    return Statement(
        "UPDATE idempotency_keys SET answer_status = ?, answer = ?"
        " WHERE tenant = ? AND idempotency_key = ? AND operation_id = ? AND answer_status IS NULL",
        (status, answer.decode(), operation.tenant, operation.idempotency_key, operation.id),
    )


def take_reference(payment: Payment, *, grace_began_before: int) -> Statement:
    """Make this payment the holder of its reference, unless a payment that still counts holds it.

    ``grace_began_before``: Unix milliseconds; a payment expired before that is past its grace.
    """
    return Statement(
        "INSERT INTO reference_holders (tenant, account, merchant_reference, payment_id) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (tenant, account, merchant_reference) DO UPDATE SET payment_id = excluded.payment_id"
        " WHERE NOT EXISTS (SELECT 1 FROM payments p WHERE p.tenant = reference_holders.tenant"
        " AND p.id = reference_holders.payment_id AND p.account = reference_holders.account"
        " AND p.state NOT IN ('failed', 'canceled') AND p.replaced_by IS NULL"
        " AND (p.state <> 'expired' OR (p.open_operation IS NOT NULL AND p.expired_at >= ?)))",
        (payment.tenant, payment.account, payment.merchant_reference, payment.id, grace_began_before),
        "merchant_reference",
    )


def insert_event(event_id: str, payment: Payment, event: PaymentEvent) -> Statement:
    """One version of a payment; a version exists once."""
    return Statement(
        "INSERT INTO events (tenant, payment_id, version, id, doc) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (payment.tenant, payment.id, event.version, event_id, documents.encode(event)),
        "version",
    )


def insert_delivery(
    delivery_id: str, event_id: str, payment: Payment, event: PaymentEvent, body: bytes, *, due_at: datetime
) -> Statement:
    """One webhook to be delivered, in the same transaction as the change it tells."""
    return Statement(
        "INSERT INTO deliveries (tenant, id, event_id, payment_id, type, version, body, status, next_attempt_at,"
        " tries, attempts, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', ?, 0, '[]', ?)",
        (
            payment.tenant,
            delivery_id,
            event_id,
            payment.id,
            event.type,
            event.version,
            body.decode(),
            milliseconds(due_at),
            milliseconds(event.at),
        ),
        "delivery",
    )


def update_delivery(
    tenant: str, delivery_id: str, *, status: str, next_attempt_at: datetime | None, attempts: Sequence[Any]
) -> Statement:
    """The outcome of one try."""
    return Statement(
        "UPDATE deliveries SET status = ?, next_attempt_at = ?, tries = ?, attempts = ? WHERE tenant = ? AND id = ?",
        (
            status,
            optional_milliseconds(next_attempt_at),
            len(attempts),
            msgspec.json.encode(attempts).decode(),
            tenant,
            delivery_id,
        ),
        "delivery",
    )


def insert_callback(
    inbox_id: str,
    *,
    tenant: str,
    account: str,
    callback: Callback,
    verdict: str,
    reason: Reason | None = None,
    detail: str | None = None,
    event_id: str | None = None,
    payment_id: str | None = None,
) -> Statement:
    """A callback as it came and what was made of it. One event is applied once per account."""
    return Statement(
        "INSERT INTO inbox (tenant, id, account, received_at, method, suffix, query, headers, body, remote, verdict,"
        " reason, detail, event_id, payment_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (
            tenant,
            inbox_id,
            account,
            milliseconds(callback.received_at),
            callback.method,
            callback.suffix,
            callback.query,
            msgspec.json.encode(callback.headers).decode(),
            callback.body,
            callback.remote,
            verdict,
            reason,
            detail,
            event_id,
            payment_id,
        ),
        "event",
    )


def trim_refused(tenant: str, account: str, keep: int) -> Statement:
    """Keep only the newest refused callbacks of an account: whoever knows an endpoint must not fill the disk."""
    return Statement(
        "DELETE FROM inbox WHERE tenant = ? AND account = ? AND verdict = 'refused' AND id <= ("
        "SELECT id FROM inbox WHERE tenant = ? AND account = ? AND verdict = 'refused'"
        " ORDER BY id DESC LIMIT 1 OFFSET ?)",
        (tenant, account, tenant, account, keep),
    )


def store_hint(tenant: str, payment_id: str, provider_reference: str, at: datetime) -> Statement:
    """One row per payment and key; a later hit makes it due again."""
    return Statement(
        "INSERT INTO hints (tenant, payment_id, provider_reference, received_at, due) VALUES (?, ?, ?, ?, 1)"
        " ON CONFLICT (tenant, payment_id, provider_reference)"
        " DO UPDATE SET due = 1, received_at = excluded.received_at",
        (tenant, payment_id, provider_reference, milliseconds(at)),
        "hint",
    )


def close_hint(tenant: str, payment_id: str, provider_reference: str, received_at: int) -> Statement:
    """A hint that was followed up, unless it came again meanwhile."""
    return Statement(
        "UPDATE hints SET due = 0 WHERE tenant = ? AND payment_id = ? AND provider_reference = ? AND received_at = ?",
        (tenant, payment_id, provider_reference, received_at),
    )


def set_agenda(payment: Payment, due_at: datetime | None) -> Statement:
    """When a payment that has just changed must be looked at next; None: nothing will happen by itself."""
    if due_at is None:
        return Statement("DELETE FROM agenda WHERE tenant = ? AND payment_id = ?", (payment.tenant, payment.id))
    return Statement(
        "INSERT INTO agenda (tenant, payment_id, due_at, tries) VALUES (?, ?, ?, 0)"
        " ON CONFLICT (tenant, payment_id) DO UPDATE SET due_at = excluded.due_at, tries = 0",
        (payment.tenant, payment.id, milliseconds(due_at)),
    )


def hasten(tenant: str, payment_id: str, due_at: datetime) -> Statement:
    """Bring a payment's next look forward; a nearer one stays."""
    return Statement(
        "INSERT INTO agenda (tenant, payment_id, due_at, tries) VALUES (?, ?, ?, 0)"
        " ON CONFLICT (tenant, payment_id) DO UPDATE SET due_at = excluded.due_at"
        " WHERE agenda.due_at > excluded.due_at",
        (tenant, payment_id, milliseconds(due_at)),
    )


def looked(tenant: str, payment_id: str, *, was_due: int, due_at: datetime | None, tries: int) -> Statement:
    """A look that changed nothing: when the next one is due, unless a change has set another moment meanwhile."""
    if due_at is None:
        return Statement(
            "DELETE FROM agenda WHERE tenant = ? AND payment_id = ? AND due_at = ?", (tenant, payment_id, was_due)
        )
    return Statement(
        "UPDATE agenda SET due_at = ?, tries = ? WHERE tenant = ? AND payment_id = ? AND due_at = ?",
        (milliseconds(due_at), tries, tenant, payment_id, was_due),
    )


def pass_reference(payment: Payment, *, holder: str) -> Statement:
    """Give a payment the reference that ``holder`` holds now."""
    return Statement(
        "UPDATE reference_holders SET payment_id = ?"
        " WHERE tenant = ? AND account = ? AND merchant_reference = ? AND payment_id = ?",
        (payment.id, payment.tenant, payment.account, payment.merchant_reference, holder),
    )


def heartbeat(at: datetime) -> Statement:
    """A write that proves the store takes writes."""
    return Statement(
        "INSERT INTO heartbeat (id, at) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET at = excluded.at",
        (milliseconds(at),),
        "heartbeat",
    )
