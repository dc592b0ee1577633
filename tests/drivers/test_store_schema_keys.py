"""Keys begin with the tenant, so that a tenant's rows can live in any database that has its tenant."""

from __future__ import annotations

from pathlib import Path

from gateway.drivers.store.reads import Store
from tests.support.factories.sqlite import beside


def unique_keys_of(path: Path) -> dict[str, list[list[str]]]:
    """Table -> the columns of each primary and unique key, of tables with a column ``tenant``."""
    found: dict[str, list[list[str]]] = {}
    with beside(path) as look:
        for (table,) in look.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            columns = look.execute("SELECT name, pk FROM pragma_table_info(?)", (table,)).fetchall()
            if "tenant" in dict(columns):
                primary = [name for name, place in sorted(columns, key=lambda column: column[1]) if place]
                indexes = look.execute('SELECT name FROM pragma_index_list(?) WHERE "unique"', (table,)).fetchall()
                others = [
                    [name for (name,) in look.execute("SELECT name FROM pragma_index_info(?) ORDER BY seqno", index)]
                    for index in indexes
                ]
                found[table] = [key for key in (primary, *others) if key]
    return found


async def test_every_unique_key_begins_with_the_tenant(store: Store, path: Path) -> None:
    """Primary keys too."""
    keys = unique_keys_of(path)
    assert {"payments", "events", "inbox", "search_payments", "refused_requests"} <= {
        table for table in keys if keys[table]
    }
    assert {table: key for table, own in keys.items() for key in own if key[0] != "tenant"} == {}
