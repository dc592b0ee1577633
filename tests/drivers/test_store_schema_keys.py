"""Keys begin with the tenant, so that a tenant's rows can live in any database that has its tenant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import psycopg

from gateway.drivers.store.reads import Store
from tests.support.factories.sqlite import beside

OF_SQLITE = """
    SELECT t.name, i.name, c.name FROM sqlite_master t JOIN pragma_index_list(t.name) i ON i."unique" = 1
    JOIN pragma_index_info(i.name) c WHERE t.type = 'table' ORDER BY t.name, i.name, c.seqno"""

OF_POSTGRESQL = """
    SELECT t.relname, i.relname, a.attname FROM pg_index x
    JOIN pg_class t ON t.oid = x.indrelid AND t.relnamespace = current_schema()::regnamespace
    JOIN pg_class i ON i.oid = x.indexrelid
    CROSS JOIN unnest(x.indkey::smallint[]) WITH ORDINALITY AS key (number, place)
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = key.number
    WHERE x.indisunique ORDER BY t.relname, i.relname, key.place"""

Keys = dict[str, list[list[str]]]
"""Table -> the columns of each unique key; the primary key is one of them."""


def keys_of(rows: Iterable[tuple[str, str, str]]) -> Keys:
    """By rows of table, index and column."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for table, index, column in rows:
        found[table, index].append(column)
    keys: Keys = defaultdict(list)
    for (table, _), columns in found.items():
        keys[table].append(columns)
    return keys


def check(keys: Keys, with_tenant: set[str]) -> None:
    """Every key of a table with a tenant begins with it."""
    assert {"payments", "events", "inbox", "search_payments", "refused_requests"} <= with_tenant & keys.keys()
    assert {table: own for table in with_tenant for own in keys[table] if own[0] != "tenant"} == {}


async def test_every_unique_key_begins_with_the_tenant(store: Store, path: Path) -> None:  # makes it
    """Primary keys too."""
    with beside(path) as look:
        tables = "SELECT t.name FROM sqlite_master t JOIN pragma_table_info(t.name) c ON c.name = 'tenant'"
        check(keys_of(look.execute(OF_SQLITE).fetchall()), {table for (table,) in look.execute(tables)})


def test_every_unique_key_on_postgresql_begins_with_the_tenant(database_url: str) -> None:
    """Also of the tables that are only there."""
    with psycopg.connect(database_url) as look:
        tables = "SELECT table_name FROM information_schema.columns WHERE column_name = 'tenant'"
        with_tenant = {table for (table,) in look.execute(tables).fetchall()}
        keys = keys_of(look.execute(OF_POSTGRESQL).fetchall())
    assert {"units", "claims"} <= with_tenant & keys.keys()
    check(keys, with_tenant)
