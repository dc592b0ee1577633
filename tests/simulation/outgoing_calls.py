"""The rule for outgoing calls: a changing call has a committed operation, and an operation has one call at most."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from tests.simulation.environment import Environment


class OutgoingCalls:
    """``sent``: operation id -> (payment id, kind). ``connection``: that of the running process."""

    def __init__(self, env: Environment, connection: Callable[[], sqlite3.Connection]) -> None:
        self._env = env
        self._connection = connection
        self.sent: dict[str, tuple[str, str]] = {}
        self._bytes: dict[str, str] = {}

    def assign(self, payment_id: str, kind: str) -> str:
        """Find the operation of a changing call that is about to leave; without one, record a violation."""
        rows = self._connection().execute(
            "SELECT id, status FROM all_operations WHERE payment_id = ? AND kind = ? ORDER BY id DESC",
            (payment_id, kind),
        )
        unsent: list[str] = [
            operation for operation, status in rows.fetchall() if operation not in self.sent and status != "unknown"
        ]
        if not unsent:
            self._env.violated(f"promise 2: {kind} of {payment_id} left without an operation that may be sent")
            return "none"
        self.sent[unsent[0]] = (payment_id, kind)
        return unsent[0]

    def check_named(self, operation: str, request: str) -> None:
        """Check a changing call that names its operation: it is sent once, and then, where its answer was lost, again
        to the byte."""
        row = self._connection().execute("SELECT status FROM all_operations WHERE id = ?", (operation,)).fetchone()
        status = row[0] if row is not None else None
        was_sent = operation in self._bytes
        if status != "unknown" and (was_sent or status != "sending"):
            self._env.violated(f"promise 2: {operation} left, and it is {status}, {'again' if was_sent else 'first'}")
        if self._bytes.setdefault(operation, request) != request:
            self._env.violated(f"promise 2: {operation} left again with other bytes")
