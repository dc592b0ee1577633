"""What a process is offered to claim: what is due and free; found by the partial indexes, however much there is."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.drivers.clock import milliseconds
from gateway.drivers.store import claims, moves, nodes
from gateway.drivers.store.claims import Claimant
from gateway.drivers.store.postgresql.engine import open_postgresql
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import NO_TENANT, Statement
from tests.drivers.test_store_nodes import node_row
from tests.support.claim_plans import BY, ENDPOINT, fill, plans, problems
from tests.support.factories.payments import AT

EVENTS = 30_000
"""Enough that reading a table whole would cost more."""


@pytest.fixture
async def full(database_url: str) -> AsyncIterator[Store]:
    """A store on PostgreSQL with many webhooks, checks and callbacks, and two living nodes."""
    store = await open_postgresql(database_url, pool=2)
    await fill(store, EVENTS)
    await store.commit(NO_TENANT, [nodes.renew(node_row(name)) for name in ("node_a", "node_b")])
    yield store
    await store.close()


async def test_what_may_be_claimed_is_found_by_indexes(full: Store) -> None:
    """No table is read whole."""
    found = await plans(full)
    assert {name: problems(name, plan) for name, plan in found.items()} == {name: [] for name in found}, found


async def test_what_another_holds_is_not_offered_and_does_not_count(full: Store) -> None:
    """The limit counts what can be had, of each kind; the holder is offered its own again."""
    other = Claimant("node_b", AT)
    held = {"webhook": "dlv_", "check": "pay_", "callback": "cb_"}
    for kind, prefix in held.items():
        await full.claim("acme", claims.claim_ids(kind, other, "acme", [f"{prefix}{n}" for n in (1000, 2000)]))  # type: ignore[arg-type]
    offered = {by.node: await _offered(full, by) for by in (BY, other)}
    assert offered["node_a"] == (["dlv_3000", "dlv_4000"], ["pay_3000", "pay_4000"], ["cb_3000", "cb_4000"])
    assert offered["node_b"] == (["dlv_1000", "dlv_2000"], ["pay_1000", "pay_2000"], ["cb_1000", "cb_2000"])


async def _offered(store: Store, by: Claimant) -> tuple[list[str], list[str], list[str]]:
    webhooks = await store.claimable.webhooks("acme", ENDPOINT, 2, by)
    checks, callbacks = await store.claimable.checks(2, by), await store.claimable.callbacks(2, by)
    return [name for name, _ in webhooks], [name for _, name in checks], [name for _, name in callbacks]


async def test_callbacks_of_a_tenant_that_is_moved_keep_nobody_out(full: Store) -> None:
    """They wait longest, and cannot be had."""
    await full.commit(NO_TENANT, [Statement("UPDATE inbox SET tenant = 'globex' WHERE id = 'cb_3000'", ())])
    await full.commit(NO_TENANT, [moves.bar("acme", AT)])
    assert await full.claimable.callbacks(2, BY) == [("globex", "cb_3000")]


async def test_what_was_done_since_is_not_read_again(full: Store) -> None:
    """Under the claim only what is due still is read."""
    moved = milliseconds(AT) + 1
    for sql in (
        "UPDATE events SET next_attempt_at = ? WHERE delivery_id = 'dlv_1000'",
        "UPDATE payments SET due_at = ? WHERE id = 'pay_1000'",
        "UPDATE inbox SET next_attempt_at = ? WHERE id = 'cb_1000'",
    ):
        await full._engine.rows(sql, (moved,))
    claimable = full.claimable
    assert list(await claimable.due_webhooks("acme", ENDPOINT, AT, ["dlv_1000", "dlv_2000"])) == ["dlv_2000"]
    assert list(await claimable.due_checks("acme", AT, ["pay_1000", "pay_2000"])) == ["pay_2000"]
    assert list(await claimable.due_callbacks("acme", AT, ["cb_1000", "cb_2000"])) == ["cb_2000"]
