"""A store with rows in every table that is copied, with what is hard to copy: nulls, bytes, other alphabets."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Any

from gateway.drivers.store.copying.copier import Side
from gateway.drivers.store.copying.tables import KEYS, columns_of, inserted
from gateway.drivers.store.schema import TABLES
from gateway.drivers.store.statements import NO_TENANT, Statement

ROWS = 7
"""Rows of each table: more than a page of these tests has, and no multiple of it."""

TENANTS = ("acme", "globex", "ünï")


def column_types() -> dict[tuple[str, str], tuple[str, bool]]:
    """Table and column -> its type, and whether it may be null."""
    with contextlib.closing(sqlite3.connect(":memory:")) as scratch:
        for statement in TABLES:
            scratch.execute(statement)
        return {
            (table, name): (kind, not (is_needed or place))
            for table in KEYS
            for _, name, kind, is_needed, _, place in scratch.execute(f"PRAGMA table_info({table})").fetchall()
        }


async def fill(side: Side, rows: int = ROWS) -> None:
    """Write ``rows`` rows into every table; the head of the audit trail is one."""
    types = column_types()
    for table in KEYS:
        count = 1 if table == "audit_head" else rows
        contents = [tuple(_value(types, table, name, number) for name in columns_of(table)) for number in range(count)]
        unit = inserted(table, [(*KEYS[table], *row) for row in contents])
        emptied = [Statement("DELETE FROM audit_head", ())] if table == "audit_head" else []
        await side.store.commit(NO_TENANT, [*side.unguarded, *emptied, *unit, *side.guarded])


def _value(types: dict[tuple[str, str], tuple[str, bool]], table: str, column: str, number: int) -> Any:
    kind, may_be_null = types[table, column]
    if column == "tenant" and KEYS[table] != ("tenant",):
        return TENANTS[number % len(TENANTS)]
    if may_be_null and number % 3 == 2:
        return None
    if kind == "BLOB":
        return b"\x00\xff{}" + bytes([number])
    if kind == "TEXT":
        return f'{column}-{number} it\'s "fine" \u2028 ä %_'
    return 2**40 + number if kind == "BIGINT" else number + 1
