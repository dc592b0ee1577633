"""Anyone who shares a transaction shares its end, and nobody is harmed by another's unit."""

from __future__ import annotations

from pathlib import Path

from gateway.core.errors import Conflict
from gateway.drivers.store.reads import Store
from tests.support.factories.sqlite import engine_of, found, outcomes_of, unit
from tests.support.factories.store_units import stored


async def test_a_unit_that_fails_at_once_costs_its_neighbours_nothing(store: Store, path: Path) -> None:
    """It has changed nothing, so there is nothing to undo and nobody's work is done twice."""
    await stored(store, 1)
    run: list[str] = []
    engine_of(store)._writer.set_trace_callback(run.append)
    outcomes = await outcomes_of(store, unit(2), unit(1), unit(3))
    assert [type(one) for one in outcomes] == [type(None), Conflict, type(None)]
    assert await found(store, 1, 2, 3) == [1, 2, 3]
    assert (run.count("ROLLBACK"), run.count("COMMIT")) == (0, 1)
