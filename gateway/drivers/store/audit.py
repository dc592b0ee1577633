"""The audit trail (table ``audit_log``): who did what to what, and why, in one chain. Rows are added, never changed.

``hash`` is the SHA-256 of the row's number, its content, and hash and mac of the row before, made in the transaction
that writes the row. ``mac`` is a keyed hash of ``hash``: without the key nobody can make one. Since a hash holds all
before it, a good ``mac`` proves every earlier row too, also those of a secret that was rotated away. ``audit_head``
repeats the end of the chain, so that a missing row shows there too.
"""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from datetime import datetime
from typing import Any

import msgspec

from gateway.core import strictjson
from gateway.drivers.clock import optional_milliseconds
from gateway.drivers.store.engine import Reads
from gateway.drivers.store.rows import PageRequest, columns, made_of, where
from gateway.drivers.store.statements import Statement, placeholders

TABLE = """
    CREATE TABLE IF NOT EXISTS audit_log (
        sequence BIGINT NOT NULL, at BIGINT NOT NULL, key_id TEXT NOT NULL, key_name TEXT, approved_by TEXT,
        approval_id TEXT, act TEXT NOT NULL, tenant TEXT, payment_id TEXT, subject TEXT, reason TEXT,
        details TEXT NOT NULL, previous_hash TEXT NOT NULL, hash TEXT NOT NULL, secret_id TEXT NOT NULL,
        mac TEXT NOT NULL
    )"""

END = "CREATE VIEW IF NOT EXISTS audit_end AS SELECT sequence, hash, mac FROM audit_head"
"""What the next row is put behind."""

TABLES = (
    TABLE,
    "CREATE INDEX IF NOT EXISTS audit_by_sequence ON audit_log (sequence)",
    "CREATE INDEX IF NOT EXISTS audit_by_payment ON audit_log (payment_id, sequence) WHERE payment_id IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS audit_by_approval ON audit_log (approval_id, sequence) WHERE approval_id IS NOT NULL",
    """
    CREATE TABLE IF NOT EXISTS audit_head (
        id INTEGER PRIMARY KEY CHECK (id = 1), sequence BIGINT NOT NULL, hash TEXT NOT NULL, mac TEXT NOT NULL
    )""",
    "INSERT INTO audit_head (id, sequence, hash, mac) VALUES (1, 0, '', '') ON CONFLICT DO NOTHING",
    END,
    """
    CREATE TRIGGER IF NOT EXISTS audit_log_is_not_changed BEFORE UPDATE ON audit_log
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END""",
    """
    CREATE TRIGGER IF NOT EXISTS audit_log_is_not_shortened BEFORE DELETE ON audit_log
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END""",
    """
    CREATE TRIGGER IF NOT EXISTS audit_log_only_grows BEFORE INSERT ON audit_log
    WHEN new.sequence IS NOT (SELECT sequence + 1 FROM audit_head)
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END""",
    """
    CREATE TRIGGER IF NOT EXISTS audit_head_follows AFTER INSERT ON audit_log
    BEGIN UPDATE audit_head SET sequence = new.sequence, hash = new.hash, mac = new.mac; END""",
)

HEAD = "audit head"
"""The conflict where ``audit_head`` has lost its row."""


class AuditContent(msgspec.Struct, frozen=True, kw_only=True):
    """What a row says. ``at`` in Unix milliseconds; ``details`` is a JSON object."""

    at: int
    key_id: str
    key_name: str | None
    approved_by: str | None
    approval_id: str | None
    act: str
    tenant: str | None
    payment_id: str | None
    subject: str | None
    reason: str | None
    details: str
    secret_id: str


class AuditRow(AuditContent, frozen=True, kw_only=True):
    """A row as it is stored. ``secret_id`` names the secret that the key of ``mac`` is derived from."""

    sequence: int
    previous_hash: str
    hash: str
    mac: str

    @property
    def cursor(self) -> str:
        """Where a list goes on behind this row."""
        return str(self.sequence)


class AuditHead(msgspec.Struct, frozen=True, kw_only=True):
    """Number, hash and mac of the newest row; 0 and "" of an empty trail."""

    sequence: int = 0
    hash: str = ""
    mac: str = ""


class AuditFilter(PageRequest, frozen=True, kw_only=True):
    """Which rows a list shows, newest first. ``cursor``: a row's number; ``key_id`` acted or approved."""

    tenant: str | None = None
    payment_id: str | None = None
    key_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def _content(row: AuditContent) -> str:
    """What of a row the hash covers, beside its number and the hash before: as text, since SQL only joins it."""
    return strictjson.canonical([getattr(row, name) for name in AuditContent.__struct_fields__]).decode()


def sha256_hex(text: str) -> str:
    """Hex SHA-256; also a function in SQL."""
    return hashlib.sha256(text.encode()).hexdigest()


def hmac_sha256_hex(key: str, text: str) -> str:
    """Hex HMAC-SHA-256; also a function in SQL."""
    return hmac.new(key.encode(), text.encode(), "sha256").hexdigest()


def add_functions(writer: sqlite3.Connection) -> None:
    """Let SQL make hashes: only the transaction that writes a row knows the one before it."""
    writer.create_function("sha256_hex", 1, sha256_hex, deterministic=True)
    writer.create_function("hmac_sha256_hex", 2, hmac_sha256_hex, deterministic=True)


_INSERT = (
    f"INSERT INTO audit_log (sequence, {columns(AuditContent)}, previous_hash, hash, mac)"  # noqa: S608  # our own words
    f" SELECT sequence, {placeholders(AuditContent.__struct_fields__)}, previous_hash, hash, hmac_sha256_hex(?, hash)"
    " FROM (SELECT sequence + 1 AS sequence, hash AS previous_hash,"
    " sha256_hex(hash || ' ' || mac || ' ' || (sequence + 1) || ' ' || ?) AS hash FROM audit_end) new"
)


def append(row: AuditContent, key: str) -> Statement:
    """One row at the end of the chain, under a key that is derived from the secret it names."""
    return Statement(_INSERT, (*msgspec.structs.astuple(row), key, _content(row)), HEAD)


def hash_of(before: AuditHead, row: AuditRow) -> str:
    """What the hash of a row must be."""
    return sha256_hex(f"{before.hash} {before.mac} {row.sequence} {_content(row)}")


class Audit(Reads):
    """The reads."""

    async def newest(self, wanted: AuditFilter) -> list[AuditRow]:
        """Rows, newest first."""
        conditions, values = where(
            ("sequence < ?", None if wanted.cursor is None else min(int(wanted.cursor), 2**63 - 1)),
            ("tenant = ?", wanted.tenant),
            ("payment_id = ?", wanted.payment_id),
            ("? IN (key_id, approved_by)", wanted.key_id),
            ("at >= ?", optional_milliseconds(wanted.since)),
            ("at < ?", optional_milliseconds(wanted.until)),
        )
        return await self._rows(f"{conditions and 'WHERE '}{conditions} ORDER BY sequence DESC", values, wanted.limit)

    async def after(self, sequence: int, limit: int) -> list[AuditRow]:
        """Rows beyond a number, oldest first."""
        return await self._rows("WHERE sequence > ? ORDER BY sequence", (sequence,), limit)

    async def asked_about(self, approval_id: str) -> tuple[str | None, str | None]:
        """Tenant and payment id of what was asked for; None where it is not about a payment."""
        sql = "SELECT tenant, payment_id FROM audit_log WHERE approval_id = ? ORDER BY sequence LIMIT 1"
        tenant, payment_id = await self._engine.row(sql, (approval_id,)) or (None, None)
        return tenant, payment_id

    async def head(self) -> AuditHead | None:
        """What ``audit_head`` says; None where its row is gone."""
        rows = await self._engine.rows("SELECT sequence, hash, mac FROM audit_head", ())
        return made_of(AuditHead, rows[0]) if rows else None

    async def _rows(self, which: str, values: tuple[Any, ...], limit: int) -> list[AuditRow]:
        sql = f"SELECT {columns(AuditRow)} FROM audit_log {which} LIMIT ?"  # noqa: S608  # our own words
        return await self._all(AuditRow, sql, (*values, limit))
