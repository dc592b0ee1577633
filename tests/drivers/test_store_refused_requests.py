"""Refused requests: found by their id, and never more than there may be, of a tenant and in all."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

import pytest

from gateway.drivers.clock import milliseconds
from gateway.drivers.store import refused_requests
from gateway.drivers.store.reads import Store
from gateway.drivers.store.refused_requests import RefusedRequest
from gateway.drivers.store.statements import NO_TENANT
from tests.support.factories.payments import AT

NUMBERS = count()


def refused(request_id: str, tenant: str = "acme", *, days: int = 0) -> RefusedRequest:
    """A request whose amount was wrong."""
    return RefusedRequest(
        tenant=tenant,
        id=f"rfd_{next(NUMBERS):032x}",
        request_id=request_id,
        at=milliseconds(AT + timedelta(days=days)),
        route="POST /v1/payments",
        status=422,
        code="validation_failed",
        fields="$.amount",
    )


async def kept(store: Store, *request_ids: str) -> list[str]:
    """Which of these can be found."""
    return [one for one in request_ids if await store.refused_requests.find(one)]


async def test_one_is_found_by_its_id(store: Store) -> None:
    """As it was; an id that was used twice has both, the newest first, whose they may be."""
    first, second, third = refused("req_1"), refused("req_1", "globex"), refused("req_2")
    await store.commit("acme", refused_requests.insert([first, second, third]))
    assert await store.refused_requests.find("req_1") == [second, first]
    assert await store.refused_requests.find("req_3") == []


async def test_a_tenant_pushes_out_only_its_own(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its oldest go first, also those of the same batch."""
    monkeypatch.setattr(refused_requests, "MAX_OF_TENANT", 3)
    await store.commit("globex", refused_requests.insert([refused("other", "globex")]))
    await store.commit("acme", refused_requests.insert([refused("a"), refused("b")]))
    await store.commit("acme", refused_requests.insert([refused("c"), refused("d"), refused("e")]))
    assert await kept(store, "other", "a", "b", "c", "d", "e") == ["other", "c", "d", "e"]


async def test_all_together_have_a_bound(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many tenants there are."""
    monkeypatch.setattr(refused_requests, "MAX_ROWS", 2)
    for number in range(5):
        await store.commit(f"t{number}", refused_requests.insert([refused(f"r{number}", f"t{number}", days=number)]))
    await store.commit(NO_TENANT, [refused_requests.trim_all()])
    assert await kept(store, "r0", "r1", "r2", "r3", "r4") == ["r3", "r4"]


async def test_old_ones_are_deleted(store: Store) -> None:
    """The oldest first, a batch at a time; what came at the time itself stays."""
    await store.commit("acme", refused_requests.insert([refused("a"), refused("b", days=1), refused("c", days=2)]))
    before = AT + timedelta(days=2)
    for expected in (["b", "c"], ["c"]):
        assert await store.refused_requests.has_any(before)
        await store.commit("acme", [refused_requests.delete_before(before, 1)])
        assert await kept(store, "a", "b", "c") == expected
    assert not await store.refused_requests.has_any(before)
