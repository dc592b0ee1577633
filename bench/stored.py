"""What a store must hold after a run: a benchmark that loses rows measures nothing."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

Counts = Mapping[str, tuple[str, ...]]
"""Kind of row -> how to count it: the first statement that fits the tables; later ones fit those of older versions."""

COUNTS: Counts = {
    "payments": ("SELECT COUNT(*) FROM payments WHERE state IN ('awaiting_customer', 'captured')",),
    "captured": ("SELECT COUNT(*) FROM payments WHERE state = 'captured'",),
    "operations": ("SELECT COUNT(*) FROM operations WHERE kind = 'create' AND status = 'succeeded'",),
    "keys": (
        "SELECT COUNT(*) FROM idempotency_keys AS key WHERE EXISTS (SELECT 1 FROM operations AS done"
        " WHERE done.tenant = key.tenant AND done.payment_id = key.payment_id AND done.id = key.operation_id"
        " AND done.answer_status = 201)",
        "SELECT COUNT(*) FROM idempotency_keys WHERE answer_status = 201",
    ),
    "events": ("SELECT COUNT(*) FROM events",),
    "webhooks": (
        "SELECT COUNT(*) FROM events WHERE delivery_id IS NOT NULL",
        "SELECT COUNT(*) FROM deliveries",
    ),
    "callbacks": ("SELECT COUNT(*) FROM inbox WHERE verdict = 'recorded'",),
}

PER_PAYMENT = {"payments": 1, "operations": 1, "keys": 1, "events": 2, "webhooks": 2}
PER_CALLBACK = {"captured": 1, "events": 1, "webhooks": 1, "callbacks": 1}
"""How many rows of each kind one payment or callback leaves."""


class WrongStore(Exception):
    """A store does not hold what was answered for."""


def count(database: Path, counts: Counts = COUNTS) -> dict[str, int]:
    """Rows of each kind. Raises ``WrongStore`` when the file is damaged."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        (sound,) = connection.execute("PRAGMA integrity_check").fetchone()
        if sound != "ok":
            raise WrongStore(f"integrity_check: {sound}")
        connection.execute("BEGIN")  # one view for all counts: the server may be at work
        return {kind: int(_fitting(connection, statements).fetchone()[0]) for kind, statements in counts.items()}


def _fitting(connection: sqlite3.Connection, statements: Sequence[str]) -> sqlite3.Cursor:
    """Run the first statement that the tables know. Raises ``sqlite3.OperationalError`` when none does."""
    *newer, oldest = statements
    for statement in newer:
        with contextlib.suppress(sqlite3.OperationalError):
            return connection.execute(statement)
    return connection.execute(oldest)


def check(found: Mapping[str, int], *, payments: range, callbacks: range) -> None:
    """Hold counted rows against the answers. Raises ``WrongStore``.

    From what was answered up to what was in flight besides when a window ended: that is stored or not, but whole.
    """
    stored, captured = found["payments"], found["captured"]
    if stored not in payments:
        raise WrongStore(f"{payments.start} payments were answered and {stored} are stored")
    if captured not in callbacks:
        raise WrongStore(f"{callbacks.start} callbacks were answered and {captured} payments are captured")
    for kind, rows in found.items():
        due = stored * PER_PAYMENT.get(kind, 0) + captured * PER_CALLBACK.get(kind, 0)
        if rows != due:
            raise WrongStore(f"{stored} payments and {captured} callbacks leave {due} {kind}, not {rows}")
