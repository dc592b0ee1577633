"""Timestamps of the store itself (table ``moments``): when it was copied, when a copy took its place.

Many names are a prefix and a value behind it, such as a secret's fingerprint.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import msgspec

from gateway.drivers.clock import milliseconds
from gateway.drivers.store.engine import Engine, Reads
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


def delete_timestamp(name: str, otherwise: str | None = None) -> Statement:
    """Delete a timestamp. ``otherwise``: the conflict where it does not exist."""
    return Statement("DELETE FROM moments WHERE name = ?", (name,), otherwise)


def rename_timestamp(name: str, after: str, otherwise: str) -> Statement:
    """Give a timestamp another name. ``otherwise``: the conflict where it does not exist."""
    return Statement("UPDATE moments SET name = ? WHERE name = ?", (after, name), otherwise)


def delete_timestamps(prefix: str) -> Statement:
    """Delete all timestamps whose names begin so."""
    return Statement("DELETE FROM moments WHERE name LIKE ?", (f"{prefix}%",))


async def values_behind(engine: Engine, prefix: str) -> list[str]:
    """What follows a prefix in the names of timestamps."""
    rows = await engine.rows("SELECT name FROM moments WHERE name LIKE ?", (f"{prefix}%",))
    return [str(name).removeprefix(prefix) for (name,) in rows]


def set_only(prefix: str, value: str, at: datetime) -> tuple[Statement, Statement]:
    """Set the timestamp of a prefix and a value, instead of all others of the prefix."""
    return delete_timestamps(prefix), set_timestamp(prefix + value, at)


def check_all_payments(at: datetime) -> tuple[Statement, Statement]:
    """Have every payment that may still move made due step by step (``check_payments``), from the first one."""
    return set_only(UNCHECKED, _encoded(("", "")), at)


def check_payments(due_at: datetime, tenant: str, ids: Collection[str], *, grace_began_before: int) -> Statement:
    """Make those of some payments due at once that may still move. ``grace_began_before``: Unix milliseconds."""
    return Statement(
        f"UPDATE payments SET due_at = ?, tries = 0 WHERE tenant = ? AND id IN ({placeholders(ids)})"  # noqa: S608  # question marks
        " AND (open_operation IS NOT NULL OR state IN ('created', 'awaiting_customer', 'processing', 'authorized')"
        " OR (state = 'expired' AND expired_at >= ?))",
        (milliseconds(due_at), tenant, *ids, grace_began_before),
    )


def move_unchecked(after: PaymentKey, last: PaymentKey | None) -> Statement:
    """Note up to where payments were made due; None: all were. The conflict is that another process did it."""
    before = UNCHECKED + _encoded(after)
    if last is None:
        return delete_timestamp(before, "unchecked")
    return rename_timestamp(before, UNCHECKED + _encoded(last), "unchecked")


def _encoded(key: PaymentKey) -> str:
    return msgspec.json.encode(key).decode()


class Metadata(Reads):
    """Reads them."""

    async def timestamp(self, name: str) -> datetime | None:
        """One timestamp; None when it was never set."""
        rows = await self._engine.rows("SELECT at FROM moments WHERE name = ?", (name,))
        return from_milliseconds(rows[0][0]) if rows else None

    async def secret_fingerprint(self) -> str | None:
        """The fingerprint of the secret that the store was last used with; None where none was kept yet."""
        return next(iter(await values_behind(self._engine, USED_WITH)), None)

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
        found = await values_behind(self._engine, UNCHECKED)
        return msgspec.json.decode(found[0], type=PaymentKey) if found else None

    async def payments_after(self, key: PaymentKey, limit: int) -> list[PaymentKey]:
        """The next payments, by tenant and id."""
        rows = await self._engine.rows(
            "SELECT tenant, id FROM payments WHERE (tenant, id) > (?, ?) ORDER BY tenant, id LIMIT ?", (*key, limit)
        )
        return [(tenant, identifier) for tenant, identifier in rows]

    async def database(self) -> tuple[str, str]:
        """Its name and when its server was started, by which it is told from all others; only on a server's."""
        ((name, started),) = await self._engine.rows(
            "SELECT current_database(), CAST(pg_postmaster_start_time() AS TEXT)", ()
        )
        return name, started

    async def database_bytes(self) -> int:
        """Bytes that the whole database takes; only on a server's."""
        return int((await self._engine.rows("SELECT pg_database_size(current_database())", ()))[0][0])

    async def unfinished_copy(self) -> str | None:
        """How far another store is copied into this one, as the copy noted it; None in a store that is whole."""
        return next(iter(await values_behind(self._engine, COPYING)), None)

    async def count_due_checks(self, now: datetime) -> int:
        """How many payments have a check that is due."""
        rows = await self._engine.rows("SELECT COUNT(*) FROM payments WHERE due_at <= ?", (milliseconds(now),))
        return int(rows[0][0])
