"""In which store a tenant's rows are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.drivers.store import moves
from gateway.drivers.store.moves import Move, Step
from gateway.drivers.store.opening import open_stores
from gateway.drivers.store.statements import NO_TENANT
from gateway.flows.runtime import Gateway
from gateway.flows.tenant_stores import misplaced, moved, stores_with_rows
from tests.drivers.test_store_many import settings_of
from tests.flows.test_move_tenant_steps import send_nothing
from tests.support.factories.payments import AT
from tests.support.factories.store_units import stored
from tests.support.virtual_clock import VirtualClock


@pytest.fixture
async def gw(tmp_path: Path) -> AsyncIterator[Gateway]:
    """Two stores; acme belongs into eu."""
    settings = settings_of(tmp_path)
    store = await open_stores(settings)
    yield Gateway(settings=settings, store=store, send=send_nothing, clock=VirtualClock(AT))
    await store.close()


async def test_rows_are_found_where_they_are(gw: Gateway) -> None:
    """Whatever settings say; also those of a tenant that has left the settings."""
    main, eu = gw.store.by_name.values()
    await stored(main, 1, tenant="acme")
    await stored(eu, 2, tenant="initech")
    assert await stores_with_rows(gw.store) == {"acme": ["main"], "initech": ["eu"]}


async def test_rows_of_a_move_do_not_count(gw: Gateway) -> None:
    """Neither those that were left, nor those that are not all there."""
    main, eu = gw.store.by_name.values()
    await stored(main, 1, tenant="acme")
    await stored(eu, 2, tenant="acme")
    await main.commit(NO_TENANT, moves.begin_arrival(Move(tenant="acme", to="main", at=1)))
    assert await stores_with_rows(gw.store) == {"acme": ["eu"]}
    left = Move(tenant="acme", to="main", step=Step.MOVED, at=1)
    await eu.commit(NO_TENANT, [moves.announce(left)])
    await main.commit(NO_TENANT, moves.end_arrival("acme"))
    assert await stores_with_rows(gw.store) == {"acme": ["main"]}
    assert gw.store.tenants.store_of("acme") == "eu"
    await gw.store.read_moves()
    assert gw.store.tenants.store_of("acme") == "main"


async def test_what_settings_say_wrongly_is_named(gw: Gateway) -> None:
    """That its payments are elsewhere, which stops a start; that it was moved, which is followed."""
    main, eu = gw.store.by_name.values()
    await stored(main, 1, tenant="acme")
    (problem,) = await misplaced(gw.store, gw.settings)
    assert problem.endswith("tenant acme: store: must be main, where its payments are")
    await eu.commit(NO_TENANT, [moves.announce(Move(tenant="acme", to="main", step=Step.CLEARED, at=1))])
    await gw.store.read_moves()
    assert (await misplaced(gw.store, gw.settings), moved(gw.store, gw.settings)) == ([], {"acme": "main"})


async def test_rows_in_two_stores_are_named(gw: Gateway) -> None:
    """Whichever the settings name: after a restore one has what the other had long ago."""
    for number, part in enumerate(gw.store.parts, start=1):
        await stored(part, number, tenant="acme")
    (problem,) = await misplaced(gw.store, gw.settings)
    assert "tenant acme: store: its payments are in main and in eu: was one of these stores restored" in problem
