"""What a statement is sure of when it has waited for another transaction: it must see what that one has written."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace

from gateway.core.payment import Payment, State
from gateway.drivers.clock import milliseconds
from gateway.drivers.store import claims, deliveries, nodes, schedule, statements
from gateway.drivers.store.claims import Claimant
from gateway.drivers.store.postgresql.dialect import translated
from gateway.drivers.store.postgresql.engine import open_postgresql
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import NO_TENANT, Statement
from tests.drivers.test_store_deliveries import ENDPOINT, a_row, inserted
from tests.drivers.test_store_hints import LATE, SOON, changed, next_moment
from tests.drivers.test_store_nodes import node_row
from tests.drivers.test_store_postgresql_faults import waiting
from tests.support.factories.payments import AT
from tests.support.factories.store_units import FINGERPRINT, conflict, create_of, reserving, resolved_payment


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """An empty store."""
    store = await open_postgresql(database_url)
    yield store
    await store.close()


@pytest.fixture
def beside(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of somebody else's, each statement of which is a transaction."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@contextlib.contextmanager
def written_first(url: str, *unit: Statement) -> Iterator[psycopg.Connection[Any]]:
    """Another node's unit, which is committed at the end of the block."""
    with psycopg.connect(url, cursor_factory=psycopg.RawCursor) as other:
        for one in unit:
            other.execute(translated(one.sql), one.params)
        yield other


@pytest.mark.parametrize("due_at", [LATE, None])
@pytest.mark.parametrize("is_postponed", [False, True])
async def test_a_hint_that_comes_meanwhile_keeps_its_check(
    store: Store, database_url: str, beside: psycopg.Connection[Any], due_at: Any, is_postponed: bool
) -> None:
    """A change, or a check that is put off, waits for the unit of a hint: that is followed up in time all the same."""
    payment = await resolved_payment(store, 1, State.AWAITING_CUSTOMER)
    await store.commit("acme", [schedule.bring_check_forward("acme", payment.id, SOON)])
    hint = schedule.store_hint("acme", payment.id, "CK-1", AT)
    own = schedule.postpone_check(payment, due_at) if is_postponed else changed(payment, due_at)
    with written_first(database_url, hint, Statement("UPDATE payments SET due_at = due_at", ())):
        under_way = asyncio.create_task(store.commit("acme", [own]))
        await waiting(beside)
    await under_way
    assert await next_moment(store) == milliseconds(SOON)


@pytest.mark.parametrize("is_late", [False, True])
async def test_nothing_is_taken_from_a_node_that_has_come_meanwhile(
    store: Store, database_url: str, beside: psycopg.Connection[Any], is_late: bool
) -> None:
    """A claim waits for another one; what a node claims that joins in this time, or renews late, is that node's."""
    over = [nodes.renew(replace(node_row("node_b"), alive_until=milliseconds(AT)))] if is_late else []
    await store.commit(NO_TENANT, [nodes.renew(node_row("node_a")), *over])
    wanted = claims.claim_ids("webhook", Claimant("node_a", AT), "acme", ["1", "2"])
    held = "INSERT INTO claims (tenant, kind, id, node) VALUES ('acme', 'webhook', $1, 'node_b')"
    with written_first(database_url, Statement(held, ("1",))) as other:
        under_way = asyncio.create_task(store.claim("acme", wanted))
        await waiting(beside)
        join = nodes.renew(node_row("node_b"))
        with psycopg.connect(database_url, cursor_factory=psycopg.RawCursor) as joining:
            joining.execute(translated(join.sql), join.params)
            joining.execute(held, ("2",))
        other.rollback()
    assert await under_way == [("acme", "1")]


async def test_a_webhook_that_is_delivered_meanwhile_is_no_dead_letter(
    store: Store, database_url: str, beside: psycopg.Connection[Any]
) -> None:
    """Another node's attempt succeeds while the webhooks of a disabled endpoint are given up."""
    row = a_row(0)
    disabled = deliveries.disable_endpoint("acme", ENDPOINT, AT, reason="gone", failing_before=AT)
    await store.commit("acme", [inserted(row), deliveries.record_endpoint_failure("acme", ENDPOINT, AT), disabled])
    delivered = Statement("UPDATE events SET status = 'delivered', next_attempt_at = NULL", ())
    with written_first(database_url, delivered):
        under_way = asyncio.create_task(store.commit("acme", [deliveries.mark_dead("acme", ENDPOINT)]))
        await waiting(beside)
    await under_way
    found = await store.deliveries.find("acme", row.id)
    assert found is not None
    assert found.status == "delivered"


@pytest.mark.parametrize("is_committed", [True, False])
async def test_a_key_is_used_once_though_two_requests_come_at_once(
    store: Store, database_url: str, beside: psycopg.Connection[Any], is_committed: bool
) -> None:
    """The second waits for the first, and is written where that one is not."""
    payment, operation = create_of(1)
    with written_first(database_url, statements.claim_idempotency_key(operation, FINGERPRINT)) as other:
        under_way = asyncio.create_task(conflict(store, reserving(payment, operation)))
        await waiting(beside)
        if not is_committed:
            other.rollback()
    assert await under_way == ("idempotency_key" if is_committed else "")
    assert (await store.payment("acme", payment.id) is None) == is_committed


@pytest.mark.parametrize("is_enabled_first", [False, True])
async def test_an_endpoint_is_not_enabled_while_its_dead_letters_are_made(
    store: Store, database_url: str, beside: psycopg.Connection[Any], is_enabled_first: bool
) -> None:
    """Whichever is second waits: what was no dead letter when the endpoint was enabled is none."""
    row = a_row(0)
    disabled = deliveries.disable_endpoint("acme", ENDPOINT, AT, reason="gone", failing_before=AT)
    await store.commit("acme", [inserted(row), deliveries.record_endpoint_failure("acme", ENDPOINT, AT), disabled])
    held = deliveries.hold_disabled("acme", ENDPOINT)
    giving_up, enabling = [held, deliveries.mark_dead("acme", ENDPOINT)], [deliveries.enable_endpoint("acme", ENDPOINT)]
    first, second = (enabling, giving_up) if is_enabled_first else (giving_up, enabling)
    with written_first(database_url, *first):
        under_way = asyncio.create_task(store.commit("acme", second))
        await waiting(beside)
    await under_way
    found, endpoint = await store.deliveries.find("acme", row.id), await store.deliveries.endpoint("acme", ENDPOINT)
    assert (found and found.status) == ("pending" if is_enabled_first else "dead")
    assert (endpoint and endpoint.disabled_at) is None


LATER = milliseconds(AT)


@pytest.mark.parametrize("is_create_first", [False, True])
async def test_a_reference_is_not_taken_from_a_payment_that_succeeds_meanwhile(
    store: Store, database_url: str, beside: psycopg.Connection[Any], is_create_first: bool
) -> None:
    """A late success and a new payment of the same reference: whichever is second sees the other one."""
    expired = await resolved_payment(store, 1, State.EXPIRED, expired_at=AT)
    late = late_success(expired)
    create = reserving(*create_of(2, merchant_reference=expired.merchant_reference))
    first, second = (create, late) if is_create_first else (late, create)
    with written_first(database_url, *first):
        under_way = asyncio.create_task(conflict(store, second))
        await waiting(beside)
    assert await under_way == "merchant_reference"
    assert await store.reference_owner("acme", "main", expired.merchant_reference) == (
        "pay_002" if is_create_first else "pay_001"
    )


async def test_a_reference_is_not_taken_from_a_payment_that_is_reinstated_meanwhile(
    store: Store, database_url: str, beside: psycopg.Connection[Any]
) -> None:
    """The replacement ends, and its reference goes back to the payment that it was to replace."""
    old = await resolved_payment(store, 1, State.AUTHORIZED, replaced_by="pay_002")
    replacement = await resolved_payment(store, 2, State.AWAITING_CUSTOMER)
    owner = Statement("UPDATE reference_holders SET payment_id = 'pay_002' WHERE payment_id = 'pay_001'", ())
    await store.commit("acme", [owner])
    ended, freed = replace(replacement, state=State.FAILED), replace(old, replaced_by=None)
    unit = [moved(replacement, ended), moved(old, freed), statements.reclaim_reference(freed, grace_began_before=0)]
    create = reserving(*create_of(3, merchant_reference=old.merchant_reference))
    with written_first(database_url, *unit):
        under_way = asyncio.create_task(conflict(store, create))
        await waiting(beside)
    assert await under_way == "merchant_reference"
    assert await store.reference_owner("acme", "main", old.merchant_reference) == "pay_001"


def late_success(expired: Payment) -> list[Statement]:
    """The unit in which an expired payment succeeds after all, and owns its reference."""
    paid = replace(expired, state=State.AUTHORIZED, expired_at=None)
    return [statements.reclaim_reference(paid, grace_began_before=LATER), moved(expired, paid)]


def moved(before: Payment, after: Payment) -> Statement:
    """A change of a payment that has nothing open."""
    return statements.update_payment(before, after, open_before=None, open_after=None)
