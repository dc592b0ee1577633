"""The store's SQL as PostgreSQL reads it."""

from __future__ import annotations

from gateway.drivers.store.postgresql.dialect import definition, expecting_one, must_be_new, translated


def test_parameters_are_numbered_outside_of_texts() -> None:
    """A question mark in a text is a question mark; numbers that were given stay."""
    assert translated("SELECT '?' FROM t WHERE a = ? AND b = ?") == "SELECT '?' FROM t WHERE a = $1 AND b = $2"
    assert translated("SELECT ?2 FROM json_each(?1)") == "SELECT $2 FROM json_each($1)"


def test_bytes_are_counted_and_case_is_ignored() -> None:
    """Sizes are of the stored bytes; a pattern takes no notice of case on either engine."""
    assert translated("LENGTH(CAST(COALESCE(doc, '') AS BLOB))") == "OCTET_LENGTH(COALESCE(doc, ''))"
    assert translated("name LIKE ?") == "name ILIKE $1"


def test_texts_are_compared_byte_by_byte() -> None:
    """Ids are ordered by time only if their letters are compared as bytes."""
    made = definition("CREATE TABLE t (a TEXT NOT NULL, b INTEGER, c BLOB, PRIMARY KEY (a)) WITHOUT ROWID")
    assert made == 'CREATE TABLE t (a TEXT COLLATE "C" NOT NULL, b BIGINT, c BYTEA, PRIMARY KEY (a))'


def test_a_row_that_must_be_new_is_only_inserted() -> None:
    """Its unique keys are the expectation; every other write is counted by the server."""
    insert = "INSERT INTO t (a) VALUES (?)"
    assert must_be_new(f"{insert} ON CONFLICT DO NOTHING")
    assert expecting_one(f"{insert} ON CONFLICT DO NOTHING") == "INSERT INTO t (a) VALUES ($1)"
    for sql in (insert, f"{insert} ON CONFLICT (a) DO UPDATE SET a = 1"):
        assert not must_be_new(sql)
        assert "expect_one(COUNT(*))" in expecting_one(sql)
