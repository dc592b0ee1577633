"""The tables on PostgreSQL: those of every engine, and the functions and triggers that are written otherwise here."""

from __future__ import annotations

import psycopg

from gateway.core.errors import Unavailable
from gateway.drivers.store import claims, nodes
from gateway.drivers.store.postgresql.dialect import definition, translated
from gateway.drivers.store.schema import TABLES

UNITS = """
    CREATE TABLE IF NOT EXISTS units (
        tenant TEXT NOT NULL, id TEXT NOT NULL, bytes BIGINT NOT NULL,
        PRIMARY KEY (tenant, id)
    )"""
"""A mark of each unit that was committed, and by how many bytes it let its tenant grow, until that is summed up."""

FUNCTIONS = (
    """
    CREATE OR REPLACE FUNCTION expect_one(rows BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS $$
    BEGIN
        IF rows <> 1 THEN RAISE EXCEPTION 'not one row' USING ERRCODE = 'GW001'; END IF;
        RETURN rows;
    END $$""",
    """
    CREATE OR REPLACE FUNCTION json_extract(doc TEXT, path TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE STRICT AS
    $$ SELECT doc::json #>> string_to_array(substr(path, 3), '.') $$""",
    """
    CREATE OR REPLACE FUNCTION json_each(list TEXT) RETURNS TABLE (value TEXT) LANGUAGE sql IMMUTABLE STRICT AS
    $$ SELECT value FROM json_array_elements_text(list::json) AS value $$""",
    """
    CREATE OR REPLACE FUNCTION clock_milliseconds() RETURNS BIGINT LANGUAGE sql VOLATILE AS
    $$ SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) $$""",
)
"""``expect_one`` fails a unit whose statement touched another number of rows. Paths are names: ``$.money.amount``."""

LOCK = 0x67617465776179
"""The advisory lock that is held while tables are made."""


def statements() -> list[str]:
    """What makes everything, in order."""
    return [
        *FUNCTIONS,
        *(definition(sql) if "CREATE" in sql else translated(sql) for sql in _portable()),
        *map(definition, (UNITS, *nodes.TABLES, *claims.TABLES)),
    ]


def _portable() -> list[str]:
    return [sql for sql in TABLES if "TRIGGER" not in sql]


async def make_tables(url: str) -> None:
    """Make what is missing, in one transaction; another process that does the same waits. Raises ``Unavailable``."""
    try:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            for sql in statements():
                await connection.execute(sql.encode())
    except psycopg.Error as problem:
        raise Unavailable(f"the tables of the store cannot be made: {problem}") from problem
