"""What is to be erased is remembered until it is, in the store and beside it."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

from gateway.drivers.settings import StoreTarget
from gateway.drivers.store.pending_erasures import (
    PendingErasure,
    ask_to_erase,
    erased_file,
    erasure_done,
    note_in_file,
    noted_in_file,
)
from gateway.drivers.store.reads import Store
from tests.support.factories.payments import AT


async def test_what_was_asked_for_stays_asked_for(store: Store) -> None:
    """Old data that somebody asks to erase is erased at its end; the other way round nothing changes."""
    await store.commit("acme", ask_to_erase([("acme", "pay_1"), ("acme", "pay_2")], None))
    await store.commit("acme", [*ask_to_erase([("acme", "pay_1")], AT), *ask_to_erase([("acme", "pay_1")], None)])
    assert await store.pending_erasures.page(("", ""), 9) == [
        PendingErasure("acme", "pay_1", True),
        PendingErasure("acme", "pay_2", False),
    ]
    await store.commit("acme", [erasure_done("acme", "pay_1")])
    assert [one.key for one in await store.pending_erasures.page(("", ""), 9)] == [("acme", "pay_2")]


async def test_pages_go_on_behind_the_last(store: Store) -> None:
    """By tenant, then by payment."""
    await store.commit("acme", ask_to_erase([("b", "pay_1"), ("a", "pay_2"), ("a", "pay_1")], AT))
    first = await store.pending_erasures.page(("", ""), 2)
    assert [one.key for one in first] == [("a", "pay_1"), ("a", "pay_2")]
    assert [one.key for one in await store.pending_erasures.page(first[-1].key, 2)] == [("b", "pay_1")]
    assert await store.pending_erasures.made_between("a", None, AT + timedelta(days=1), after="", limit=9) == []


def test_the_file_outlives_a_torn_write(tmp_path: Path) -> None:
    """A line that broke off takes none of the others with it; the file is its owner's alone."""
    file = tmp_path / "gateway.db.erased"
    assert erased_file(StoreTarget(url=tmp_path / "gateway.db")) == file
    assert noted_in_file(file) == []
    note_in_file(file, [("acme", "pay_1"), ("acme", "pay_2")])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text(f"{file.read_text()}\nacme pa")
    note_in_file(file, [("acme", "pay_2"), ("globex", "pay_3")])
    noted = noted_in_file(file)
    assert [one for one in noted if one[1] != "pa"] == [("acme", "pay_1"), ("acme", "pay_2"), ("globex", "pay_3")]
