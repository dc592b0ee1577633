"""Every write, as data: SQL, its parameters, and what it means when it does not touch exactly one row.

A unit of work is a list of these; an engine runs it whole or not at all. An expectation that does not hold is a
``Conflict`` named by ``otherwise``: the flow reads again and decides again. No engine's error texts are parsed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from gateway.core import documents
from gateway.core.errors import Conflict
from gateway.core.ids import delivery_id
from gateway.core.payment import Operation, Payment, PaymentEvent, Status
from gateway.drivers.clock import milliseconds, optional_milliseconds
from gateway.drivers.store.stored_bytes import bytes_of, size_of_row


class Statement(NamedTuple):
    """One write. ``otherwise`` names the conflict when not exactly one row was touched; None: any number is fine.

    ``grows``: where it takes room, the tenant and by how many bytes; counted when a row was touched.
    """

    sql: str
    params: tuple[Any, ...]
    otherwise: str | None = None
    grows: tuple[str, int] | None = None


Unit = Sequence[Statement]

NO_TENANT = ""
"""Who a unit belongs to that holds only the gateway's own rows.

They are the audit trail, approvals, the search index, operators' webhooks, and what is counted or deleted over all
tenants. Those that record a change of a tenant's are written in its unit: the act's audit row, operators' webhooks.
No unit holds rows of two tenants.
"""


def placeholders(values: Collection[str]) -> str:
    """A question mark for each value; of none what equals nothing."""
    return ", ".join("?" for _ in values) or "NULL"


def none_of(column: str, values: Collection[str]) -> str:
    """A further condition that leaves rows with these values out, if any."""
    return f" AND {column} NOT IN ({placeholders(values)})" if values else ""


def _review(payment: Payment) -> str | None:
    return None if payment.review is None else payment.review.reason


STORAGE_BUDGET = "storage_budget"
"""The conflict of a new payment whose tenant occupies its whole budget."""

_ENDLESS = 2**63 - 1


_INSERT = (
    "INSERT INTO payments (tenant, id, account, provider, deposit_method, merchant_reference, provider_reference,"
    " state, version, revision, replaced_by, review, created_at, expired_at, doc, purchase, due_at,"
    " open_operation, open_status, open_doc)"
    " SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, CAST(? AS BIGINT), ?, ?, ?"
    " WHERE NOT EXISTS (SELECT 1 FROM stored_bytes WHERE tenant = ? AND bytes >= ?)"
)


def insert_payment(
    payment: Payment, operation: Operation, *, due_at: datetime | None = None, budget: int | None = None
) -> Statement:
    """A new payment, in version 1, with its create already open and its first check at ``due_at``.

    Only while its tenant occupies less than ``budget`` bytes; None: however much.
    """
    summary, purchase = documents.encode_summary(payment, revision=payment.revision), documents.encode_purchase(payment)
    document = documents.encode(operation)
    return Statement(
        _INSERT,
        (
            payment.tenant,
            payment.id,
            payment.account,
            payment.provider,
            payment.deposit_method,
            payment.merchant_reference,
            payment.provider_reference,
            str(payment.state),
            payment.version,
            payment.revision,
            payment.replaced_by,
            _review(payment),
            milliseconds(payment.created_at),
            optional_milliseconds(payment.expired_at),
            summary,
            purchase,
            optional_milliseconds(due_at),
            operation.id,
            str(operation.status),
            document,
            payment.tenant,
            _ENDLESS if budget is None else min(budget, _ENDLESS),
        ),
        STORAGE_BUDGET,
        grows=(payment.tenant, size_of_row("payments", summary, purchase) + size_of_row("operations", document)),
    )


HINTED = "EXISTS (SELECT 1 FROM hints h WHERE h.tenant = payments.tenant AND h.payment_id = payments.id AND h.due = 1)"
"""A payment that has a hint to be followed up: the process that does it may die, so its check stays early till then."""

_UPDATE = (
    "UPDATE payments SET state = ?, version = ?, revision = ?, doc = ?, purchase = COALESCE(?, purchase),"
    " open_operation = ?, open_status = ?, open_doc = ?"
)
# A column that is set, to whatever value, costs a visit to each index it is in: these seldom change.
_SELDOM = ", account = ?, provider = ?, provider_reference = ?, replaced_by = ?, review = ?, expired_at = ?"
_CHECK = f", tries = 0, due_at = CASE WHEN due_at < COALESCE(?, {_ENDLESS}) AND {HINTED} THEN due_at ELSE ? END"
_UNMOVED = " WHERE tenant = ? AND id = ? AND revision = ? AND COALESCE(open_operation, '') = ?"
_UPDATES = {
    (seldom, check): _UPDATE + (_SELDOM if seldom else "") + (_CHECK if check else "") + _UNMOVED
    for seldom in (False, True)
    for check in (False, True)
}


_seldom_of = attrgetter("account", "provider", "provider_reference", "replaced_by", "review", "expired_at")


def _seldom(payment: Payment) -> tuple[str | int | None, ...]:
    return (
        payment.account,
        payment.provider,
        payment.provider_reference,
        payment.replaced_by,
        _review(payment),
        optional_milliseconds(payment.expired_at),
    )


def update_payment(
    before: Payment,
    after: Payment,
    *,
    open_before: Operation | None,
    open_after: Operation | None,
    due_at: datetime | UnsetType | None = UNSET,
) -> Statement:
    """Write a payment with its open operation, only if nothing has moved it or opened or resolved one since the read.

    ``due_at``: its next check, None when nothing more is due by the clock; without it the check stays as it was.
    Raises ``Conflict`` for an operation that would go back to ``sending``.
    """
    revision = before.revision + 1
    purchase, growth = _new_purchase(before, after)
    seldom = _seldom(after) if _seldom_of(after) != _seldom_of(before) else ()
    check: tuple[int | None, ...] = () if due_at is UNSET else (optional_milliseconds(due_at),) * 2
    return Statement(
        _UPDATES[bool(seldom), bool(check)],
        (
            str(after.state),
            after.version,
            revision,
            documents.encode_summary(after, revision=revision),
            purchase,
            *_opened(open_before, open_after),
            *seldom,
            *check,
            before.tenant,
            before.id,
            before.revision,
            "" if open_before is None else open_before.id,
        ),
        "version",
        grows=(before.tenant, growth) if growth else None,
    )


def _new_purchase(before: Payment, after: Payment) -> tuple[str | None, int]:
    """The purchase where it changed, and by how many bytes it grew."""
    if documents.purchase_of(before) == documents.purchase_of(after):
        return None, 0
    purchase = documents.encode_purchase(after)
    return purchase, bytes_of(purchase) - bytes_of(documents.encode_purchase(before))


def _opened(before: Operation | None, after: Operation | None) -> tuple[str | None, str | None, str | None]:
    """What a payment's row says of its open operation."""
    if after is None:
        return None, None, None
    is_same = before is not None and before.id == after.id
    if before is not None and is_same and after.status is Status.SENDING and before.status is not Status.SENDING:
        raise Conflict("operation")
    return after.id, str(after.status), documents.encode(after)


_OPEN = (
    "UPDATE payments SET open_operation = ?, open_status = ?, open_doc = ?,"
    " due_at = CASE WHEN due_at < ? THEN due_at ELSE ? END"
    " WHERE tenant = ? AND id = ? AND revision = ? AND open_operation IS NULL"
)


def open_operation(payment: Payment, operation: Operation, *, due_at: datetime) -> Statement:
    """The intent, before the first byte leaves: only on a payment that is still as it was read and has none open.

    The payment is checked at ``due_at``, or before where that was said already.
    """
    document, due = documents.encode(operation), milliseconds(due_at)
    return Statement(
        _OPEN,
        (operation.id, str(operation.status), document, due, due, payment.tenant, payment.id, payment.revision),
        "version",
        grows=(payment.tenant, size_of_row("operations", document)),
    )


def insert_ended_operation(operation: Operation, answer: tuple[int, bytes] | None = None) -> Statement:
    """An operation that has its outcome, for good, and the status and body its request is answered with from now on.

    It was counted when it was opened. Its order is not kept: where it counts, the payment has it.
    """
    kept = operation if operation.order is None else replace(operation, order=None)
    document = documents.encode(kept)
    grows = 0 if kept is operation else bytes_of(document) - bytes_of(documents.encode(operation))
    status, body = answer or (None, b"")
    return Statement(
        "INSERT INTO operations (tenant, payment_id, id, kind, status, doc, answer_status, answer)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            operation.tenant,
            operation.payment_id,
            operation.id,
            str(operation.kind),
            str(operation.status),
            document,
            status,
            body.decode() if answer else None,
        ),
        "operation",
        grows=(operation.tenant, grows + len(body)),
    )


def claim_idempotency_key(operation: Operation, fingerprint: str) -> Statement:
    """Claim a key for an operation, in the transaction that inserts the operation."""
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
        grows=(operation.tenant, size_of_row("idempotency_keys")),
    )


def move_idempotency_key(operation: Operation) -> Statement:
    """Point a key at the operation that replaces one that was not sent."""
    return Statement(
        "UPDATE idempotency_keys SET operation_id = ? WHERE tenant = ? AND idempotency_key = ?",
        (operation.id, operation.tenant, operation.idempotency_key),
        "idempotency_key",
    )


def delete_idempotency_keys(tenant: str, idempotency_keys: Sequence[str]) -> tuple[Statement, Statement]:
    """Delete keys and their answers; one whose operation is open stays."""
    ended = f"tenant = ? AND idempotency_key IN ({placeholders(idempotency_keys)}) AND NOT {KEY_IS_OPEN}"
    rows = (tenant, *idempotency_keys)
    return Statement(
        "UPDATE operations SET answer_status = NULL, answer = NULL WHERE (tenant, payment_id, id) IN"  # noqa: S608  # question marks
        f" (SELECT tenant, payment_id, operation_id FROM idempotency_keys WHERE {ended})",
        rows,
    ), Statement(f"DELETE FROM idempotency_keys WHERE {ended}", rows)  # noqa: S608  # question marks


KEY_IS_OPEN = (
    "EXISTS (SELECT 1 FROM payments p WHERE p.tenant = idempotency_keys.tenant AND p.id = idempotency_keys.payment_id"
    " AND p.open_operation = idempotency_keys.operation_id)"
)
"""A key whose operation has no outcome yet, and therefore no answer."""


OWNER_COUNTS_NO_MORE = (
    "EXISTS (SELECT 1 FROM payments p WHERE p.tenant = reference_holders.tenant"
    " AND p.id = reference_holders.payment_id AND (p.account <> reference_holders.account"
    " OR p.state IN ('failed', 'canceled') OR p.replaced_by IS NOT NULL"
    " OR (p.state = 'expired' AND (p.open_operation IS NULL OR COALESCE(p.expired_at, 0) < ?))))"
)
"""Whether another payment may take a reference. That must be seen: a database that runs units side by side may not show
the owner yet."""

_CLAIM_REFERENCE = (
    "INSERT INTO reference_holders (tenant, account, merchant_reference, payment_id) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (tenant, account, merchant_reference) DO UPDATE SET payment_id = excluded.payment_id WHERE "
)


def claim_reference(payment: Payment, *, grace_began_before: int) -> Statement:
    """Make a new payment the owner of its merchant reference, unless a payment that still counts owns it.

    ``grace_began_before``: Unix milliseconds; a payment expired before that is past its grace.
    """
    return Statement(
        _CLAIM_REFERENCE + OWNER_COUNTS_NO_MORE,
        (payment.tenant, payment.account, payment.merchant_reference, payment.id, grace_began_before),
        "merchant_reference",
    )


def reclaim_reference(payment: Payment, *, grace_began_before: int) -> Statement:
    """As ``claim_reference``, for a payment that had ended and counts again: it may own its reference still."""
    claim = claim_reference(payment, grace_began_before=grace_began_before)
    return claim._replace(
        sql=f"{_CLAIM_REFERENCE}reference_holders.payment_id = excluded.payment_id OR {OWNER_COUNTS_NO_MORE}"
    )


class NewWebhook(NamedTuple):
    """A webhook to be: the bytes of all its attempts, when the first is due, when it was made; Unix milliseconds."""

    body: str
    due_at: int
    created_at: int


_EVENT = (
    "INSERT INTO events (tenant, id, payment_id, type, version, doc) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_EVENT_WITH_WEBHOOK = (
    "INSERT INTO events (tenant, id, payment_id, type, version, doc,"
    " delivery_id, status, next_attempt_at, tries, attempts, created_at, body)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', ?, 0, '[]', ?, ?) ON CONFLICT DO NOTHING"
)


def insert_event(event_id: str, payment: Payment, event: PaymentEvent, webhook: NewWebhook | None = None) -> Statement:
    """One version of a payment, with its webhook where its tenant listens; a version exists once."""
    columns = (payment.tenant, event_id, payment.id, event.type, event.version, documents.encode(event))
    return _insert_event(columns, webhook, "version")


def insert_test(event_id: str, tenant: str, kind: str, webhook: NewWebhook) -> Statement:
    """A webhook that reports no event."""
    return _insert_event((tenant, event_id, None, kind, 0, None), webhook, "delivery")


def insert_operator_event(event_id: str, owner: str, kind: str, webhook: NewWebhook) -> Statement:
    """A webhook to operators, once by its id."""
    return _insert_event((owner, event_id, None, kind, 0, None), webhook, None)


_EventColumns = tuple[str, str, str | None, str, int, str | None]


def _insert_event(columns: _EventColumns, webhook: NewWebhook | None, otherwise: str | None) -> Statement:
    tenant, event_id, *_, document = columns
    if webhook is None:
        return Statement(_EVENT, columns, otherwise, grows=(tenant, size_of_row("events", document)))
    of_webhook = (delivery_id(event_id), webhook.due_at, webhook.created_at, webhook.body)
    grows = (tenant, size_of_row("events", document, webhook.body, "[]"))
    return Statement(_EVENT_WITH_WEBHOOK, (*columns, *of_webhook), otherwise, grows=grows)


def move_reference(payment: Payment, *, holder: str) -> Statement:
    """Move the merchant reference of ``holder`` to a payment."""
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
