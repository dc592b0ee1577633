"""The records at the end: the gateway's database, which is only read, and the providers' ledgers.

Plain rows and dicts, read without the gateway's own code, so that a bug there is not repeated here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

from tests.crash.testbed import Testbed

WAITING = "sending", "unknown"
"""Statuses of an operation without an outcome."""

READS = {
    "payments": "SELECT doc FROM payments ORDER BY tenant, id",
    "operations": "SELECT doc FROM all_operations ORDER BY tenant, id",
    "events": "SELECT payment_id, id, doc FROM events WHERE payment_id IS NOT NULL ORDER BY version",
    "deliveries": "SELECT tenant, payment_id, id AS event_id, type, version, status, body, tries, attempts FROM events"
    " WHERE delivery_id IS NOT NULL ORDER BY delivery_id",
    "callbacks": "SELECT payment_id, verdict, event_id FROM inbox",
    "hints": "SELECT payment_id FROM hints WHERE due = 1",
}
"""A document alone is the row, in others it is a member."""

NOT_WRITTEN: Mapping[str, Mapping[str, Any]] = {
    "payments": {
        "state": "created",
        "version": 1,
        "captured": "0",
        "refunded": "0",
        "provider_reference": None,
        "redirect_url": None,
        "replaced_by": None,
        "review": None,
    },
    "operations": {"idempotency_key": None},
}
"""What a member means that a document does not have, of those that are asked for."""


@dataclass(frozen=True)
class Records:
    """The rows of the gateway and the orders and requests of the providers."""

    payments: Mapping[str, Any]
    operations: Mapping[str, list[Any]] = field(repr=False)
    """By payment."""
    events: Mapping[str, list[Any]] = field(repr=False)
    """By payment, in order of their versions."""
    deliveries: list[Any] = field(repr=False)
    callbacks: Mapping[str, list[Any]] = field(repr=False)
    hints: list[Any] = field(repr=False)
    orders: Mapping[str, list[Any]] = field(repr=False)
    """By provider."""
    requests: Mapping[str, list[Any]] = field(repr=False)
    """By provider."""

    @property
    def acknowledged_orders(self) -> dict[str, Any]:
        """The PSP's orders whose callback was answered with success, by payment."""
        return {order["order_no"]: order for order in self.orders["psp"] if acknowledged(order)}

    def open_operations(self) -> list[Any]:
        """Return open operations that a lookup or an acknowledged callback should have resolved."""
        waiting = [one for several in self.operations.values() for one in several if one["status"] in WAITING]
        acknowledged = self.acknowledged_orders
        return [
            one
            for one in waiting
            if self.payments[one["payment_id"]]["provider"] == "creditkey" or one["payment_id"] in acknowledged
        ]

    def unresolved(self) -> list[str]:
        """Return a sentence for each thing that is still open."""
        return [
            *(f"{one['kind']} {one['id']} of {one['payment_id']} is {one['status']}" for one in self.open_operations()),
            *(
                f"a callback of {payment_id} is stored and not applied"
                for payment_id, several in self.callbacks.items()
                for one in several
                if one["verdict"] == "pending"
            ),
            *(f"a hint of {one['payment_id']} is due" for one in self.hints),
            *(f"webhook {one['event_id']} is pending" for one in self.deliveries if one["status"] == "pending"),
        ]


def acknowledged(order: Mapping[str, Any]) -> list[int]:
    """Return the statuses in an order's callbacks, of those answered with success."""
    return [
        one["status_sent"] for one in order["callbacks"] if one["http_status"] is not None and one["http_status"] < 300
    ]


async def read(testbed: Testbed) -> Records:
    """Read the database and both ledgers."""
    found = await asyncio.to_thread(_database, testbed)
    return Records(
        payments={one["id"]: one for one in found["payments"]},
        operations=_by_payment(found["operations"]),
        events=_by_payment([{**one, "doc": json.loads(one["doc"])} for one in found["events"]]),
        deliveries=[{**one, "attempts": json.loads(one["attempts"])} for one in found["deliveries"]],
        callbacks=_by_payment(found["callbacks"]),
        hints=found["hints"],
        orders={
            provider: (await testbed.call_provider(provider, "GET", "/_sim/orders")).json
            for provider in ("creditkey", "psp")
        },
        requests={
            provider: (await testbed.call_provider(provider, "GET", "/_sim/requests")).json
            for provider in ("creditkey", "psp")
        },
    )


def in_flight(testbed: Testbed) -> int:
    """Return how many operations were in ``sending`` when the process died."""
    with _snapshot(testbed) as database:
        return int(database.execute("SELECT COUNT(*) FROM payments WHERE open_status = 'sending'").fetchone()[0])


def _database(testbed: Testbed) -> dict[str, list[Any]]:
    with _snapshot(testbed) as database:
        return {name: list(_rows(name, database.execute(sql))) for name, sql in READS.items()}


def _rows(name: str, cursor: Any) -> Iterator[dict[str, Any]]:
    """Yield rows as their documents, or by the names of their columns."""
    columns = [column[0] for column in cursor.description]
    for row in cursor:
        members = json.loads(row[0]) if columns == ["doc"] else dict(zip(columns, row, strict=True))
        yield {**NOT_WRITTEN.get(name, {}), **members}


@contextlib.contextmanager
def _snapshot(testbed: Testbed) -> Iterator[Any]:
    """One view of all tables."""
    if testbed.store_url.startswith("postgresql:"):
        with psycopg.connect(testbed.store_url) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield connection
        return
    path = f"file:{testbed.settings.store.path}?mode=ro"
    with contextlib.closing(sqlite3.connect(path, uri=True, isolation_level=None)) as database:
        database.execute("BEGIN")
        yield database


def _by_payment(rows: list[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        found[row["payment_id"]].append(row)
    return found
