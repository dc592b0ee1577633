"""Units of work on both engines: whole or nothing, each with its own end, and none lost by a close."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from gateway.core.errors import Conflict, Unavailable
from gateway.drivers.store import statements
from gateway.drivers.store.reads import Store
from gateway.drivers.store.sqlite import MAX_BATCH_UNITS
from gateway.drivers.store.statements import Statement
from gateway.drivers.store.stored_bytes import RECOUNT
from tests.support import stores
from tests.support.factories.payments import AT
from tests.support.factories.sqlite import found, outcomes_of, unit
from tests.support.factories.store_units import conflict, create_of, reserving, stored


async def test_a_unit_that_conflicts_in_the_middle_leaves_nothing(store: Store) -> None:
    """What stood before the conflict in the unit is undone, what stood behind it never done."""
    await stored(store, 1)
    payment, operation = create_of(2)
    clash = [*unit(3)[:4], statements.open_operation(payment, operation, due_at=AT), *unit(4)]
    assert await conflict(store, clash) == "version"
    assert await found(store, 1, 2, 3, 4) == [1]
    assert await store.idempotency_record("acme", "key-00000003") is None


async def test_more_units_than_one_transaction_takes(store: Store) -> None:
    """A crowd is committed in several transactions, each unit once."""
    await asyncio.gather(*(store.commit("acme", unit(number)) for number in range(MAX_BATCH_UNITS * 2 + 1)))
    assert len(await found(store, *range(MAX_BATCH_UNITS * 2 + 1))) == MAX_BATCH_UNITS * 2 + 1


@pytest.mark.parametrize("value", [2**70, "half a pair \ud800", object()])
async def test_a_value_that_cannot_be_stored_harms_nobody_else(store: Store, value: object) -> None:
    """A unit whose values the database does not take fails alone, and the writer goes on."""
    bad = [*unit(2), Statement("INSERT INTO heartbeat (id, at) VALUES (?, 0)", (value,))]
    async with asyncio.timeout(10):
        outcomes = await asyncio.gather(
            *(store.commit("acme", one) for one in (unit(1), bad, unit(3))), return_exceptions=True
        )
    assert [type(outcome) for outcome in outcomes] == [type(None), Unavailable, type(None)]
    assert await found(store, 1, 2, 3) == [1, 3]


async def test_a_row_the_database_refuses_is_unavailable(store: Store) -> None:
    """A constraint nobody expected to break is no conflict to be tried again."""
    payment, operation = create_of(1)
    twice = [*reserving(payment, operation), statements.insert_payment(payment, operation)]
    with pytest.raises(Unavailable) as problem:
        await store.commit("acme", twice)
    assert not isinstance(problem.value, Conflict)
    assert await found(store, 1) == []


async def test_a_statement_that_is_wrong_does_not_stop_the_writer(store: Store) -> None:
    """Even a mistake in SQL fails what was committed with it and nothing after."""
    with pytest.raises(Unavailable):
        await store.commit("acme", [Statement("INSERT INTO nowhere VALUES (1)", ())])
    await store.commit("acme", unit(1))
    assert await found(store, 1) == [1]


async def test_a_closed_store_is_unavailable(store: Store) -> None:
    """After closing, writes and reads fail as unavailable; nothing hangs."""
    await store.close()
    async with asyncio.timeout(10):
        with pytest.raises(Unavailable):
            await store.commit("acme", unit(1))
        with pytest.raises(Unavailable):
            await store.payment("acme", "pay_001")


async def test_closing_writes_what_waits(store_url: str) -> None:
    """Units that were handed over before the close are on disk after it; later ones are refused, none hang."""
    store = await stores.open_url(store_url)
    handed = [asyncio.create_task(store.commit("acme", unit(number))) for number in range(5)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0)
    late = asyncio.create_task(store.commit("acme", unit(9)))
    async with asyncio.timeout(10):
        assert await asyncio.gather(*handed) == [None] * 5
        with pytest.raises(Unavailable):
            await late
        await closing
    again = await stores.open_url(store_url)
    assert await found(again, 0, 1, 2, 3, 4, 9) == [0, 1, 2, 3, 4]
    await again.close()


async def test_opening_again_keeps_everything(store_url: str) -> None:
    """A store that was closed and opened again holds what it held."""
    store = await stores.open_url(store_url)
    payment, operation = await stored(store, 1)
    await store.close()
    again = await stores.open_url(store_url)
    loaded = await again.payment("acme", "pay_001")
    assert loaded is not None
    assert (loaded.payment, loaded.open_operation) == (payment, replace(operation))
    await again.close()


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


async def test_a_close_that_nobody_waits_for_is_finished(store_url: str) -> None:
    """Anyone who gives up waiting for the close leaves no half-closed store: it opens again."""
    store = await stores.open_url(store_url)
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing])
    await store.close()
    again = await stores.open_url(store_url)
    await again.close()


async def test_what_comes_while_closing_is_refused(store_url: str) -> None:
    """From the moment the close has begun a commit is unavailable at once, though the writer still works."""
    store = await stores.open_url(store_url)
    handed = [asyncio.create_task(store.commit("acme", unit(number))) for number in range(3)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await store.commit("acme", unit(9))
    assert [task.done() for task in handed] == [False] * 3
    await asyncio.gather(closing, *handed)


async def test_a_mistake_in_sql_harms_nobody_else(store: Store) -> None:
    """A statement that no table fits fails its own unit, whole, and the others of its transaction are written."""
    bad = [*unit(2), Statement("INSERT INTO nowhere VALUES (1)", ())]
    outcomes = await outcomes_of(store, unit(1), bad, unit(3))
    assert [type(one) for one in outcomes] == [type(None), Unavailable, type(None)]
    assert await found(store, 1, 2, 3) == [1, 3]


async def test_conflicts_and_failures_in_one_transaction(store: Store) -> None:
    """A conflicting unit, one with a value no column takes and good ones: each has its own end."""
    await stored(store, 1)
    clash = reserving(*create_of(2, merchant_reference="SO-1"))
    bad = [*unit(3), Statement("INSERT INTO heartbeat (id, at) VALUES (?, 0)", (2**70,))]
    outcomes = await outcomes_of(store, clash, unit(4), bad, unit(5))
    assert [type(one) for one in outcomes] == [Conflict, type(None), Unavailable, type(None)]
    assert await found(store, 2, 3, 4, 5) == [4, 5]


async def test_what_a_failed_unit_had_added_is_not_counted(store: Store) -> None:
    """A tenant's sum of bytes is that of the rows there are, also where a unit failed in the middle."""
    half = [*unit(2), Statement("INSERT INTO nowhere VALUES (1)", ())]
    await outcomes_of(store, unit(1), half, unit(3))
    counted, rows = await store.stored_bytes(), await store._engine.rows(RECOUNT, ())
    assert counted == dict(rows)


async def test_a_huge_unit_is_answered_with_its_neighbours(store: Store) -> None:
    """A unit of thousands of statements delays those beside it and breaks none."""
    huge = [statement for number in range(100, 600) for statement in unit(number)]
    assert await outcomes_of(store, unit(1), huge, unit(2)) == [None] * 3
    assert await found(store, 1, 100, 599, 2) == [1, 100, 599, 2]


async def test_a_row_is_there_once_it_is_committed(store: Store) -> None:
    """Not before, and at once after that: whoever was answered reads what it was told."""
    assert await store.payment("acme", "pay_001") is None
    await store.commit("acme", unit(1))
    assert await store.payment("acme", "pay_001") is not None


async def test_a_closed_store_has_no_rows(store: Store) -> None:
    """It says so, as for a list."""
    await store.close()
    with pytest.raises(Unavailable):
        await store.payment("acme", "pay_001")
