"""Group commit: nobody is harmed by another's haste, a full disk or a lock, and the end comes once for all."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.core.errors import Unavailable
from gateway.drivers.store.reads import Store
from gateway.drivers.store.sqlite import MAX_BATCH_UNITS, open_sqlite
from gateway.drivers.store.transactions import Locked
from tests.support.factories.payments import AT
from tests.support.factories.sqlite import WRITE_LOCK, beside, engine_of, found, outcomes_of, pragma, unit


async def test_a_cancelled_crowd_harms_nobody(store: Store) -> None:
    """Of many callers half give up: every unit is there whole, and each of the others is answered."""
    tasks = [asyncio.create_task(store.commit("acme", unit(number))) for number in range(MAX_BATCH_UNITS * 2)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in outcomes] == [asyncio.CancelledError, type(None)] * MAX_BATCH_UNITS
    await store.commit("acme", unit(900))
    assert await found(store, *range(MAX_BATCH_UNITS * 2), 900) == [*range(MAX_BATCH_UNITS * 2), 900]


async def test_a_full_disk_fails_the_whole_transaction_and_no_later_one(store: Store) -> None:
    """Whoever shared the transaction is told so, nothing of it is kept, and with room the next one works."""
    await pragma(store, "max_page_count = 1")
    crowd = [[statement for number in range(at, at + 40) for statement in unit(number)] for at in (100, 200, 300)]
    outcomes = await outcomes_of(store, *crowd)
    assert [type(one) for one in outcomes] == [Unavailable] * 3
    assert await found(store, 100, 200, 300) == []
    await pragma(store, "max_page_count = 1073741823")
    assert await outcomes_of(store, *crowd) == [None] * 3
    assert await found(store, 139, 239, 339) == [139, 239, 339]


async def test_a_locked_database_keeps_nobody_waiting_behind_others(store: Store, path: Path) -> None:
    """While somebody else holds the file all who wait are answered after one patience, however many they are."""
    await pragma(store, "busy_timeout = 1")
    begun: list[str] = []
    engine_of(store)._writer.set_trace_callback(begun.append)
    with beside(path) as other:
        other.execute(WRITE_LOCK)
        outcomes = await outcomes_of(store, *(unit(number) for number in range(MAX_BATCH_UNITS * 5)))
    assert {type(one) for one in outcomes} == {Locked}
    assert begun.count(WRITE_LOCK) <= 2
    await store.prove_writable(AT)


async def test_closing_twice_closes_once(path: Path) -> None:
    """The second close waits for the first and touches nothing: the lock's number may be another file's by then."""
    store = await open_sqlite(path)
    await asyncio.gather(store.close(), store.close())
    with path.with_name("other").open("w") as other:  # takes the number of the lock's descriptor
        await store.close()
        other.write("still open")


async def test_a_close_that_nobody_waits_for_is_finished(path: Path) -> None:
    """Anyone who gives up waiting for the close leaves no half-closed store: it opens again."""
    store = await open_sqlite(path)
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await store.close()
    again = await open_sqlite(path)
    await again.close()


async def test_what_comes_while_closing_is_refused(path: Path) -> None:
    """From the moment the close has begun a commit is unavailable at once, though the writer still works."""
    store = await open_sqlite(path)
    handed = [asyncio.create_task(store.commit("acme", unit(number))) for number in range(3)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await store.commit("acme", unit(9))
    assert [task.done() for task in handed] == [False] * 3
    await asyncio.gather(closing, *handed)
