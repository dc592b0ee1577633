"""The store's SQL, which is written once, as PostgreSQL reads it: placeholders, and the few words it spells otherwise.

What it lacks is defined as functions in the database (``schema.py``).
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

from gateway.drivers.store.claims import HOLDER_IS_OVER
from gateway.drivers.store.statements import HINTED, OWNER_COUNTS_NO_MORE

_QUOTED_OR_PLACEHOLDER = re.compile(r"'[^']*'|\?\d*")
_BYTES_OF_TEXT = re.compile(r"LENGTH\(CAST\((.+?) AS BLOB\)\)")
_WORDS = {"LIKE": "ILIKE"}  # SQLite's takes no notice of case
_WORD = re.compile(rf"\b({'|'.join(_WORDS)})\b")

_SEEN_AS_THEY_ARE = {
    HINTED: "is_hinted(payments.tenant, payments.id)",
    HOLDER_IS_OVER: "is_over(claims.node, ?)",
    OWNER_COUNTS_NO_MORE: f"{OWNER_COUNTS_NO_MORE.removesuffix(')')} FOR SHARE)",
}
"""Conditions on other rows than the one that is written: as functions, which read again each time, or with a lock, for
which a unit that is changing such a row is waited for.

A statement that has waited for a row reads that one again, but all others as they were when it began.
"""

_TYPES = {"TEXT": 'TEXT COLLATE "C"', "INTEGER": "BIGINT", "BLOB": "BYTEA", " WITHOUT ROWID": ""}
_TYPE = re.compile(r"\b(?:TEXT|INTEGER|BLOB)\b| WITHOUT ROWID\b")
_VIEW = "CREATE VIEW IF NOT EXISTS"
_UNLESS_THERE = " ON CONFLICT DO NOTHING"


@lru_cache(maxsize=2000)
def translated(sql: str) -> str:
    """A statement or a query, with ``$1`` for its first parameter."""
    number = 0

    def placed(found: re.Match[str]) -> str:
        nonlocal number
        text = found[0]
        if text[0] == "'":
            return text
        number += 1
        return f"${text[1:] or number}"

    for condition, function in _SEEN_AS_THEY_ARE.items():
        sql = sql.replace(condition, function)
    spelt = _WORD.sub(lambda found: _WORDS[found[0]], _BYTES_OF_TEXT.sub(r"OCTET_LENGTH(\1)", sql))
    return _QUOTED_OR_PLACEHOLDER.sub(placed, spelt)


@cache
def definition(sql: str) -> str:
    """What makes or alters a table, an index or a view. Texts are compared byte by byte, as ids and keys must be."""
    if "CREATE TABLE" in sql or "ALTER TABLE" in sql:
        return _TYPE.sub(lambda found: _TYPES[found[0]], sql)
    return sql.replace(_VIEW, "CREATE OR REPLACE VIEW")


def must_be_new(sql: str) -> bool:
    """Whether a write that must touch exactly one row inserts it: then a unique key fails where it is there."""
    return sql.endswith(_UNLESS_THERE)


@lru_cache(maxsize=2000)
def expecting_one(sql: str) -> str:
    """A write that fails, and its whole unit with it, unless it touches exactly one row."""
    if must_be_new(sql):  # for half the CPU: nothing is looked for first, and nothing counted
        return translated(sql.removesuffix(_UNLESS_THERE))
    return f"WITH touched AS ({translated(sql)} RETURNING 1) SELECT expect_one(COUNT(*)) FROM touched"  # noqa: S608  # our own words


@lru_cache(maxsize=2000)
def growing(sql: str, parameters: int) -> str:
    """A write that counts what it adds (tenant and bytes, after its own parameters) where it touches a row."""
    row = f"${parameters + 1}, CAST(${parameters + 2} AS BIGINT)"
    return (
        f"WITH touched AS ({translated(sql)} RETURNING 1)"  # noqa: S608  # our own words
        f" INSERT INTO growth (tenant, bytes) SELECT {row} FROM touched LIMIT 1"
    )
