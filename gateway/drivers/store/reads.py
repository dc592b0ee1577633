"""``Store``: every read, and ``commit`` as the only way to write, over any engine."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec

from gateway.core import documents
from gateway.core.payment import Operation, OperationSummary, Payment, PaymentEvent, PaymentSummary
from gateway.drivers.clock import milliseconds, optional_milliseconds
from gateway.drivers.store.approvals import Approvals
from gateway.drivers.store.audit import Audit
from gateway.drivers.store.claimable import Claimable
from gateway.drivers.store.databases import Databases
from gateway.drivers.store.deliveries import Deliveries
from gateway.drivers.store.engine import Engine
from gateway.drivers.store.inbox import Inbox
from gateway.drivers.store.metadata import Metadata
from gateway.drivers.store.moves import Moves
from gateway.drivers.store.nodes import Nodes
from gateway.drivers.store.pending_erasures import PendingErasures
from gateway.drivers.store.personal_data import PersonalData
from gateway.drivers.store.queues import Queues
from gateway.drivers.store.refused_requests import RefusedRequests
from gateway.drivers.store.rows import PageRequest, first_id, made_of, where
from gateway.drivers.store.schedule import ScheduledCheck
from gateway.drivers.store.search_index import SearchIndex
from gateway.drivers.store.statements import KEY_IS_OPEN, NO_TENANT, heartbeat, placeholders
from gateway.drivers.store.tenant_map import TenantMap


class PaymentSnapshot(msgspec.Struct, frozen=True):
    """A payment and its open operation, read together."""

    payment: Payment
    open_operation: Operation | None

    @property
    def open_operation_id(self) -> str | None:
        """The open operation's id."""
        return None if self.open_operation is None else self.open_operation.id


class ListedPayment(msgspec.Struct, frozen=True):
    """What is shown of a payment and its open operation, read together."""

    payment: PaymentSummary
    open_operation: OperationSummary | None


class OpenOperation(OperationSummary, frozen=True, kw_only=True):
    """What operators are shown of an operation without an outcome."""

    tenant: str
    payment_id: str
    note: str | None = None
    created_at: datetime


class IdempotencyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An idempotency row; ``created_at`` in Unix milliseconds.

    ``answer`` and ``account`` are None while its operation is open.
    """

    fingerprint: str
    operation_id: str
    payment_id: str
    created_at: int
    answer_status: int | None
    answer: str | None
    account: str | None


class PaymentFilter(PageRequest, frozen=True, kw_only=True):
    """Which payments a list shows, newest first.

    ``since`` and ``until`` are included. ``provider_reference``: only with ``account``, as their index has them.
    """

    merchant_reference: str | None = None
    state: str | None = None
    account: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    since: datetime | None = None
    until: datetime | None = None
    provider_reference: str | None = None


class SilentFilter(PageRequest, frozen=True, kw_only=True):
    """Which payments without a word of their provider a list shows: made since a time and before another."""

    tenant: str | None = None
    since: datetime | None = None
    until: datetime | None = None


NO_LIMIT = 2**31

SEARCHED_PAYMENTS = 200
"""How many of a tenant's payments are searched for one that a sender may have mistaken for another."""

CLOCK_STEP = 60_000
"""Milliseconds by which the time in a payment's id may differ from ``created_at``, as when the clock is set."""

_OPEN = "SELECT open_doc FROM payments WHERE open_status = ?"
_open_operation = msgspec.json.Decoder(OpenOperation)
_operation_summary = msgspec.json.Decoder(OperationSummary)
_SNAPSHOT = "SELECT doc, purchase, open_doc FROM payments"
_LISTED = "SELECT doc, open_doc FROM payments"
_UNHEARD = (
    "NOT EXISTS (SELECT 1 FROM inbox i WHERE i.tenant = payments.tenant AND i.payment_id = payments.id"
    " AND i.event_id IS NOT NULL) AND json_extract(payments.doc, '$.stated') IS NULL"
)
"""Of which no proved callback came, and which no operator has looked up."""
_OF_PAYMENT = "SELECT doc FROM all_operations WHERE tenant = ? AND payment_id = ?"


class Store(Databases):
    """The gateway's memory. Reads see what was committed; writes are units of work."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.tenants = TenantMap()
        self.inbox = Inbox(engine)
        self.metadata = Metadata(engine)
        self.moves = Moves(engine)
        self.deliveries = Deliveries(engine)
        self.audit = Audit(engine)
        self.approvals = Approvals(engine)
        self.queues = Queues(engine)
        self.refused_requests = RefusedRequests(engine)
        self.search = SearchIndex(engine)
        self.personal_data = PersonalData(engine)
        self.pending_erasures = PendingErasures(engine)
        self.nodes = Nodes(engine)
        self.claimable = Claimable(engine)
        self.is_shared = engine.is_shared
        self.rows = engine.rows
        self.commit = engine.commit
        self.gate = engine.gate
        self.claim = engine.claim
        self.keeps_last_units = engine.keeps_last_units
        self.empty_log = engine.empty_log
        self.close = engine.close

    async def prove_writable(self, at: datetime, tenant: str | None = None) -> None:  # noqa: ARG002  # of several databases the tenant's
        """Write something small. Raises ``Unavailable``."""
        await self.commit(NO_TENANT, [heartbeat(at)])

    async def payment(self, tenant: str, payment_id: str) -> PaymentSnapshot | None:
        """One payment with its open operation."""
        row = await self._engine.row(f"{_SNAPSHOT} WHERE tenant = ? AND id = ?", (tenant, payment_id))
        return _snapshot(row) if row else None

    async def summary(self, tenant: str, payment_id: str) -> ListedPayment | None:
        """What is shown of one payment."""
        row = await self._engine.row(f"{_LISTED} WHERE tenant = ? AND id = ?", (tenant, payment_id))
        return _listed(row) if row else None

    async def payments(self, tenant: str, wanted: PaymentFilter) -> list[ListedPayment]:
        """Payments of one tenant, newest first (ids are time-ordered)."""
        conditions, values = where(
            ("tenant = ?", tenant),
            ("id < ?", wanted.cursor),
            ("merchant_reference = ?", wanted.merchant_reference),
            ("state = ?", wanted.state),
            ("account = ?", wanted.account),
            ("created_at > ?", optional_milliseconds(wanted.created_after)),
            ("created_at < ?", optional_milliseconds(wanted.created_before)),
            ("created_at >= ?", optional_milliseconds(wanted.since)),
            ("created_at <= ?", optional_milliseconds(wanted.until)),
            ("id >= ?", None if wanted.since is None else _id_at(milliseconds(wanted.since) - CLOCK_STEP)),
            ("id < ?", None if wanted.until is None else _id_at(milliseconds(wanted.until) + CLOCK_STEP)),
            ("provider_reference = ?", wanted.provider_reference),
        )
        sql = f"{_LISTED} WHERE {conditions} ORDER BY id DESC LIMIT ?"
        rows = await self._engine.rows(sql, (*values, wanted.limit))
        return [_listed(row) for row in rows]

    async def operation(self, tenant: str, payment_id: str, operation_id: str) -> Operation | None:
        """One operation of a payment."""
        row = await self._engine.row(f"{_OF_PAYMENT} AND id = ?", (tenant, payment_id, operation_id))
        return documents.operation(row[0]) if row else None

    async def operations(self, tenant: str, payment_id: str) -> list[Operation]:
        """All operations of a payment, oldest first."""
        rows = await self._engine.rows(f"{_OF_PAYMENT} ORDER BY id", (tenant, payment_id))
        return [documents.operation(doc) for (doc,) in rows]

    async def refunds(self, tenant: str, payment_id: str, wanted: PageRequest) -> list[Operation]:
        """Refunds of a payment, oldest first."""
        rows = await self._engine.rows(
            f"{_OF_PAYMENT} AND id > ? AND kind = 'refund' ORDER BY id LIMIT ?",
            (tenant, payment_id, wanted.cursor or "", wanted.limit),
        )
        return [documents.operation(doc) for (doc,) in rows]

    async def idempotency_record(self, tenant: str, idempotency_key: str) -> IdempotencyRecord | None:
        """The record of an idempotency key; None for one that was never used."""
        row = await self._engine.row(
            "SELECT k.fingerprint, k.operation_id, k.payment_id, k.created_at, o.answer_status, o.answer,"
            " json_extract(o.doc, '$.account') FROM idempotency_keys k LEFT JOIN operations o"
            " ON o.tenant = k.tenant AND o.payment_id = k.payment_id AND o.id = k.operation_id"
            " WHERE k.tenant = ? AND k.idempotency_key = ?",
            (tenant, idempotency_key),
        )
        return made_of(IdempotencyRecord, row) if row else None

    async def answered_keys(self, tenant: str, before: datetime, limit: int) -> list[str]:
        """Idempotency keys that were made before a date and have their answer, oldest first."""
        rows = await self._engine.rows(
            "SELECT idempotency_key FROM idempotency_keys WHERE tenant = ?"  # noqa: S608  # our own words
            f" AND created_at < ? AND NOT {KEY_IS_OPEN} ORDER BY created_at LIMIT ?",
            (tenant, milliseconds(before), limit),
        )
        return [key for (key,) in rows]

    async def reference_owner(self, tenant: str, account: str, merchant_reference: str) -> str | None:
        """The id of the payment that owns a merchant reference."""
        row = await self._engine.row(
            "SELECT payment_id FROM reference_holders WHERE tenant = ? AND account = ? AND merchant_reference = ?",
            (tenant, account, merchant_reference),
        )
        return str(row[0]) if row else None

    async def payment_by_provider_reference(self, tenant: str, account: str, provider_reference: str) -> str | None:
        """The payment whose provider reference this is."""
        row = await self._engine.row(
            "SELECT id FROM payments WHERE tenant = ? AND account = ? AND provider_reference = ? LIMIT 1",
            (tenant, account, provider_reference),
        )
        return str(row[0]) if row else None

    async def payment_ids(
        self,
        tenant: str,
        account: str,
        *,
        state: str | None,
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> list[str]:
        """Ids of an account's payments made since a time and before another, oldest first."""
        conditions, values = where(
            ("tenant = ?", tenant),
            ("account = ?", account),
            ("state = ?", state),
            ("id >= ?", since and first_id("pay", since)),
            ("id < ?", until and first_id("pay", until)),
        )
        rows = await self._engine.rows(
            f"SELECT id FROM payments WHERE {conditions} ORDER BY id LIMIT ?",  # noqa: S608  # our own words
            (*values, limit),
        )
        return [identifier for (identifier,) in rows]

    async def same_amount(self, payment: Payment, amount: str) -> list[str]:
        """Other payments of this one's account and customer that wait for this amount, newest first.

        Looked for among the tenant's newest payments only: the store keeps no index of customers.
        """
        rows = await self._engine.rows(
            "SELECT id FROM (SELECT id, account, state, doc, purchase FROM payments WHERE tenant = ?"
            " ORDER BY id DESC LIMIT ?) newest WHERE account = ? AND id <> ?"
            " AND state IN ('created', 'awaiting_customer', 'processing')"
            " AND json_extract(doc, '$.money.amount') = ? AND json_extract(purchase, '$.customer.id') = ?"
            " ORDER BY id DESC LIMIT 3",
            (payment.tenant, SEARCHED_PAYMENTS, payment.account, payment.id, amount, payment.customer.id),
        )
        return [str(row[0]) for row in rows]

    async def events(
        self, tenant: str, payment_id: str, wanted: PageRequest | None = None
    ) -> list[tuple[str, PaymentEvent]]:
        """The timeline, or a part of it: (event id, event) in version order."""
        wanted = wanted or PageRequest(limit=NO_LIMIT)
        beyond = "version > (SELECT version FROM events WHERE tenant = ? AND payment_id = ? AND id = ?)"
        conditions, values = (
            ("", ()) if wanted.cursor is None else (f" AND {beyond}", (tenant, payment_id, wanted.cursor))
        )
        rows = await self._engine.rows(
            f"SELECT id, doc FROM events WHERE tenant = ? AND payment_id = ?{conditions} ORDER BY version LIMIT ?",  # noqa: S608  # our own words
            (tenant, payment_id, *values, wanted.limit),
        )
        return [(identifier, documents.event(doc)) for identifier, doc in rows]

    async def stored_bytes(self) -> dict[str, int]:
        """How many bytes each tenant occupies."""
        return dict(await self._engine.rows("SELECT tenant, bytes FROM tenant_bytes", ()))

    async def due_checks(self, now: datetime, limit: int) -> list[ScheduledCheck]:
        """Payments whose check is due: of each tenant at most ``limit``, the longest due first."""
        rows = await self._engine.rows(
            "SELECT tenant, id, due_at, tries FROM (SELECT tenant, id, due_at, tries,"
            " ROW_NUMBER() OVER (PARTITION BY tenant ORDER BY due_at) AS place FROM payments WHERE due_at <= ?) due"
            " WHERE place <= ? ORDER BY due_at",
            (milliseconds(now), limit),
        )
        return [made_of(ScheduledCheck, row) for row in rows]

    async def next_check_due(self, now: datetime) -> int | None:
        """When the next check after now is due, in Unix milliseconds."""
        rows = await self._engine.rows("SELECT MIN(due_at) FROM payments WHERE due_at > ?", (milliseconds(now),))
        return None if rows[0][0] is None else int(rows[0][0])

    async def due_hints(self, tenant: str, payment_id: str) -> list[tuple[str, int]]:
        """Hints of a payment that were not followed up yet: (key they named, received_at), the newest first."""
        rows = await self._engine.rows(
            "SELECT provider_reference, received_at FROM hints WHERE tenant = ? AND payment_id = ? AND due = 1"
            " ORDER BY received_at DESC",
            (tenant, payment_id),
        )
        return [(key, received_at) for key, received_at in rows]

    async def accounts_in_use(self, grace_began_before: int) -> list[tuple[str, str, str, str | None]]:
        """(tenant, account, provider, deposit method) of the payments that may still move.

        ``grace_began_before``: Unix milliseconds; what expired before that moves no more.
        """
        # Every payment is looked at. With the tenant first SQLite would take them in the order of an index, at twice
        # the time.
        rows = await self._engine.rows(
            "SELECT DISTINCT account, tenant, provider, deposit_method FROM payments WHERE open_operation IS NOT NULL"
            " OR state IN ('created', 'awaiting_customer', 'processing', 'authorized')"
            " OR (state = 'expired' AND expired_at >= ?)",
            (grace_began_before,),
        )
        return [(tenant, account, provider, method) for account, tenant, provider, method in rows]

    async def reviews(self, tenants: Sequence[str], wanted: PageRequest) -> list[ListedPayment]:
        """Payments under review, newest first."""
        conditions, values = where(("id < ?", wanted.cursor))
        theirs = f"review IS NOT NULL AND tenant IN ({placeholders(tenants)}){conditions and ' AND '}{conditions}"
        rows = await self._engine.rows(
            f"{_LISTED} WHERE {theirs} ORDER BY id DESC LIMIT ?", (*tenants, *values, wanted.limit)
        )
        return [_listed(row) for row in rows]

    async def silent(self, providers: Collection[str], wanted: SilentFilter) -> list[ListedPayment]:
        """Payments of these providers that expired and of which no proved callback ever came, newest first."""
        conditions, values = where(
            ("id < ?", wanted.cursor),
            ("id >= ?", wanted.since and first_id("pay", wanted.since)),
            ("id < ?", wanted.until and first_id("pay", wanted.until)),
            ("tenant = ?", wanted.tenant),
        )
        theirs = f"provider IN ({placeholders(providers)}){conditions and ' AND '}{conditions} AND {_UNHEARD}"
        rows = await self._engine.rows(
            f"{_LISTED} WHERE expired_at IS NOT NULL AND {theirs} ORDER BY id DESC LIMIT ?",
            (*providers, *values, wanted.limit),
        )
        return [_listed(row) for row in rows]

    async def open_operations(self, status: str) -> list[Operation]:
        """Operations without an outcome, oldest first."""
        rows = await self._engine.rows(f"{_OPEN} ORDER BY open_operation", (status,))
        return [documents.operation(doc) for (doc,) in rows]

    async def list_open_operations(self, status: str, wanted: PageRequest) -> list[OpenOperation]:
        """What is shown of operations without an outcome, oldest first."""
        rows = await self._engine.rows(
            f"{_OPEN} AND open_operation > ? ORDER BY open_operation LIMIT ?",
            (status, wanted.cursor or "", wanted.limit),
        )
        return [_open_operation.decode(doc) for (doc,) in rows]

    async def open_operation(self, status: str, operation_id: str) -> Operation | None:
        """One operation without an outcome, of any tenant."""
        rows = await self._engine.rows(f"{_OPEN} AND open_operation = ?", (status, operation_id))
        return documents.operation(rows[0][0]) if rows else None


def _id_at(at: int) -> str:
    """What ids of payments begin with from a time on (Unix milliseconds)."""
    return f"pay_{max(0, at):012x}"


def _snapshot(row: tuple[Any, ...]) -> PaymentSnapshot:
    summary, purchase, operation = row
    payment = documents.payment(documents.joined(summary, purchase))
    return PaymentSnapshot(payment, None if operation is None else documents.operation(operation))


def _listed(row: tuple[Any, ...]) -> ListedPayment:
    summary, operation = row
    open_operation = None if operation is None else _operation_summary.decode(operation)
    return ListedPayment(documents.payment_summary(summary), open_operation)
