"""Timestamps of the store itself (table ``moments``): when it was copied, when a copy took its place."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import msgspec

from gateway.drivers.clock import milliseconds
from gateway.drivers.store.engine import Engine
from gateway.drivers.store.rows import from_milliseconds
from gateway.drivers.store.statements import Statement, placeholders

COPIED = "copied"
"""Set in a backup only: no server may start on it before ``gateway recover``."""

RESTORED = "restored"
"""When a backup took the place of a store that knew more."""


COPYING = "copying "
"""Prefix of the timestamp since when another store is copied into this one; how far, as JSON, follows."""

ON_SERVER = "on server "
"""Prefix of the timestamp since when a shared store is on a server and its timeline, which follow."""

UNCHECKED = "unchecked after "
"""Prefix of the timestamp since when payments are to be made due; the tenant and id after which, as JSON, follow."""

USED_WITH = "used with secret "
"""Prefix of the timestamp since which the store is used with a secret; the secret's fingerprint follows."""


PaymentKey = tuple[str, str]
"""Tenant and id of a payment."""


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


def check_all_payments(at: datetime) -> tuple[Statement, Statement]:
    """Have every payment that may still move made due by and by (``check_payments``), from the first one."""
    forget = Statement("DELETE FROM moments WHERE name LIKE ?", (f"{UNCHECKED}%",))
    return forget, set_timestamp(_unchecked_after(("", "")), at)


def check_payments(due_at: datetime, tenant: str, ids: Collection[str], *, grace_began_before: int) -> Statement:
    """Make those of some payments due at once that may still move. ``grace_began_before``: Unix milliseconds."""
    return Statement(
        f"UPDATE payments SET due_at = ?, tries = 0 WHERE tenant = ? AND id IN ({placeholders(ids)})"  # noqa: S608  # question marks
        " AND (open_operation IS NOT NULL OR state IN ('created', 'awaiting_customer', 'processing', 'authorized')"
        " OR (state = 'expired' AND expired_at >= ?))",
        (milliseconds(due_at), tenant, *ids, grace_began_before),
    )


def move_unchecked(after: PaymentKey, last: PaymentKey | None) -> Statement:
    """Note up to where payments were made due; None: all were. The conflict is that somebody else did it."""
    if last is None:
        return Statement("DELETE FROM moments WHERE name = ?", (_unchecked_after(after),), "unchecked")
    names = _unchecked_after(last), _unchecked_after(after)
    return Statement("UPDATE moments SET name = ? WHERE name = ?", names, "unchecked")


def _unchecked_after(key: PaymentKey) -> str:
    return f"{UNCHECKED}{msgspec.json.encode(key).decode()}"


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

    async def unchecked(self) -> PaymentKey | None:
        """The payment after which payments are still to be made due; None where none is."""
        rows = await self._engine.rows("SELECT name FROM moments WHERE name LIKE ?", (f"{UNCHECKED}%",))
        return msgspec.json.decode(str(rows[0][0]).removeprefix(UNCHECKED), type=PaymentKey) if rows else None

    async def payments_after(self, key: PaymentKey, limit: int) -> list[PaymentKey]:
        """The next payments, by tenant and id."""
        rows = await self._engine.rows(
            "SELECT tenant, id FROM payments WHERE (tenant, id) > (?, ?) ORDER BY tenant, id LIMIT ?", (*key, limit)
        )
        return [(tenant, identifier) for tenant, identifier in rows]

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
