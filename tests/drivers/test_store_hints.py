"""A hint that is due keeps the moment of its check, whatever else changes the payment, until it is followed up."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from gateway.core.payment import Payment, State
from gateway.drivers.clock import milliseconds
from gateway.drivers.store import schedule, statements
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import Statement
from tests.support.factories.payments import AT
from tests.support.factories.store_units import resolved_payment

SOON, LATE = AT + timedelta(seconds=1), AT + timedelta(hours=1)


async def hinted(store: Store) -> Payment:
    """A payment with a hint that will be followed up soon."""
    payment = await resolved_payment(store, 1, State.AWAITING_CUSTOMER)
    await store.commit(
        "acme",
        [schedule.store_hint("acme", payment.id, "CK-1", AT), schedule.bring_check_forward("acme", payment.id, SOON)],
    )
    return payment


def changed(payment: Payment, due_at: datetime | None) -> Statement:
    """A change of a payment after which its own schedule says ``due_at``."""
    return statements.update_payment(payment, payment, open_before=None, open_after=None, due_at=due_at)


async def next_moment(store: Store) -> int | None:
    """When the store is looked at next."""
    return await store.next_check_due(AT)


@pytest.mark.parametrize("due_at", [LATE, None])
async def test_a_change_does_not_put_a_due_hint_off(store: Store, due_at: datetime | None) -> None:
    """A payment that changes before its hint is followed up is looked at at the hint's moment."""
    payment = await hinted(store)
    await store.commit("acme", [changed(payment, due_at)])
    assert await next_moment(store) == milliseconds(SOON)


async def test_a_change_brings_a_hint_forward(store: Store) -> None:
    """A moment nearer than the hint's is kept as it is."""
    payment = await hinted(store)
    await store.commit("acme", [changed(payment, SOON - timedelta(milliseconds=500))])
    assert await next_moment(store) == milliseconds(SOON) - 500


async def test_a_followed_hint_gives_its_moment_up(store: Store) -> None:
    """Once the hint is closed the payment's own schedule counts."""
    payment = await hinted(store)
    await store.commit(
        "acme",
        [schedule.close_hint("acme", payment.id, "CK-1", milliseconds(AT)), schedule.postpone_check(payment, LATE)],
    )
    assert await next_moment(store) == milliseconds(LATE)


async def test_a_hint_that_came_again_keeps_its_moment(store: Store) -> None:
    """Closing an older hit gives nothing up."""
    payment = await hinted(store)
    await store.commit(
        "acme", [schedule.close_hint("acme", payment.id, "CK-1", 1), schedule.postpone_check(payment, LATE)]
    )
    assert await next_moment(store) == milliseconds(SOON)


async def test_a_payment_that_moved_keeps_its_moment(store: Store) -> None:
    """What was decided on an older revision puts nothing off."""
    payment = await hinted(store)
    moved = statements.update_payment(payment, payment, open_before=None, open_after=None)
    await store.commit("acme", [moved, schedule.close_hint("acme", payment.id, "CK-1", milliseconds(AT))])
    await store.commit("acme", [schedule.postpone_check(payment, LATE)])
    assert await next_moment(store) == milliseconds(SOON)


async def test_only_the_newest_hints_of_a_payment_are_kept(store: Store) -> None:
    """Another payment's are left alone."""
    for payment_id in ("pay_1", "pay_2"):
        for second in range(4):
            at = AT + timedelta(seconds=second)
            await store.commit("acme", [schedule.store_hint("acme", payment_id, f"CK-{second}", at)])
    await store.commit("acme", [schedule.trim_hints("acme", "pay_1", 2)])
    assert [key for key, _ in await store.due_hints("acme", "pay_1")] == ["CK-3", "CK-2"]
    assert len(await store.due_hints("acme", "pay_2")) == 4
