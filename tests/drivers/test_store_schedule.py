"""The schedule of checks: set, brought forward, overtaken, and read in order."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.payment import Operation, Payment
from gateway.drivers.clock import milliseconds
from gateway.drivers.store import schedule, statements
from gateway.drivers.store.reads import Store
from tests.support.factories.payments import AT
from tests.support.factories.store_units import create_of, stored


async def checks(store: Store) -> list[tuple[str, int, int]]:
    """The whole schedule as (payment, seconds from the start, tries)."""
    rows = await store.due_checks(AT + timedelta(days=9), 100)
    return [(row.payment_id, (row.due_at - milliseconds(AT)) // 1000, row.tries) for row in rows]


def seconds(number: int) -> Any:
    """A moment, so many seconds from the start."""
    return AT + timedelta(seconds=number)


async def change(store: Store, payment: Payment, operation: Operation, due_at: Any) -> Payment:
    """Write a change after which the payment's check is due then."""
    await store.commit(
        "acme",
        [statements.update_payment(payment, payment, open_before=operation, open_after=operation, due_at=due_at)],
    )
    return replace(payment, revision=payment.revision + 1)


async def test_a_change_sets_the_next_check(store: Store) -> None:
    """Setting replaces the moment and begins to count anew; no moment takes the payment off the schedule."""
    payment, operation = await stored(store, 1)
    assert await checks(store) == []
    payment = await change(store, payment, operation, seconds(30))
    await store.commit(
        "acme",
        [schedule.record_check("acme", "pay_001", was_due=milliseconds(seconds(30)), due_at=seconds(60), tries=3)],
    )
    assert await checks(store) == [("pay_001", 60, 3)]
    payment = await change(store, payment, operation, seconds(90))
    assert await checks(store) == [("pay_001", 90, 0)]
    await change(store, payment, operation, None)
    assert await checks(store) == []


async def test_a_new_payment_comes_with_its_first_check(store: Store) -> None:
    """It is on the schedule from the transaction that makes it."""
    payment, operation = create_of(1)
    await store.commit("acme", [statements.insert_payment(payment, operation, due_at=seconds(30))])
    assert await checks(store) == [("pay_001", 30, 0)]


async def test_a_change_may_leave_the_check_as_it_is(store: Store) -> None:
    """A payment that gives its reference away is still checked when it was to be."""
    payment, operation = await stored(store, 1)
    payment = await change(store, payment, operation, seconds(30))
    await store.commit(
        "acme", [statements.update_payment(payment, payment, open_before=operation, open_after=operation)]
    )
    assert await checks(store) == [("pay_001", 30, 0)]


async def test_a_check_can_be_hastened_but_not_put_off(store: Store) -> None:
    """A nearer moment wins, whichever came first."""
    await stored(store, 1)
    await store.commit("acme", [schedule.bring_check_forward("acme", "pay_001", seconds(30))])
    await store.commit("acme", [schedule.bring_check_forward("acme", "pay_001", seconds(60))])
    assert await checks(store) == [("pay_001", 30, 0)]
    await store.commit("acme", [schedule.bring_check_forward("acme", "pay_001", seconds(10))])
    assert await checks(store) == [("pay_001", 10, 0)]


@pytest.mark.parametrize("due", [None, 99])
async def test_a_check_that_was_overtaken_sets_nothing(store: Store, due: int | None) -> None:
    """When a change has set another moment meanwhile, the check's own next moment is not taken."""
    await change(store, *await stored(store, 1), seconds(30))
    next_due = None if due is None else seconds(due)
    await store.commit(
        "acme", [schedule.record_check("acme", "pay_001", was_due=milliseconds(AT), due_at=next_due, tries=1)]
    )
    assert await checks(store) == [("pay_001", 30, 0)]
    was = milliseconds(seconds(30))
    await store.commit("acme", [schedule.record_check("acme", "pay_001", was_due=was, due_at=next_due, tries=1)])
    assert await checks(store) == ([] if due is None else [("pay_001", 99, 1)])


async def test_what_is_due_first_comes_first(store: Store) -> None:
    """Due checks come in the order of their moments, at most as many as wanted; the next one after them is known."""
    for number, due in ((1, 20), (2, 10), (3, 40)):
        await change(store, *await stored(store, number), seconds(due))
    assert [row.payment_id for row in await store.due_checks(seconds(20), 9)] == ["pay_002", "pay_001"]
    assert [row.payment_id for row in await store.due_checks(seconds(20), 1)] == ["pay_002"]
    assert await store.next_check_due(seconds(20)) == milliseconds(seconds(40))
    assert await store.next_check_due(seconds(40)) is None
