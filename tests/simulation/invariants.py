"""Invariants that hold at all times: checked after each commit and each answer, against what is on the disk then."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence

from gateway.core.wire import Callback, HttpResponse
from gateway.drivers.store.statements import Unit
from tests.simulation.api import Reply, Request
from tests.simulation.environment import Environment

TRANSITIONS = frozenset(
    {
        *(("sending", to) for to in ("succeeded", "declined", "not_sent", "unknown")),
        *(("unknown", to) for to in ("succeeded", "declined", "written_off")),
    }
)
"""Allowed changes of an operation's status."""

MONEY_STATES = frozenset({"authorized", "captured", "partially_refunded", "refunded"})
"""States that only an effect in the provider's ledger may cause."""

COUNTS = """
    SELECT (SELECT COALESCE(SUM(version), 0) FROM payments), COUNT(*), COUNT(delivery_id) FROM events
    WHERE payment_id IS NOT NULL"""
MISPLACED_OPEN = """
    SELECT id FROM operations WHERE status IN ('sending', 'unknown')
    UNION ALL SELECT id FROM payments
    WHERE open_operation IS DISTINCT FROM json_extract(open_doc, '$.id')
    OR open_status IS DISTINCT FROM json_extract(open_doc, '$.status')
    OR open_status NOT IN ('sending', 'unknown')
    UNION ALL SELECT open_operation FROM payments p
    WHERE EXISTS (SELECT 1 FROM operations WHERE id = p.open_operation)"""
UNSCHEDULED = "SELECT open_operation FROM payments WHERE open_status = 'sending' AND due_at IS NULL"
WITHOUT_KEY = """
    SELECT o.id FROM all_operations o LEFT JOIN idempotency_keys k
    ON k.tenant = o.tenant AND k.idempotency_key = json_extract(o.doc, '$.idempotency_key')
    WHERE o.status IN ('sending', 'unknown') AND json_extract(o.doc, '$.idempotency_key') IS NOT NULL
    AND (k.operation_id IS NULL OR k.operation_id <> o.id)"""
OVER_REFUNDED = """
    SELECT payment_id, refunds, captured FROM (
        SELECT o.payment_id,
        SUM(CAST(ROUND(CAST(json_extract(o.doc, '$.amount') AS NUMERIC) * 100) AS INTEGER)) AS refunds,
        CAST(ROUND(CAST(json_extract(p.doc, '$.captured') AS NUMERIC) * 100) AS INTEGER) AS captured
        FROM all_operations o JOIN payments p ON p.tenant = o.tenant AND p.id = o.payment_id
        WHERE o.kind = 'refund' AND o.status IN ('succeeded', 'sending', 'unknown')
        GROUP BY o.payment_id, p.doc) sums
    WHERE refunds > captured"""


class InvariantChecker:
    """``is_confirmed(payment_id, state)``: whether the provider's ledger confirms a state of ``MONEY_STATES``."""

    def __init__(self, env: Environment, is_confirmed: Callable[[str, str], bool]) -> None:
        self._env = env
        self._is_confirmed = is_confirmed
        self._operations: dict[str, str] = {}
        self._states: dict[str, str] = {}

    def after_commit(self, store: sqlite3.Connection, units: Sequence[Unit]) -> None:
        """Check the tables that a transaction has written."""
        written = {
            statement.sql.split(None, 3)[1 if statement.sql.startswith("UPDATE") else 2]
            for unit in units
            for statement in unit
        }
        if not written & {"payments", "operations", "events"}:
            return
        if "payments" in written or "events" in written:
            self._versions(store)
        if "payments" in written:
            self._operation_transitions(store)
            self._states_match_ledgers(store)

    def after_answer(self, store: sqlite3.Connection, request: Request, reply: Reply) -> None:
        """Check that a successful answer names an operation on the disk."""
        if reply.status in (200, 201, 202) and request.key:
            body = json.loads(reply.body)
            operation = body["operation"]["id"] if "operation" in body else body["id"].replace("ref_", "op_")
            if not store.execute("SELECT 1 FROM all_operations WHERE id = ?", (operation,)).fetchone():
                self._env.violated(f"promise 1: {request.key} answered {reply.status} with no operation on the disk")

    def after_callback(self, store: sqlite3.Connection, callback: Callback, answer: HttpResponse) -> None:
        """Check that a callback answered with success is on the disk."""
        if callback.method != "POST" or not callback.body or answer.status not in (200, 204):
            return
        sent = json.loads(callback.body)
        if "event" in sent:
            self._is_durable(store, sent["event"])
            return
        kept = store.execute(
            "SELECT body FROM inbox WHERE COALESCE(payment_id, ?1) = ?1 AND verdict <> 'refused'", (sent["order_no"],)
        ).fetchall()
        if not any(_same(json.loads(body), sent) for (body,) in kept if body):
            self._env.violated(f"promise 4: a callback of {sent['order_no']} was answered before it was durable")

    def _is_durable(self, store: sqlite3.Connection, event: str) -> None:
        """A proved event has a row, whatever it came to; that of a repetition has no event id."""
        kept = store.execute("SELECT event_id, body FROM inbox").fetchall()
        if not any(one == event or event.encode() in bytes(body) for one, body in kept):
            self._env.violated(f"promise 4: {event} was answered before it was durable")

    def _versions(self, store: sqlite3.Connection) -> None:
        versions, events, deliveries = store.execute(COUNTS).fetchone()
        if not versions == events == deliveries:
            self._env.violated(f"{versions:.0f} versions, {events} events, {deliveries} webhooks")

    def _operation_transitions(self, store: sqlite3.Connection) -> None:
        for operation, status in store.execute("SELECT id, status FROM all_operations").fetchall():
            before = self._operations.get(operation)
            if before is None and status != "sending":
                self._env.violated(f"{operation} began as {status}")
            elif before not in (None, status) and (before, status) not in TRANSITIONS:
                self._env.violated(f"{operation} went from {before} to {status}")
            self._operations[operation] = status
        for (operation,) in store.execute(MISPLACED_OPEN).fetchall():
            self._env.violated(f"{operation} is not open where its payment says, or not only there")
        for (operation,) in store.execute(UNSCHEDULED).fetchall():
            self._env.violated(f"{operation} is in sending and not on the schedule")
        for (operation,) in store.execute(WITHOUT_KEY).fetchall():
            self._env.violated(f"promise 3: {operation} was reserved without its idempotency key")
        for payment, refunds, captured in store.execute(OVER_REFUNDED).fetchall():
            self._env.violated(f"refunds of {payment} come to {refunds}, captured were {captured}")

    def _states_match_ledgers(self, store: sqlite3.Connection) -> None:
        for payment, state in store.execute("SELECT id, state FROM payments").fetchall():
            if self._states.get(payment) == state:
                continue
            self._states[payment] = state
            if state in MONEY_STATES and not self._is_confirmed(payment, state):
                self._env.violated(f"promise 6: {payment} became {state}, which its provider does not say")


def _same(kept: dict[str, object], sent: dict[str, object]) -> bool:
    return all(kept.get(name) == sent[name] for name in ("order_no", "status", "transaction_id", "amount", "currency"))
