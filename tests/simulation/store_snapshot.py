"""The whole content of the store at the end of a history."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from typing import Any

import msgspec

from gateway.core import documents
from gateway.core.payment import Operation, Payment, PaymentEvent


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``deliveries``."""

    event_id: str
    payment_id: str
    version: int
    status: str
    body: str
    attempts: list[Any]


class StoreSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Rows by id; events by payment as (id, event), in version order."""

    payments: dict[str, Payment]
    operations: dict[str, Operation]
    events: dict[str, list[tuple[str, PaymentEvent]]]
    deliveries: list[Delivery]
    keys: dict[tuple[str, str], str]
    inbox: list[tuple[str, str, bytes]]
    due_hints: set[str]

    def operations_of(self, payment_id: str) -> list[Operation]:
        """The operations of one payment, oldest first."""
        return [operation for operation in self.operations.values() if operation.payment_id == payment_id]


def read_snapshot(store: sqlite3.Connection) -> StoreSnapshot:
    """Read all tables."""
    events: dict[str, list[tuple[str, PaymentEvent]]] = defaultdict(list)
    timelines = "SELECT payment_id, id, doc FROM events WHERE payment_id IS NOT NULL ORDER BY payment_id, version"
    for payment, identifier, doc in _rows(store, timelines):
        events[payment].append((identifier, documents.event(doc)))
    return StoreSnapshot(
        payments={
            identifier: documents.payment(doc) for identifier, doc in _rows(store, "SELECT id, doc FROM payments")
        },
        operations={
            identifier: documents.operation(doc)
            for identifier, doc in _rows(store, "SELECT id, doc FROM all_operations ORDER BY id")
        },
        events=dict(events),
        deliveries=[
            Delivery(
                event_id=event,
                payment_id=payment,
                version=version,
                status=status,
                body=body,
                attempts=msgspec.json.decode(attempts),
            )
            for event, payment, version, status, body, attempts in _rows(
                store,
                "SELECT id, payment_id, version, status, body, attempts FROM events WHERE delivery_id IS NOT NULL"
                " ORDER BY delivery_id",
            )
        ],
        keys={
            (tenant, key): operation
            for tenant, key, operation in _rows(
                store, "SELECT tenant, idempotency_key, operation_id FROM idempotency_keys"
            )
        },
        inbox=[
            (payment or "", verdict, bytes(body))
            for payment, verdict, body in _rows(store, "SELECT payment_id, verdict, body FROM inbox")
        ],
        due_hints={payment for (payment,) in _rows(store, "SELECT payment_id FROM hints WHERE due = 1")},
    )


def _rows(store: sqlite3.Connection, sql: str) -> list[tuple[Any, ...]]:
    return store.execute(sql).fetchall()
