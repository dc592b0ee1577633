"""The check of the audit trail finds every row that was changed, added, moved or removed, whoever did it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from gateway.core.secret import Secret
from gateway.drivers.store.audit import AuditHead, append, hash_of
from gateway.drivers.store.reads import Store
from gateway.drivers.store.sqlite import open_sqlite
from gateway.drivers.store.statements import Statement
from gateway.flows.audit import key_of, secret_id_of
from gateway.flows.audit_chain import Kept, Verified, verify
from tests.drivers.test_store_audit import content
from tests.support.factories.sqlite import beside

NOW, BEFORE, OTHER = Secret("now-" * 10), Secret("before-" * 10), Secret("other-" * 10)
TRIGGERS = ("audit_log_is_not_changed", "audit_log_is_not_shortened", "audit_log_only_grows", "audit_head_follows")
COLUMNS = (
    "at, key_id, key_name, approved_by, approval_id, act, tenant, payment_id, subject, reason, details,"
    " previous_hash, hash, secret_id, mac"
)


def row(number: int, secret: Secret) -> Statement:
    """A row as the gateway writes it under a secret."""
    return append(content(number, secret_id=secret_id_of(secret)), key_of(secret))


def edited(column: str, value: str) -> str:
    """A change of the fourth row."""
    return f"UPDATE audit_log SET {column} = {value} WHERE sequence = 4"  # noqa: S608  # our own words


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store is."""
    return tmp_path / "store" / "gateway.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    """A store with a trail of eight rows."""
    opened = await open_sqlite(path)
    for number in range(1, 9):
        await opened.commit("acme", [row(number, NOW)])
    yield opened
    await opened.close()


def kept_of(found: Verified) -> Kept:
    """What somebody writes down of a check."""
    return Kept(found.head.sequence, found.head.hash)


def edit(path: Path, *statements: str) -> None:
    """Change the file as somebody who can write it does."""
    with beside(path) as other:
        for sql in (*(f"DROP TRIGGER {one}" for one in TRIGGERS), *statements):
            other.execute(sql)


async def test_a_trail_as_it_was_written_is_whole(store: Store) -> None:
    """Its head is the newest row; a head that was written down earlier is still there."""
    first = await verify(store, [NOW])
    assert (first.rows, first.problems) == (8, ())
    await store.commit("acme", [row(9, NOW)])
    assert (await verify(store, [NOW], kept_of(first))).problems == ()


@pytest.mark.parametrize("column", [one.strip() for one in COLUMNS.split(",")])
async def test_every_column_is_proved(store: Store, path: Path, column: str) -> None:
    """A row of which one value is another is found."""
    edit(path, edited(column, "1" if column == "at" else "'other'"))
    found = (await verify(store, [NOW])).problems
    assert "row 4" in found[0] or "row 5" in found[0]


@pytest.mark.parametrize(
    ("statements", "problem"),
    [
        (["DELETE FROM audit_log WHERE sequence = 4"], "rows 4 to 4 are missing"),
        (["DELETE FROM audit_log WHERE sequence = 1"], "rows 1 to 1 are missing"),
        (["DELETE FROM audit_log WHERE sequence > 6"], "rows 7 to 8 are missing at the end"),
        (["DELETE FROM audit_log"], "rows 1 to 8 are missing at the end"),
        (
            [
                "DELETE FROM audit_log WHERE sequence = 4",
                "UPDATE audit_log SET sequence = sequence - 1 WHERE sequence > 4",
            ],
            "row 4 does not follow row 3: one of them is not the one written",
        ),
        (
            [
                "UPDATE audit_log SET sequence = 100 WHERE sequence = 4",
                "UPDATE audit_log SET sequence = 4 WHERE sequence = 5",
                "UPDATE audit_log SET sequence = 5 WHERE sequence = 100",
            ],
            "row 4 does not follow row 3: one of them is not the one written",
        ),
        (
            [f"INSERT INTO audit_log (sequence, {COLUMNS}) SELECT 9, {COLUMNS} FROM audit_log WHERE sequence = 8"],  # noqa: S608
            "row 9 does not follow row 8: one of them is not the one written",
        ),
        (["DELETE FROM audit_head"], "the note of the newest row (audit_head) is gone"),
    ],
    ids=["removed", "first removed", "end cut", "emptied", "removed and renumbered", "moved", "added", "no head"],
)
async def test_what_was_done_to_the_rows_is_said(store: Store, path: Path, statements: list[str], problem: str) -> None:
    """With the numbers of the rows."""
    edit(path, *statements)
    assert problem in (await verify(store, [NOW])).problems


async def test_a_chain_made_anew_without_the_secret_is_found(tmp_path: Path) -> None:
    """Whoever writes all rows again, with hashes that fit, cannot make the keyed ones, nor name another secret."""
    forged = await open_sqlite(tmp_path / "forged" / "gateway.db")
    for number in range(1, 4):
        await forged.commit("acme", [row(number, OTHER)])
    assert (await verify(forged, [NOW])).problems == ("no secret of the settings proves the rows after 0",)
    edit(tmp_path / "forged" / "gateway.db", f"UPDATE audit_log SET secret_id = '{secret_id_of(NOW)}'")  # noqa: S608
    assert "row 1 was not written by the gateway: its keyed hash is another" in (await verify(forged, [NOW])).problems
    await forged.close()


async def test_an_end_that_was_cut_with_its_head_needs_a_head_kept_elsewhere(store: Store, path: Path) -> None:
    """That much somebody can do who writes the whole file; a head that was kept shows it."""
    kept = kept_of(await verify(store, [NOW]))
    edit(
        path,
        "DELETE FROM audit_log WHERE sequence > 6",
        "UPDATE audit_head SET sequence = 6, (hash, mac) = (SELECT hash, mac FROM audit_log WHERE sequence = 6)",
    )
    assert (await verify(store, [NOW])).problems == ()
    assert "row 8" in (await verify(store, [NOW], kept)).problems[0]
    assert (await verify(store, [NOW], Kept(3, "0" * 64))).problems != ()


async def test_rows_of_an_old_secret_are_proved_by_those_after_them(store: Store, path: Path) -> None:
    """After a rotation, with and without the old secret in the settings; until the first new row the old one counts."""
    assert (await verify(store, [BEFORE])).problems == ("no secret of the settings proves the rows after 0",)
    await store.commit("acme", [row(9, BEFORE)])
    assert (await verify(store, [BEFORE])).problems == ()
    assert (await verify(store, [BEFORE, NOW])).problems == ()
    edit(path, "UPDATE audit_log SET reason = 'other' WHERE sequence = 2")
    assert (await verify(store, [BEFORE])).problems == ("row 2 or the keyed hash of the row before was changed",)


async def test_a_row_of_a_lost_secret_is_not_exchanged_with_its_hash(store: Store, path: Path) -> None:
    """Nobody can check its keyed hash any more: the rows after it hold what it was."""
    await store.commit("acme", [row(9, BEFORE)])
    first, second, third, *_ = await store.audit.after(0, 3)
    before = AuditHead(sequence=1, hash=first.hash, mac=first.mac)
    forged = hash_of(before, msgspec.structs.replace(second, reason="other"))
    edit(
        path,
        f"UPDATE audit_log SET reason = 'other', hash = '{forged}' WHERE sequence = 2",  # noqa: S608  # our own words
        f"UPDATE audit_log SET previous_hash = '{forged}' WHERE sequence = 3",  # noqa: S608  # our own words
    )
    problem = f"row {third.sequence} or the keyed hash of the row before was changed"
    assert (await verify(store, [BEFORE])).problems == (problem,)
