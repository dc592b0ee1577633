"""Payments whose personal data is to be erased: now, or when they have ended. Beside the store the same in a file.

A backup brings erased data back, and the table as it was; the file lives on. It names payments, never persons.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from gateway.core.errors import Unavailable
from gateway.drivers.clock import optional_milliseconds
from gateway.drivers.settings import StoreTarget
from gateway.drivers.store.engine import Reads
from gateway.drivers.store.moves import NOT_BARRED
from gateway.drivers.store.rows import first_id
from gateway.drivers.store.statements import Statement
from gateway.drivers.store.store_files import ERASED, open_private, resolved_path

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS pending_erasures (
        tenant TEXT NOT NULL, payment_id TEXT NOT NULL, asked_at BIGINT,
        PRIMARY KEY (tenant, payment_id)
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS asked_erasures ON pending_erasures (asked_at) WHERE asked_at IS NOT NULL",
)

PaymentKey = tuple[str, str]
"""Tenant and id of a payment."""


class PendingErasure(NamedTuple):
    """A payment to be erased: at its end where that was asked for, else a time after it."""

    tenant: str
    payment_id: str
    is_asked_for: bool

    @property
    def key(self) -> PaymentKey:
        """The payment."""
        return self.tenant, self.payment_id


def ask_to_erase(payments: Sequence[PaymentKey], at: datetime | None) -> list[Statement]:
    """Have payments erased as soon as they have ended. ``at`` None: only when they have been ended for long enough."""
    sql = (
        "INSERT INTO pending_erasures (tenant, payment_id, asked_at) VALUES (?, ?, ?)"
        " ON CONFLICT (tenant, payment_id) DO UPDATE"
        " SET asked_at = COALESCE(pending_erasures.asked_at, excluded.asked_at)"
    )
    return [Statement(sql, (*payment, optional_milliseconds(at))) for payment in payments]


def erasure_done(tenant: str, payment_id: str) -> Statement:
    """The payment is erased, or does not exist."""
    return Statement("DELETE FROM pending_erasures WHERE tenant = ? AND payment_id = ?", (tenant, payment_id))


class PendingErasures(Reads):
    """The reads."""

    async def made_between(
        self, tenant: str, since: datetime | None, before: datetime, *, after: str, limit: int
    ) -> list[str]:
        """Ids of a tenant's payments above ``after`` that were made in a time, oldest first."""
        begin = after if since is None else max(after, first_id("pay", since))
        rows = await self._engine.rows(
            "SELECT id FROM payments WHERE tenant = ? AND id > ? AND id < ? ORDER BY id LIMIT ?",
            (tenant, begin, first_id("pay", before), limit),
        )
        return [identifier for (identifier,) in rows]

    async def page(self, after: PaymentKey, limit: int) -> list[PendingErasure]:
        """The next payments that are to be erased, by tenant and id; none of a tenant that is being moved, or was."""
        rows = await self._engine.rows(
            "SELECT tenant, payment_id, asked_at FROM pending_erasures WHERE (tenant, payment_id) > (?, ?)"  # noqa: S608  # our own words
            f" AND {NOT_BARRED} ORDER BY tenant, payment_id LIMIT ?",
            (*after, limit),
        )
        return [PendingErasure(tenant, payment_id, asked_at is not None) for tenant, payment_id, asked_at in rows]


def erased_file(target: StoreTarget) -> Path | None:
    """The file that names what was erased: SQLite's is beside its database, PostgreSQL's where the settings say."""
    if target.path is None:
        return target.erased_file
    path = resolved_path(target.path)
    return path.with_name(path.name + ERASED)


def note_in_file(path: Path, payments: Sequence[PaymentKey]) -> None:
    """Add payments to the file, durably. Raises ``Unavailable``."""
    try:
        with os.fdopen(open_private(path), "a") as file:
            # A line that an earlier write left broken must not take the first of these with it.
            file.write("".join(f"\n{tenant} {payment_id}" for tenant, payment_id in payments))
            file.flush()
            os.fsync(file.fileno())
    except OSError as problem:
        raise Unavailable(f"{path} cannot be written: {problem.strerror}") from problem


def noted_in_file(path: Path) -> list[PaymentKey]:
    """The payments in the file, each once."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    pairs = (line.split() for line in text.splitlines())
    return list(dict.fromkeys((pair[0], pair[1]) for pair in pairs if len(pair) == 2))
