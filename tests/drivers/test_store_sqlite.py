"""The SQLite engine: whole units or nothing, durable, one server per folder, and every trouble heals."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from pathlib import Path

import pytest

from gateway.core.errors import Conflict, Unavailable
from gateway.drivers.store.reads import Store
from gateway.drivers.store.sqlite import open_sqlite, open_sqlite_to_read
from gateway.drivers.store.store_files import AlreadyRunning
from tests.support.factories.payments import AT
from tests.support.factories.sqlite import WRITE_LOCK, beside, engine_of, found, pragma, unit
from tests.support.factories.store_units import create_of, reserving, stored


async def test_commits_are_durable(store: Store, path: Path) -> None:
    """A commit waits for the disk: write-ahead log, synchronised in full."""
    assert await pragma(store, "journal_mode") == "wal"
    assert await pragma(store, "synchronous") == 2
    await stored(store, 1)
    with beside(path) as other:
        assert other.execute("SELECT id FROM payments").fetchall() == [("pay_001",)]


async def test_units_share_a_transaction_but_not_a_fate(store: Store, path: Path) -> None:
    """Of units that are committed together, one that conflicts fails alone."""
    begun: list[str] = []
    engine_of(store)._writer.set_trace_callback(begun.append)
    clash = reserving(*create_of(2, merchant_reference="SO-1"))
    outcomes = await asyncio.gather(
        *(store.commit("acme", one) for one in (unit(1), clash, unit(3))), return_exceptions=True
    )
    assert [str(outcome) for outcome in outcomes] == ["None", "conflict on merchant_reference", "None"]
    assert await found(store, 1, 2, 3) == [1, 3]
    assert begun.count("COMMIT") == 1


async def test_the_first_of_two_equal_units_wins(store: Store, path: Path) -> None:
    """Units are run in the order they came, also within one transaction."""
    first, second = create_of(1), create_of(2, merchant_reference="SO-1")
    outcomes = await asyncio.gather(
        store.commit("acme", reserving(*first)), store.commit("acme", reserving(*second)), return_exceptions=True
    )
    assert outcomes[0] is None
    assert isinstance(outcomes[1], Conflict)


async def test_a_cancelled_caller_leaves_no_transaction_open(store: Store, path: Path) -> None:
    """Anyone who stops waiting stops nothing: the unit is written whole, and others can write at once."""
    waiting = asyncio.create_task(store.commit("acme", unit(1)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await store.commit("acme", unit(2))
    assert await found(store, 1, 2) == [1, 2]
    with beside(path) as other:
        other.execute(WRITE_LOCK)


# One server per folder


async def test_a_second_server_is_kept_out(store: Store, path: Path) -> None:
    """The folder is locked while a store is open, and free when it is closed."""
    with pytest.raises(AlreadyRunning):
        await open_sqlite(path)
    await store.commit("acme", unit(1))
    await store.close()
    again = await open_sqlite(path)
    assert await found(again, 1) == [1]
    await again.close()


async def test_reading_beside_a_running_server(store: Store, path: Path) -> None:
    """A reader sees what was committed, at once, and cannot write."""
    reader = await open_sqlite_to_read(path)
    await store.commit("acme", unit(1))
    assert await found(reader, 1) == [1]
    with pytest.raises(Unavailable):
        await reader.commit("acme", unit(2))
    await store.commit("acme", unit(2))
    assert await found(reader, 2) == [2]
    await reader.close()


async def test_reading_makes_nothing(path: Path) -> None:
    """Where there is no database, opening one to read fails and leaves none behind."""
    with pytest.raises(Unavailable):
        await open_sqlite_to_read(path)
    assert os.listdir(path.parent.parent) == []


# Trouble, and its end


@pytest.mark.parametrize(
    ("trouble", "end"),
    [("query_only = ON", "query_only = OFF"), ("max_page_count = 1", "max_page_count = 1073741823")],
    ids=["read only", "disk full"],
)
async def test_a_store_that_cannot_be_written_heals(store: Store, path: Path, trouble: str, end: str) -> None:
    """While the file is read-only or the disk is full a commit keeps nothing and is unavailable; then all is well."""
    await store.commit("acme", unit(1))
    await pragma(store, trouble)
    many = [statement for number in range(100, 150) for statement in unit(number)]
    with pytest.raises(Unavailable) as problem:
        await store.commit("acme", many)
    assert not isinstance(problem.value, Conflict)
    assert await found(store, 1, 100) == [1]
    await pragma(store, end)
    await store.commit("acme", many)
    assert await found(store, 1, 100) == [1, 100]


async def test_a_store_that_others_lock_heals(store: Store, path: Path) -> None:
    """While another process keeps the file locked a commit is unavailable; then it works again."""
    await pragma(store, "busy_timeout = 1")
    with beside(path) as other:
        other.execute(WRITE_LOCK)
        with pytest.raises(Unavailable):
            await store.prove_writable(AT)
    await store.prove_writable(AT)


def make_trouble(path: Path, trouble: str) -> None:
    """Put something else where the database should be."""
    if trouble == "folder is a file":
        path.parent.write_text("")
    elif trouble == "database is a folder":
        path.mkdir(parents=True)
    else:
        path.parent.mkdir()
        path.write_text("this is no database, however long one reads on" * 100)


def mend(path: Path) -> None:
    """Take it away again."""
    if path.parent.is_file():
        path.parent.unlink()
    else:
        shutil.rmtree(path.parent)


@pytest.mark.parametrize("trouble", ["folder is a file", "database is a folder", "database is no database"])
async def test_what_cannot_be_opened_is_unavailable_and_heals(path: Path, trouble: str) -> None:
    """A folder or a file that cannot be used is said so, keeps no lock and no thread, and once mended it opens."""
    before = set(threading.enumerate())
    make_trouble(path, trouble)
    with pytest.raises(Unavailable):
        await open_sqlite(path)
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()
    mend(path)
    store = await open_sqlite(path)
    await store.prove_writable(AT)
    await store.close()


async def test_a_missing_folder_is_made(store: Store, path: Path) -> None:
    """The data folder is made where it is missing."""
    assert path.name in os.listdir(path.parent)
