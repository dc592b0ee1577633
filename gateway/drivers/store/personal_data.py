"""Where personal data lies, and the reads and writes that take it out of everything kept about one payment.

``COLUMNS`` names every column of every table; a test compares it with the schema, so that none is forgotten.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.core import documents
from gateway.core.payment import Payment
from gateway.drivers.store import statements
from gateway.drivers.store.engine import Reads
from gateway.drivers.store.statements import Statement
from gateway.drivers.store.stored_bytes import bytes_of


class Columns(NamedTuple):
    """A table's columns, as words: those that may hold personal data, and those that never do."""

    personal: str
    others: str


COLUMNS: dict[str, Columns] = {
    "payments": Columns(
        "doc purchase open_doc",
        "tenant id account provider deposit_method merchant_reference provider_reference state version revision"
        " open_operation replaced_by review created_at expired_at due_at tries open_status",
    ),
    "operations": Columns("doc answer", "tenant payment_id id kind status answer_status"),
    "idempotency_keys": Columns("fingerprint", "tenant idempotency_key operation_id payment_id created_at"),
    "events": Columns(
        "doc body",
        "tenant id payment_id type version delivery_id status died_of next_attempt_at tries attempts created_at",
    ),
    "inbox": Columns(
        "suffix query headers body remote detail event history",
        "tenant id account received_at method size verdict reason event_id payment_id tries next_attempt_at",
    ),
    "hints": Columns("provider_reference", "tenant payment_id received_at due"),
    "reference_holders": Columns("", "tenant account merchant_reference payment_id"),
    "webhook_endpoints": Columns("", "tenant url_sha256 failing_since disabled_at reason"),
    "heartbeat": Columns("", "id at"),
    "moments": Columns("", "name at"),
    "stored_bytes": Columns("", "tenant bytes"),
    "pending_erasures": Columns("", "tenant payment_id asked_at"),
    "refused_requests": Columns("", "tenant id request_id at route status code fields"),
    "audit_log": Columns(
        "",
        "sequence at key_id key_name approved_by approval_id act tenant payment_id subject reason details"
        " previous_hash hash secret_id mac",
    ),
    "audit_head": Columns("", "id sequence hash mac"),
    "approvals": Columns(
        "body",
        "id status method path target key_id key_name created_at expires_at decided_by decided_at code",
    ),
    "search_payments": Columns("", "place segment tenant payment_id state amount"),
    "search_terms": Columns("term", "segment place"),
    "search_segments": Columns("", "segment first_place last_place payments"),
    "search_progress": Columns("", "id made_with event_row event_id"),
}
"""A fingerprint is of a whole request, which somebody could guess; a hint may name anything that its caller wrote.
What waits for approval is forgotten with its row in the audit trail, or after a day."""


class OperationRow(NamedTuple):
    """An ended operation's document, and what its request is answered with."""

    id: str
    doc: str
    answer: str | None


class EventRow(NamedTuple):
    """An event's document, and its webhook's body if it has one."""

    version: int
    doc: str
    body: str | None


class CallbackRow(NamedTuple):
    """The parts of a stored callback that may be personal."""

    id: str
    suffix: str
    query: str
    headers: str
    body: bytes
    remote: str
    detail: str | None
    event: str | None
    history: str

    @property
    def text(self) -> str:
        """All that others wrote, and what was made of it."""
        body = self.body.decode("utf-8", "surrogateescape")
        return "\n".join([self.suffix, self.query, self.headers, self.detail or "", self.event or "", body])


class Records(NamedTuple):
    """What is kept about one payment beside its own row. ``fingerprints``: of requests, by idempotency key."""

    operations: list[OperationRow]
    events: list[EventRow]
    callbacks: list[CallbackRow]
    fingerprints: dict[str, str]


NO_CONTENTS = ("", "[]", b"", "")
"""Query, headers, body and remote address of a callback that are not kept."""


def write_payment(before: Payment, after: Payment) -> Statement:
    """Rewrite a payment without an open operation. A conflict if it has changed meanwhile."""
    update = statements.update_payment(before, after, open_before=None, open_after=None)
    sizes = [
        bytes_of(documents.encode_summary(one, revision=0), documents.encode_purchase(one)) for one in (before, after)
    ]
    return update._replace(grows=(before.tenant, sizes[1] - sizes[0]))


def write_operation(tenant: str, payment_id: str, before: OperationRow, after: OperationRow) -> Statement:
    """Rewrite an operation. A trigger counts its old answer as given back."""
    grows = bytes_of(after.doc, after.answer) - bytes_of(before.doc)
    return Statement(
        "UPDATE operations SET doc = ?, answer = ? WHERE tenant = ? AND payment_id = ? AND id = ?",
        (after.doc, after.answer, tenant, payment_id, after.id),
        grows=(tenant, grows),
    )


def write_event(tenant: str, payment_id: str, before: EventRow, after: EventRow) -> Statement:
    """Rewrite an event and its webhook's body; how its delivery stands may move meanwhile."""
    grows = bytes_of(after.doc, after.body) - bytes_of(before.doc, before.body)
    return Statement(
        "UPDATE events SET doc = ?, body = ? WHERE tenant = ? AND payment_id = ? AND version = ?",
        (after.doc, after.body, tenant, payment_id, after.version),
        grows=(tenant, grows),
    )


def write_callback(tenant: str, before: CallbackRow, after: CallbackRow) -> Statement:
    """Rewrite a stored callback. A conflict if it has got another verdict meanwhile."""
    _, *contents = after
    return Statement(
        "UPDATE inbox SET suffix = ?, query = ?, headers = ?, body = ?, remote = ?, detail = ?, event = ?, history = ?"
        " WHERE tenant = ? AND id = ? AND history = ?",
        (*contents, tenant, before.id, before.history),
        "callback",
        grows=(tenant, _size(after) - _size(before)),
    )


def write_fingerprint(tenant: str, idempotency_key: str, fingerprint: str) -> Statement:
    """Give an idempotency key another fingerprint of its request."""
    return Statement(
        "UPDATE idempotency_keys SET fingerprint = ? WHERE tenant = ? AND idempotency_key = ?",
        (fingerprint, tenant, idempotency_key),
    )


def delete_hints(tenant: str, payment_id: str) -> Statement:
    """Delete a payment's hints: they only say when to look."""
    return Statement("DELETE FROM hints WHERE tenant = ? AND payment_id = ?", (tenant, payment_id))


class PersonalData(Reads):
    """The reads."""

    async def about(self, tenant: str, payment_id: str) -> Records:
        """What is kept about one payment beside its own row."""
        operations, events, callbacks = [
            await self._engine.rows(f"{select} WHERE tenant = ? AND payment_id = ?", (tenant, payment_id))
            for select in (_OPERATIONS, _EVENTS, _CALLBACKS)
        ]
        return Records(
            [OperationRow(*row) for row in operations],
            [EventRow(*row) for row in events],
            [CallbackRow(*row) for row in callbacks],
            dict(await self._engine.rows(_FINGERPRINTS, (tenant, payment_id))),
        )

    async def unlinked_callbacks(self, tenant: str) -> list[CallbackRow]:
        """Stored callbacks of a tenant that belong to no payment; there are never many."""
        rows = await self._engine.rows(f"{_CALLBACKS} WHERE tenant = ? AND payment_id IS NULL", (tenant,))
        return [CallbackRow(*row) for row in rows]

    async def search(self, tenant: str, like: str, *, after: str, limit: int) -> tuple[list[str], str | None]:
        """Look through the next ``limit`` payments of a tenant for a ``LIKE`` pattern in what was bought.

        Returns the ids of those that have it, and the id of the last one looked at; None at the end.
        """
        rows = await self._engine.rows(
            "SELECT id, purchase LIKE ? ESCAPE '\\' FROM payments WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?",
            (like, tenant, after, limit),
        )
        return [identifier for identifier, holds in rows if holds], rows[-1][0] if rows else None


_OPERATIONS = "SELECT id, doc, answer FROM operations"
_EVENTS = "SELECT version, doc, body FROM events"
_FINGERPRINTS = (
    "SELECT idempotency_key, fingerprint FROM idempotency_keys k WHERE (tenant, idempotency_key) IN"
    " (SELECT tenant, json_extract(doc, '$.idempotency_key') FROM operations WHERE tenant = ? AND payment_id = ?)"
)
_CALLBACKS = "SELECT id, suffix, query, headers, body, remote, detail, event, history FROM inbox"


def _size(row: CallbackRow) -> int:
    return bytes_of(row.query, row.headers, row.body, row.detail, row.event, row.history)
