"""Which tables are the content of a store, and how each is read in pages. The others are rebuilt from these."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import cache
from typing import Any

from gateway.drivers.store.metadata import COPYING, ON_SERVER
from gateway.drivers.store.personal_data import COLUMNS
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import Statement, placeholders

KEYS: dict[str, tuple[str, ...]] = {
    table: tuple(key.split())
    for table, key in {
        "payments": "tenant id",
        "operations": "tenant payment_id id",
        "idempotency_keys": "tenant idempotency_key",
        "reference_holders": "tenant account merchant_reference",
        "events": "rowid tenant id",  # as they came: the search index is made in this order
        "webhook_endpoints": "tenant",
        "inbox": "tenant id",
        "hints": "tenant payment_id provider_reference",
        "pending_erasures": "tenant payment_id",
        "refused_requests": "tenant id",
        "stored_bytes": "tenant",
        "approvals": "id",
        "audit_log": "sequence",
        "audit_head": "id",
        "moments": "name",
    }.items()
}
"""The content, in the order it is copied: each table with the columns that its rows are read in order of."""

MADE_ANEW = frozenset(
    {
        *("search_payments", "search_terms", "search_segments", "search_progress"),
        *("heartbeat", "nodes", "claims", "units", "growth"),
    }
)
"""What gateways make by themselves, of the content or of nothing."""

READ_FROM = {"stored_bytes": "(SELECT tenant, bytes FROM tenant_bytes WHERE bytes <> 0) summed"}
"""What is read instead of a table: each engine counts what tenants occupy in a way of its own."""

OF_ONE_STORE = (f"{COPYING}%", f"{ON_SERVER}%")
"""Moments that another store has of its own."""

PAGE = 500
"""Rows that are read, and written in one transaction."""

ROWS_PER_INSERT = 50
"""Rows written by one statement."""

Row = tuple[Any, ...]
Key = Sequence[Any]


@cache
def columns_of(table: str) -> tuple[str, ...]:
    """The columns that are copied, in the order that both stores are asked for them."""
    personal, others = COLUMNS[table]
    return tuple(sorted(f"{personal} {others}".split()))


async def pages(store: Store, table: str, after: Key = (), *, tenant: str | None = None) -> AsyncIterator[list[Row]]:
    """The rows beyond a key, each with its key before its columns. ``tenant``: those of this one only."""
    key = KEYS[table]
    while rows := await store.rows(*_page(table, after, tenant)):
        yield rows
        after = rows[-1][: len(key)]


def _page(table: str, after: Key, tenant: str | None) -> tuple[str, tuple[Any, ...]]:
    key = ", ".join(KEYS[table])
    conditions = {
        f"({key}) > ({placeholders(KEYS[table])})": tuple(after),
        "tenant = ?": () if tenant is None else (tenant,),
        "name NOT LIKE ? AND name NOT LIKE ?": OF_ONE_STORE if table == "moments" else (),
    }
    given = [(condition, values) for condition, values in conditions.items() if values]
    chosen = " AND ".join(condition for condition, _ in given)
    listed = f"SELECT {key}, {', '.join(columns_of(table))} FROM {READ_FROM.get(table, table)}"  # noqa: S608  # our own names
    return (
        f"{listed} {chosen and 'WHERE '}{chosen} ORDER BY {key} LIMIT {PAGE}",
        tuple(itertools.chain.from_iterable(values for _, values in given)),
    )


def inserted(table: str, rows: Sequence[Row]) -> Iterator[Statement]:
    """Write rows as ``pages`` has read them."""
    contents = [row[len(KEYS[table]) :] for row in rows]
    whole = len(contents) - len(contents) % ROWS_PER_INSERT
    for at in range(0, whole, ROWS_PER_INSERT):
        yield Statement(
            _insert(table, ROWS_PER_INSERT), tuple(itertools.chain.from_iterable(contents[at : at + ROWS_PER_INSERT]))
        )
    for row in contents[whole:]:
        yield Statement(_insert(table, 1), row)


@cache
def _insert(table: str, rows: int) -> str:
    columns = columns_of(table)
    values = ", ".join([f"({placeholders(columns)})"] * rows)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {values}"  # noqa: S608  # our own names
