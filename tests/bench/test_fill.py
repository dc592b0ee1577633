"""A filled store is like one that was filled by payments: every row, new ids, right sums."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from bench import stored
from bench.fill import filled, originals

COUNT = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has the store of a gateway with a few payments."""
    made = tmp_path_factory.mktemp("fill")
    originals(made, COUNT)
    return made


def test_every_row_is_copied(folder: Path) -> None:
    """Of every kind, and nothing is broken."""
    store = filled(folder, folder / "originals.db", 4 * COUNT)
    found = stored.count(store)
    stored.check(found, payments=range(4 * COUNT, 4 * COUNT + 1), callbacks=range(4 * COUNT, 4 * COUNT + 1))


def test_ids_keys_and_documents_are_each_copy_s_own(folder: Path) -> None:
    """A document names its own payment, ids are ordered as they were made, sums grow with the rows."""
    source = folder / "originals.db"
    store = filled(folder, source, 3 * COUNT)
    with contextlib.closing(sqlite3.connect(store)) as made, contextlib.closing(sqlite3.connect(source)) as before:
        assert made.execute("SELECT COUNT(*) FROM payments WHERE instr(doc, id) = 0").fetchone() == (0,)
        for column in ("id", "merchant_reference", "provider_reference"):
            assert made.execute(f"SELECT COUNT(DISTINCT {column}) FROM payments").fetchone() == (3 * COUNT,)  # noqa: S608
        newest = "SELECT id FROM payments ORDER BY id DESC LIMIT ?"
        assert made.execute(newest, (COUNT,)).fetchall() == before.execute(newest, (COUNT,)).fetchall()
        sums = "SELECT tenant, bytes * ? FROM stored_bytes ORDER BY tenant"
        assert made.execute(sums, (1,)).fetchall() == before.execute(sums, (3,)).fetchall()


def test_a_number_that_copies_cannot_reach_is_refused(folder: Path) -> None:
    """Half a payment cannot be copied."""
    with pytest.raises(ValueError, match="not a multiple"):
        filled(folder, folder / "originals.db", COUNT + 1)
