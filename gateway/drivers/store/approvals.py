"""Acts that wait for the approval of another key (table ``approvals``). The body is kept only while one waits."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import msgspec

from gateway.drivers.clock import milliseconds
from gateway.drivers.store.engine import Reads
from gateway.drivers.store.rows import PageRequest, columns, made_of, where
from gateway.drivers.store.statements import Statement, placeholders

OPEN = "open"
STATUSES = (OPEN, "approved", "rejected", "refused", "expired")

APPROVAL = "approval"
"""The conflict of one that is not open any more."""

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS approvals (
        id TEXT PRIMARY KEY, status TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL, target TEXT, body TEXT,
        key_id TEXT NOT NULL, key_name TEXT, created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL,
        decided_by TEXT, decided_at BIGINT, code TEXT
    )""",
    "CREATE INDEX IF NOT EXISTS open_approvals ON approvals (expires_at) WHERE status = 'open'",
    # The act's own row ends its approval, so both are in the transaction of the act: it is never done twice.
    "DROP TRIGGER IF EXISTS approval_is_used",  # of earlier stores: it let an act pass whose approval was not open
    """
    CREATE TRIGGER IF NOT EXISTS approval_is_used_once AFTER INSERT ON audit_log WHEN new.approved_by IS NOT NULL
    BEGIN
        SELECT RAISE(ABORT, 'the approval is not open') WHERE NOT EXISTS
        (SELECT 1 FROM approvals WHERE id = new.approval_id AND status = 'open');
        UPDATE approvals SET status = 'approved', decided_by = new.approved_by, decided_at = new.at, body = NULL
        WHERE id = new.approval_id AND status = 'open';
    END""",
)


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """An act that waits, or waited. ``path`` is the route's pattern, ``target`` what fills it; times in Unix ms.

    ``code``: why the act itself was refused.
    """

    id: str
    status: str
    method: str
    path: str
    target: str | None
    body: str | None
    key_id: str
    key_name: str | None
    created_at: int
    expires_at: int
    decided_by: str | None = None
    decided_at: int | None = None
    code: str | None = None


class ApprovalFilter(PageRequest, frozen=True, kw_only=True):
    """Which approvals a list shows, newest first."""

    status: str | None = None


def insert(approval: Approval) -> Statement:
    """A new one."""
    values = msgspec.structs.astuple(approval)
    return Statement(f"INSERT INTO approvals ({columns(Approval)}) VALUES ({placeholders(values)})", values)  # noqa: S608  # our own words


def end(approval_id: str, status: str, *, by: str, at: datetime, code: str | None = None) -> Statement:
    """End an open one that is not used, and forget its body."""
    return Statement(
        "UPDATE approvals SET status = ?, decided_by = ?, decided_at = ?, code = ?, body = NULL"
        " WHERE id = ? AND status = 'open'",
        (status, by, milliseconds(at), code, approval_id),
        APPROVAL,
    )


def delete(identifiers: Collection[str]) -> Statement:
    """Delete some, which go to another store or were brought here."""
    return Statement(f"DELETE FROM approvals WHERE id IN ({placeholders(identifiers)})", (*identifiers,))  # noqa: S608  # question marks


def expire(at: datetime) -> Statement:
    """End those that nobody has decided in time."""
    return Statement(
        "UPDATE approvals SET status = 'expired', body = NULL WHERE status = 'open' AND expires_at <= ?",
        (milliseconds(at),),
    )


class Approvals(Reads):
    """The reads."""

    async def find(self, approval_id: str) -> Approval | None:
        """One of them."""
        row = await self._engine.row(f"SELECT {columns(Approval)} FROM approvals WHERE id = ?", (approval_id,))  # noqa: S608  # our own words
        return made_of(Approval, row) if row else None

    async def has_overdue(self, at: datetime) -> bool:
        """Whether there is one that nobody has decided in time."""
        sql = "SELECT 1 FROM approvals WHERE status = 'open' AND expires_at <= ? LIMIT 1"
        return await self._engine.row(sql, (milliseconds(at),)) is not None

    async def waiting(self) -> list[Approval]:
        """All that nobody has decided; they are few."""
        sql = f"SELECT {columns(Approval)} FROM approvals WHERE status = 'open' ORDER BY id"  # noqa: S608  # our own words
        return await self._all(Approval, sql, ())

    async def newest(self, wanted: ApprovalFilter) -> list[Approval]:
        """Newest first: ids are time-ordered."""
        conditions, values = where(("id < ?", wanted.cursor), ("status = ?", wanted.status))
        sql = (
            f"SELECT {columns(Approval)} FROM approvals {conditions and 'WHERE '}{conditions} ORDER BY id DESC LIMIT ?"  # noqa: S608  # our own words
        )
        return await self._all(Approval, sql, (*values, wanted.limit))
