"""Anyone who shares a transaction shares its end, and nobody is harmed by another's unit."""

from __future__ import annotations

from gateway.core.errors import Conflict, Unavailable
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import Statement
from gateway.drivers.store.stored_bytes import RECOUNT
from tests.support.factories.sqlite import engine_of, found, outcomes_of, unit
from tests.support.factories.store_units import create_of, reserving, stored


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


async def test_a_unit_that_fails_at_once_costs_its_neighbours_nothing(store: Store) -> None:
    """It has changed nothing, so there is nothing to undo and nobody's work is done twice."""
    await stored(store, 1)
    run: list[str] = []
    engine_of(store)._writer.set_trace_callback(run.append)
    outcomes = await outcomes_of(store, unit(2), unit(1), unit(3))
    assert [type(one) for one in outcomes] == [type(None), Conflict, type(None)]
    assert await found(store, 1, 2, 3) == [1, 2, 3]
    assert (run.count("ROLLBACK"), run.count("COMMIT")) == (0, 1)


async def test_what_a_failed_unit_had_added_is_not_counted(store: Store) -> None:
    """A tenant's sum of bytes is that of the rows there are, also where a unit failed in the middle."""
    half = [*unit(2), Statement("INSERT INTO nowhere VALUES (1)", ())]
    await outcomes_of(store, unit(1), half, unit(3))
    counted, rows = await store.stored_bytes(), await engine_of(store).rows(RECOUNT, ())
    assert counted == dict(rows)


async def test_a_huge_unit_is_answered_with_its_neighbours(store: Store) -> None:
    """A unit of thousands of statements delays those beside it and breaks none."""
    huge = [statement for number in range(100, 600) for statement in unit(number)]
    assert await outcomes_of(store, unit(1), huge, unit(2)) == [None] * 3
    assert await found(store, 1, 100, 599, 2) == [1, 100, 599, 2]
