"""What waits in the store is counted and dated by indexes, and no count goes on for ever."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.core.payment import Review, ReviewReason, State
from gateway.drivers.clock import milliseconds
from gateway.drivers.store import deliveries, queues, statements
from gateway.drivers.store.queues import OpenOperations, Queue
from gateway.drivers.store.reads import Store
from tests.drivers.test_store_plans import plans_of
from tests.support.factories.payments import AT
from tests.support.factories.store_units import ENDPOINT, create_of, first_delivery, reserving, resolved_payment, stored


async def test_an_empty_store_waits_for_nothing(store: Store) -> None:
    """Every queue is empty and nothing has been due."""
    assert await store.queues.schedule(AT) == await store.queues.inbox() == Queue(count=0)
    assert await store.queues.operations("unknown") == OpenOperations(count=0, oldest=None)
    assert await store.queues.reviews() == (0, None)
    assert (await store.queues.webhooks_due(), await store.queues.endpoints()) == ({}, [])


async def test_webhooks_are_dated_by_owner(store: Store) -> None:
    """Each tenant with pending webhooks has one row, with the first of them; dead letters are counted apart."""
    for number, tenant in enumerate(("acme", "acme", "globex")):
        await stored(store, number, tenant=tenant)
    dead = replace(first_delivery(create_of(1)[0]), status="dead", next_attempt_at=None, tries=1)
    await store.commit("acme", [deliveries.store_attempt(dead)])
    at = milliseconds(create_of(0)[0].created_at)
    assert await store.queues.webhooks_due() == {"acme": at, "globex": at}
    assert (await store.queues.pending_webhooks(), await store.queues.dead_webhooks()) == (2, 1)


async def test_what_waits_is_counted_and_dated(store: Store) -> None:
    """Checks that are due, an open operation, the older of two reviews, an endpoint that fails."""
    payment, operation = create_of(1)
    await store.commit(
        "acme", [*reserving(payment, operation)[:2], statements.insert_payment(payment, operation, due_at=AT)]
    )
    for number, since in ((2, AT), (3, AT.replace(year=AT.year - 1))):
        flag = Review(reason=ReviewReason.AMOUNT, since=since)
        await resolved_payment(store, number, State.CAPTURED, review=flag)
    await store.commit("acme", [deliveries.record_endpoint_failure("acme", ENDPOINT, AT)])
    assert await store.queues.schedule(AT) == Queue(count=1, due_since=milliseconds(AT))
    assert await store.queues.operations("sending") == OpenOperations(count=1, oldest=operation.id)
    count, oldest = await store.queues.reviews()
    assert (count, oldest and oldest[:4]) == (2, str(AT.year - 1))
    assert [(one.tenant, one.failing_since) for one in await store.queues.endpoints()] == [("acme", milliseconds(AT))]


async def test_a_count_ends(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much waits, no more than so many rows are read."""
    monkeypatch.setattr(queues, "COUNTED", 2)
    for number in range(3):
        await stored(store, number)
    assert await store.queues.pending_webhooks() == 2


async def test_nothing_is_read_that_does_not_wait(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every read goes by an index of what waits, and none sorts."""

    async def all_of(store: Store) -> None:
        asked = store.queues
        await asked.schedule(AT)
        for read in (asked.inbox, asked.pending_webhooks, asked.dead_webhooks, asked.webhooks_due, asked.reviews):
            await read()
        await asked.operations("unknown")

    lines = (await plans_of(store, all_of, monkeypatch)).splitlines()
    steps = [line for line in lines if any(table in line for table in (" payments", " events", " inbox"))]
    assert steps
    assert [line for line in steps if " INDEX " not in line or "autoindex" in line] == []
    assert not any("TEMP B-TREE" in line for line in lines)
