"""Stores as earlier versions of the gateway left them, in a file or in a PostgreSQL database."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import psycopg

from gateway.drivers.store.postgresql.dialect import definition
from gateway.drivers.store.postgresql.migrations import VERSIONS
from gateway.drivers.store.postgresql.schema import FUNCTIONS, INSTEAD, OWN_TABLES
from gateway.drivers.store.schema import EVENTS

FOLDER = Path(__file__).parents[2] / "drivers"
RELEASES = (1, 2, 3, 4)
"""The versions before this one."""

JSON_REMOVE = """
    CREATE FUNCTION json_remove(doc text, VARIADIC paths text[]) RETURNS text LANGUAGE sql AS $$
    SELECT '{' || string_agg(to_json(key) || ':' || value, ',' ORDER BY place) || '}'
    FROM json_each(doc::json) WITH ORDINALITY AS member (key, value, place) WHERE '$.' || key <> ALL (paths) $$"""
"""What only the first migration needs: no store on PostgreSQL is as old."""

NUMBERED = "ALTER TABLE {} ADD COLUMN rowid BIGINT GENERATED ALWAYS AS IDENTITY"


def left_by_release(path: Path, version: int) -> Path:
    """Make a file as the gateways of this version left it; its folder must not exist."""
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as store:
        store.executescript(_text(version))
    store.close()
    return path


def left_on_postgresql(url: str, version: int) -> None:
    """Fill an empty database as the gateways of this version would have left it."""
    kept = sqlite3.connect(":memory:")
    kept.executescript(_text(version))
    made = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND type <> 'trigger' ORDER BY rootpage = 0"
    with psycopg.connect(url) as connection:
        for function in (*FUNCTIONS, JSON_REMOVE):
            connection.execute(function.encode())
        for kind, name, sql in kept.execute(made).fetchall():
            spelt = INSTEAD[EVENTS] if name == "events" and version > 2 else sql
            connection.execute(definition(spelt).replace("CREATE VIEW", "CREATE OR REPLACE VIEW").encode())
            if kind == "table":
                if version < 3 and name in ("events", "deliveries"):
                    connection.execute(NUMBERED.format(name).encode())
                _copy(kept, connection, name)
        for table in (*OWN_TABLES, VERSIONS):
            connection.execute(definition(table).encode())
        connection.execute("INSERT INTO schema_version VALUES (1, %s, %s)", (version, version))


def rows_of_sqlite(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every table and its rows, sorted."""
    with sqlite3.connect(path) as look:
        return _sorted({table: look.execute(f"SELECT * FROM {table}").fetchall() for table in _tables(look)})  # noqa: S608


def rows_of_postgresql(url: str, like: Path) -> dict[str, list[tuple[Any, ...]]]:
    """The same of the tables and columns that a file has."""
    with sqlite3.connect(like) as look, psycopg.connect(url) as connection:
        columns = {table: ", ".join(_columns(look, table)) for table in _tables(look)}
        return _sorted(
            {
                table: connection.execute(f"SELECT {names} FROM {table}".encode()).fetchall()  # noqa: S608
                for table, names in columns.items()
            }
        )


def _sorted(rows: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    return {table: sorted(own, key=repr) for table, own in rows.items()}


def _copy(kept: sqlite3.Connection, connection: psycopg.Connection[Any], table: str) -> None:
    columns = _columns(kept, table)
    places = ", ".join(["%s"] * len(columns))
    names = ", ".join(columns)
    for row in kept.execute(f"SELECT {names} FROM {table}"):  # noqa: S608  # in the order of their rows
        connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})".encode(), row)  # noqa: S608


def _text(version: int) -> str:
    return (FOLDER / f"store_v{version}.sql").read_text(encoding="utf-8")


def _tables(look: sqlite3.Connection) -> list[str]:
    return [name for (name,) in look.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]


def _columns(look: sqlite3.Connection, table: str) -> list[str]:
    return [name for (name,) in look.execute("SELECT name FROM pragma_table_info(?)", (table,))]
