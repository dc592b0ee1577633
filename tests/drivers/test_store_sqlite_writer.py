"""Group commit: nobody is harmed by another's haste, a full disk or a lock, and the end comes once for all."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.core.errors import Unavailable
from gateway.drivers.store.reads import Store
from gateway.drivers.store.sqlite import MAX_BATCH_UNITS, open_sqlite
from gateway.drivers.store.transactions import Locked
from tests.support.factories.payments import AT
from tests.support.factories.sqlite import WRITE_LOCK, beside, engine_of, found, outcomes_of, pragma, unit


async def test_a_full_disk_fails_the_whole_transaction_and_no_later_one(store: Store, path: Path) -> None:
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
