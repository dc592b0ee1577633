"""The write-ahead log is copied back aside: it stays short under load, and a copy that fails harms nothing."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from gateway.core.errors import Unavailable
from gateway.drivers.store import checkpoints
from gateway.drivers.store.reads import Store
from gateway.drivers.store.sqlite import open_sqlite
from tests.support.factories.sqlite import beside, found, pragma, unit

PAGE = 4096


def log_of(path: Path) -> Path:
    """The write-ahead log of a database."""
    return path.with_name(path.name + "-wal")


def size_of(path: Path) -> int:
    """Bytes of a file."""
    return path.stat().st_size


async def write_much(store: Store, rounds: int, start: int = 0) -> None:
    """Write without a pause: as soon as some units are written, the next wait."""
    for number in range(start, start + rounds * 20, 20):
        await asyncio.gather(*(store.commit("acme", unit(one)) for one in range(number, number + 20)))


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a test reaches."""
    monkeypatch.setattr(checkpoints, "CHECKPOINT_ROWS", 50)
    monkeypatch.setattr(checkpoints, "RESTART_PAGES", 200)


async def test_commits_never_copy_the_log(store: Store, path: Path) -> None:
    """The writer itself makes no checkpoint: nobody's commit waits for one."""
    assert await pragma(store, "wal_autocheckpoint") == 0


@pytest.mark.usefixtures("small_steps")
async def test_the_log_stays_short_under_load(path: Path) -> None:
    """Many times more is written than the log may hold, and it stays about as long as its limit."""
    store = await open_sqlite(path)
    longest = 0
    for start in range(0, 3000, 300):
        await write_much(store, 15, start)
        longest = max(longest, size_of(log_of(path)))
    assert size_of(path) > 1000 * PAGE
    assert longest < 1000 * PAGE
    await store.close()


@pytest.mark.usefixtures("small_steps")
async def test_without_a_keeper_the_log_would_grow(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test before this one can fail: when nothing is copied, the log holds everything."""
    monkeypatch.setattr(checkpoints.Checkpointer, "changed", lambda _keeper, _rows: None)
    store = await open_sqlite(path)
    await write_much(store, 150)
    assert log_of(path).stat().st_size > 1000 * PAGE
    await store.close()


@pytest.mark.usefixtures("small_steps")
async def test_the_log_is_short_again_when_a_long_reader_has_gone(path: Path) -> None:
    """A reader that stays keeps the log growing and nobody waiting; when it goes, the log is begun anew."""
    store = await open_sqlite(path)
    with beside(path) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM payments").fetchone()
        await write_much(store, 60)
    grown = log_of(path).stat().st_size
    await write_much(store, 60, start=2000)
    assert log_of(path).stat().st_size < grown + 1000 * PAGE
    await store.close()
    assert not log_of(path).exists()


@pytest.mark.usefixtures("small_steps")
async def test_a_copy_that_fails_harms_nothing_and_is_tried_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While the database cannot grow commits go on in the log; once it can, the log is copied."""
    failed: list[str] = []
    done: list[str] = []
    real = checkpoints.checkpoint

    def failing(connection: sqlite3.Connection, mode: str) -> int:
        is_long = size_of(log_of(path)) > 2 * checkpoints.RESTART_PAGES * PAGE
        (done if is_long else failed).append(mode)
        if not is_long:
            raise sqlite3.OperationalError("database or disk is full")
        return real(connection, mode)

    monkeypatch.setattr(checkpoints, "checkpoint", failing)
    store = await open_sqlite(path)
    await write_much(store, 100)
    assert len(failed) > 1
    assert "RESTART" in done
    assert caplog.messages.count("the log cannot be copied into the database") == len(failed)
    assert await found(store, 0, 1999) == [0, 1999]
    await store.close()


async def test_what_a_killed_process_left_is_copied_at_the_start(
    store: Store, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that was left behind is read, and copied back though nothing is written."""
    await write_much(store, 6)
    left = tmp_path / "left" / path.name
    left.parent.mkdir()
    for file in (path, log_of(path)):
        left.with_name(file.name).write_bytes(file.read_bytes())
    copied, real = threading.Event(), checkpoints.checkpoint
    monkeypatch.setattr(checkpoints, "checkpoint", lambda *asked: (real(*asked), copied.set())[0])
    before = left.stat().st_size
    again = await open_sqlite(left)
    assert await asyncio.to_thread(copied.wait, 10)
    assert left.stat().st_size > before
    assert await found(again, 0, 119) == [0, 119]
    await again.close()


async def test_a_closed_keeper_lets_its_file_go(path: Path) -> None:
    """After the close no connection is left: the log is gone, and a commit is refused."""
    store = await open_sqlite(path)
    await store.commit("acme", unit(1))
    await store.close()
    assert not log_of(path).exists()
    with pytest.raises(Unavailable):
        await store.commit("acme", unit(2))


async def test_what_was_deleted_is_not_left_in_the_log(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is cut off; while a reader, such as a backup, looks at an older state it cannot be, and that is said."""
    monkeypatch.setattr(checkpoints, "EMPTYING_TRIES", 2)
    await write_much(store, 1)
    with beside(path) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT 1 FROM payments").fetchall()
        await write_much(store, 1, start=100)
        assert not await store.empty_log()
        assert size_of(log_of(path)) > 0
    assert await store.empty_log()
    assert size_of(log_of(path)) == 0
    assert await found(store, 0, 100) == [0, 100]


async def test_what_was_deleted_is_overwritten(store: Store, path: Path) -> None:
    """Whatever the SQLite of this machine does by itself."""
    assert await pragma(store, "secure_delete") == 1


async def test_a_store_is_closed_after_a_copy_whose_caller_was_cancelled(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread still works on the connection; closed under it, the process would end by a segmentation fault."""
    copy, began, may_end = checkpoints.checkpoint, threading.Event(), threading.Event()
    ended: list[int] = []

    def slow(connection: sqlite3.Connection, mode: str) -> int:
        began.set()
        may_end.wait(10)
        ended.append(copy(connection, mode))
        return ended[-1]

    monkeypatch.setattr(checkpoints, "checkpoint", slow)
    emptying = asyncio.create_task(store.empty_log())
    await asyncio.to_thread(began.wait, 10)
    emptying.cancel()
    closing = asyncio.create_task(store.close())
    await asyncio.wait([emptying])
    for _ in range(100):
        await asyncio.sleep(0)
    assert not closing.done()
    may_end.set()
    await closing
    assert ended
