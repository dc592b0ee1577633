"""The store is held against the answers before a figure is printed."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from bench import stored
from gateway.drivers.store.schema import TABLES

WHOLE = {"payments": 10, "captured": 4, "operations": 10, "keys": 10, "events": 24, "webhooks": 24, "callbacks": 4}


def test_the_counting_fits_the_tables(tmp_path: Path) -> None:
    """A table that changes its name or its columns is noticed here, not in an hour of measuring."""
    with sqlite3.connect(tmp_path / "a.db") as made:
        for statement in TABLES:
            made.execute(statement)
        plan = str(made.execute(f"EXPLAIN QUERY PLAN {stored.COUNTS['keys'][0]}").fetchall())
    assert "(tenant=? AND payment_id=? AND id=?)" in plan  # each key's operation by itself, not all of them
    assert stored.count(tmp_path / "a.db") == dict.fromkeys(WHOLE, 0)


def test_tables_of_an_older_version_are_counted_too(tmp_path: Path) -> None:
    """Another working tree may still have them; what no statement fits raises."""
    with sqlite3.connect(tmp_path / "a.db") as made:
        made.execute("CREATE TABLE deliveries (id TEXT)")
        made.execute("INSERT INTO deliveries VALUES ('dlv_1')")
    assert stored.count(tmp_path / "a.db", {"webhooks": stored.COUNTS["webhooks"]}) == {"webhooks": 1}
    with pytest.raises(sqlite3.OperationalError):
        stored.count(tmp_path / "a.db", {"payments": stored.COUNTS["payments"]})


def test_what_was_in_flight_may_be_stored_or_not() -> None:
    """Its answers were not counted."""
    for answered in (8, 10):
        stored.check(WHOLE, payments=range(answered, answered + 3), callbacks=range(4, 7))


@pytest.mark.parametrize(
    "found",
    [
        {"payments": 7},
        {"payments": 11},
        {"captured": 3, "events": 23, "webhooks": 23, "callbacks": 3},
        {"operations": 9},
        {"keys": 9},
        {"events": 23},
        {"webhooks": 23},
        {"callbacks": 5},
    ],
)
def test_a_missing_or_surplus_row_raises(found: dict[str, int]) -> None:
    """Of whatever kind."""
    with pytest.raises(stored.WrongStore):
        stored.check(WHOLE | found, payments=range(8, 11), callbacks=range(4, 7))
