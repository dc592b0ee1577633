"""How many bytes of the store each tenant's rows take: counted in the transaction that writes or deletes them.

A statement says by how much its row grows a tenant's part; the engine adds up a whole transaction and writes one row
per tenant. Deleting is left to triggers, which see every row that is deleted. ``stored_bytes`` holds the
sums. A row's fixed part stands for its small columns, its index entries, and small rows that come with it (holder,
hints), which are not counted by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

SIZES: dict[str, tuple[int, tuple[str, ...]]] = {
    "payments": (2000, ("doc", "purchase")),
    "operations": (500, ("doc", "answer")),
    "idempotency_keys": (500, ()),
    "events": (700, ("doc", "body", "attempts")),
    "inbox": (700, ("query", "headers", "body", "detail", "event", "history")),
}
"""What is counted of a row: fixed bytes, and the texts that may be large."""

DELETED_FROM = ("idempotency_keys", "events", "inbox")
"""Tables whose rows are deleted some day."""


def size_of_row(table: str, *texts: str | bytes | None) -> int:
    """Bytes that a new row takes, given its large texts."""
    return SIZES[table][0] + bytes_of(*texts)


def bytes_of(*texts: str | bytes | None) -> int:
    """Bytes of texts as they are stored."""
    total = 0
    for text in texts:
        if text:
            total += len(text) if text.isascii() or isinstance(text, bytes) else len(text.encode())
    return total


def _size_in_sql(table: str, row: str = "") -> str:
    fixed, texts = SIZES[table]
    return " + ".join([str(fixed), *(_length_in_sql(row + text) for text in texts)])


def _length_in_sql(text: str) -> str:
    return f"LENGTH(CAST(COALESCE({text}, '') AS BLOB))"


class Forgotten(NamedTuple):
    """When bytes are given back: a trigger's name, its event, its condition if any, and how many by the old row."""

    name: str
    event: str
    when: str
    size: str


FORGOTTEN = (
    *(Forgotten(table, f"DELETE ON {table}", "", _size_in_sql(table, "old.")) for table in DELETED_FROM),
    Forgotten(  # an event outlives its webhook
        "webhooks",
        "UPDATE OF delivery_id ON events",
        "new.delivery_id IS NULL",
        " + ".join(_length_in_sql(f"old.{text}") for text in ("body", "attempts")),
    ),
    Forgotten("answers", "UPDATE OF answer ON operations", "", _length_in_sql("old.answer")),
)


def _trigger(name: str, event: str, when: str, size: str) -> str:
    subtract = f"UPDATE stored_bytes SET bytes = bytes - ({size}) WHERE tenant = old.tenant"  # noqa: S608  # our own names
    occasion = f"{event} WHEN {when}" if when else event
    return f"CREATE TRIGGER IF NOT EXISTS {name}_forgotten AFTER {occasion} BEGIN {subtract}; END"


TABLE = "CREATE TABLE IF NOT EXISTS stored_bytes (tenant TEXT NOT NULL, bytes BIGINT NOT NULL, PRIMARY KEY (tenant))"

VIEW = "CREATE VIEW IF NOT EXISTS tenant_bytes AS SELECT tenant, bytes FROM stored_bytes"
"""The sums as they are now."""

TRIGGERS = tuple(_trigger(*one) for one in FORGOTTEN)

_OPEN = (
    f"SELECT tenant, {SIZES['operations'][0]} + LENGTH(CAST(open_doc AS BLOB)) FROM payments"  # noqa: S608  # our own names
    " WHERE open_status IS NOT NULL"
)

RECOUNT = "SELECT tenant, CAST(SUM(bytes) AS BIGINT) FROM ({} UNION ALL {}) sizes GROUP BY tenant".format(  # noqa: S608  # our own names
    " UNION ALL ".join(f"SELECT tenant, {_size_in_sql(table)} AS bytes FROM {table}" for table in SIZES),  # noqa: S608
    _OPEN,
)
"""What the sums ought to be. Reads every row."""

ADD = (
    "INSERT INTO stored_bytes (tenant, bytes) VALUES (?, ?)"
    " ON CONFLICT (tenant) DO UPDATE SET bytes = stored_bytes.bytes + excluded.bytes"
)
"""Add to a tenant's sum: (tenant, bytes)."""


def sum_by_tenant(grown: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Growth by tenant, each tenant once."""
    sums: dict[str, int] = {}
    for tenant, size in grown:
        sums[tenant] = sums.get(tenant, 0) + size
    return sums
