"""Timestamps of the store itself (table ``moments``): when it was copied, when a copy took its place."""

from __future__ import annotations

from datetime import datetime

from gateway.drivers.clock import milliseconds
from gateway.drivers.store.engine import Engine
from gateway.drivers.store.rows import from_milliseconds
from gateway.drivers.store.statements import Statement

COPIED = "copied"
"""Set in a backup only: no server may start on it before ``gateway recover``."""

RESTORED = "restored"
"""When a backup took the place of a store that knew more."""


COPYING = "copying "
"""Prefix of the timestamp since when another store is copied into this one; how far, as JSON, follows."""

ON_SERVER = "on server "
"""Prefix of the timestamp since when a shared store is on a server and its timeline, which follow."""

USED_WITH = "used with secret "
"""Prefix of the timestamp since which the store is used with a secret; the secret's fingerprint follows."""


def set_timestamp(name: str, at: datetime) -> Statement:
    """Set a timestamp; a later one replaces it."""
    return Statement(
        "INSERT INTO moments (name, at) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET at = excluded.at",
        (name, milliseconds(at)),
    )


def delete_timestamp(name: str) -> Statement:
    """Delete a timestamp."""
    return Statement("DELETE FROM moments WHERE name = ?", (name,))


FORGET_FINGERPRINT = Statement("DELETE FROM moments WHERE name LIKE ?", (f"{USED_WITH}%",))
"""Keep no secret's fingerprint."""


def set_secret_fingerprint(fingerprint: str, at: datetime) -> tuple[Statement, Statement]:
    """Keep the fingerprint of the secret that the store is used with, instead of any other."""
    return FORGET_FINGERPRINT, set_timestamp(USED_WITH + fingerprint, at)


def check_all_payments(due_at: datetime, *, grace_began_before: int) -> Statement:
    """Make every payment that may still move due at once. ``grace_began_before``: Unix milliseconds."""
    return Statement(
        "UPDATE payments SET due_at = ?, tries = 0"
        " WHERE open_operation IS NOT NULL OR state IN ('created', 'awaiting_customer', 'processing', 'authorized')"
        " OR (state = 'expired' AND expired_at >= ?)",
        (milliseconds(due_at), grace_began_before),
    )


def set_server(server: str, at: datetime) -> tuple[Statement, Statement]:
    """Note on which server and timeline the store is, instead of any other."""
    forget = Statement("DELETE FROM moments WHERE name LIKE ?", (f"{ON_SERVER}%",))
    return forget, set_timestamp(ON_SERVER + server, at)


class Metadata:
    """Reads them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def timestamp(self, name: str) -> datetime | None:
        """One timestamp; None when it was never set."""
        rows = await self._engine.rows("SELECT at FROM moments WHERE name = ?", (name,))
        return from_milliseconds(rows[0][0]) if rows else None

    async def secret_fingerprint(self) -> str | None:
        """The fingerprint of the secret that the store was last used with; None where none was kept yet."""
        rows = await self._engine.rows("SELECT name FROM moments WHERE name LIKE ?", (f"{USED_WITH}%",))
        return str(rows[0][0]).removeprefix(USED_WITH) if rows else None

    async def server(self) -> tuple[str | None, str | None]:
        """Server and timeline that the store is on, and those it was on when a gateway last noted it; None: not known.

        A standby that is promoted, and a base backup that is restored, begin a new timeline. Only of a shared store.
        """
        rows = await self._engine.rows(
            "SELECT server_timeline(), (SELECT MAX(name) FROM moments WHERE name LIKE ?)", (f"{ON_SERVER}%",)
        )
        ((now, noted),) = rows
        return now, noted and str(noted).removeprefix(ON_SERVER)

    async def database_bytes(self) -> int:
        """Bytes that the whole database takes; only on a server's."""
        return int((await self._engine.rows("SELECT pg_database_size(current_database())", ()))[0][0])

    async def unfinished_copy(self) -> str | None:
        """The name of the timestamp that begins with ``COPYING``; None in a store that is whole."""
        rows = await self._engine.rows("SELECT name FROM moments WHERE name LIKE ?", (f"{COPYING}%",))
        return str(rows[0][0]) if rows else None

    async def count_due_checks(self, now: datetime) -> int:
        """How many payments have a check that is due."""
        rows = await self._engine.rows("SELECT COUNT(*) FROM payments WHERE due_at <= ?", (milliseconds(now),))
        return int(rows[0][0])
