"""Claims: each thing belongs to one living process; those of a dead one are free."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import msgspec
import pytest

from gateway.drivers.clock import milliseconds
from gateway.drivers.store import claims, nodes
from gateway.drivers.store.claims import Claimant
from gateway.drivers.store.nodes import KEPT, LEASE
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import NO_TENANT, Statement
from tests.drivers.test_store_nodes import node_row
from tests.support.factories.payments import AT
from tests.support.shared_engine import shared_database, shared_store
from tests.support.virtual_clock import VirtualClock

OFFERED = "SELECT 'acme' AS tenant, value AS id FROM json_each(?)"


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    """A store that two living processes share."""
    database = shared_database(VirtualClock(AT))
    store = shared_store(database)
    await store.commit(NO_TENANT, [nodes.renew(node_row(name)) for name in ("node_a", "node_b")])
    yield store
    database.close()


async def claimed(store: Store, node: str, offered: str, at: datetime = AT) -> list[str]:
    """What a node gets of a JSON list of ids."""
    rows = await store.claim("acme", claims.claim("webhook", Claimant(node, at), OFFERED, (offered,)))
    return [identifier for _, identifier in rows]


async def outlives(store: Store, node: str) -> None:
    """Renew a node so that it lives when the lease of the others is over."""
    row = msgspec.structs.replace(node_row(node), alive_until=milliseconds(AT + 2 * LEASE))
    await store.commit(NO_TENANT, [nodes.renew(row)])


async def test_what_is_claimed_belongs_to_one(store: Store) -> None:
    """Another gets only what is left; the holder gets its own again, as after an answer that was lost."""
    assert await claimed(store, "node_a", '["1", "2"]') == ["1", "2"]
    assert await claimed(store, "node_b", '["1", "2", "3"]') == ["3"]
    assert await claimed(store, "node_a", '["1", "3"]') == ["1"]


async def test_things_are_claimed_in_one_order(store: Store) -> None:
    """Whatever order they are named in: two nodes that each wait for what the other has would wait for ever."""
    named = claims.claim_ids("check", Claimant("node_a", AT), "acme", ["2", "3", "1"])
    assert [identifier for _, identifier in await store.claim("acme", named)] == ["1", "2", "3"]


async def test_claims_of_other_kinds_and_tenants_are_others(store: Store) -> None:
    """The same id under another kind is free."""
    assert await claimed(store, "node_a", '["1"]') == ["1"]
    assert await store.claim("acme", claims.claim("check", Claimant("node_b", AT), OFFERED, ('["1"]',))) == [
        ("acme", "1")
    ]


async def test_claims_of_the_dead_are_free_when_their_time_is_over(store: Store) -> None:
    """Not a moment before; and a node that has left gives everything up at once."""
    await claimed(store, "node_a", '["1"]')
    await outlives(store, "node_b")
    assert await claimed(store, "node_b", '["1"]', AT + LEASE - timedelta(milliseconds=1)) == []
    assert await claimed(store, "node_b", '["1"]', AT + LEASE) == ["1"]
    await store.commit(NO_TENANT, [nodes.leave("node_b")])
    await store.commit(NO_TENANT, [nodes.renew(node_row("node_a"))])
    assert await claimed(store, "node_a", '["1"]') == ["1"]


async def test_a_node_that_is_not_seen_is_not_robbed(store: Store) -> None:
    """It may have joined since the statement of the other began, which sees its claim but not that it lives."""
    await claimed(store, "node_a", '["1"]')
    await store.commit(NO_TENANT, [Statement("DELETE FROM nodes WHERE id = 'node_a'", ())])
    assert await claimed(store, "node_b", '["1"]') == []


async def test_who_does_not_live_claims_nothing(store: Store) -> None:
    """Nor one that was never seen: nobody could take it over."""
    assert await claimed(store, "node_c", '["1"]') == []
    assert await claimed(store, "node_a", '["1"]', AT + LEASE) == []


async def test_what_left_is_forgotten_with_its_claims(store: Store) -> None:
    """After a time, as what stopped without a word."""
    await claimed(store, "node_a", '["1"]')
    await store.commit(NO_TENANT, [nodes.leave("node_a")])
    await store.commit(NO_TENANT, [nodes.renew(node_row("node_b", renewed_at=milliseconds(AT + KEPT)))])
    await store.commit(NO_TENANT, nodes.forget_dead(AT + KEPT + timedelta(seconds=1)))
    assert await store._engine.rows("SELECT id FROM nodes", ()) == [("node_b",)]
    assert await store._engine.rows("SELECT id FROM claims", ()) == []


async def test_only_the_holder_releases(store: Store) -> None:
    """Who was overtaken releases nothing of the other's."""
    await claimed(store, "node_a", '["1", "2"]')
    await store.commit(NO_TENANT, [claims.release("webhook", "node_b", "acme", ["1"])])
    assert await claimed(store, "node_b", '["1"]') == []
    await store.commit(NO_TENANT, [claims.release("webhook", "node_a", "acme", ["1", "2"])])
    assert await claimed(store, "node_b", '["1", "2"]') == ["1", "2"]


async def test_a_select_can_leave_out_what_others_hold(store: Store) -> None:
    """So a limit counts what can be had: neither what another holds, unless it is dead."""
    await claimed(store, "node_a", '["1"]')

    async def offered(node: str, at: datetime) -> list[str]:
        condition, values = claims.free("webhook", Claimant(node, at), "o.tenant", "o.id")
        sql = f"SELECT o.id FROM ({OFFERED}) o WHERE {condition} LIMIT 1"  # noqa: S608  # our own words
        rows = await store._engine.rows(sql, ('["1", "2"]', *values))
        return [identifier for (identifier,) in rows]

    assert await offered("node_b", AT) == ["2"]
    assert await offered("node_a", AT) == await offered("node_b", AT + LEASE) == ["1"]


async def test_a_job_is_done_by_one(store: Store) -> None:
    """As long as it lives."""

    async def does(node: str, at: datetime = AT) -> bool:
        return bool(await store.claim(NO_TENANT, claims.claim_job("retention", Claimant(node, at))))

    assert [await does("node_a"), await does("node_b"), await does("node_a")] == [True, False, True]
    await outlives(store, "node_b")
    assert await does("node_b", AT + LEASE)


async def test_a_lookup_for_a_hint_is_begun_by_one(store: Store) -> None:
    """Until the last one is long enough ago; another payment's has nothing to do with it."""
    window = timedelta(seconds=10)

    async def may_look_up(payment_id: str, at: datetime) -> bool:
        claim = claims.claim_lookup("acme", payment_id, at, last_before=at - window)
        return bool(await store.claim("acme", claim))

    assert [await may_look_up("pay_1", AT), await may_look_up("pay_1", AT)] == [True, False]
    assert await may_look_up("pay_2", AT)
    assert not await may_look_up("pay_1", AT + window / 2)
    assert await may_look_up("pay_1", AT + window)
    await store.commit(NO_TENANT, nodes.forget_dead(AT + KEPT + window / 2))
    assert await store._engine.rows("SELECT payment_id FROM lookups", ()) == [("pay_1",)]
