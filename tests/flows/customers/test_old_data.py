"""Customers' data goes some time after the end of its payment; what is open keeps it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.flows.customers import old_data
from gateway.flows.customers.old_data import PASSED
from tests.flows.customers.test_erase import paid, purchase_of
from tests.support.factories.deliveries import a_clock
from tests.support.scenarios import creditkey
from tests.support.stack import GatewayStack, psp_body, running_stack
from tests.support.virtual_clock import VirtualClock


def keeping_for_ten_days(settings: dict[str, Any]) -> None:
    """Customers' data is kept for ten days."""
    settings["retention"] = {"customer_data": "10d"}


async def a_round(stack: GatewayStack, clock: VirtualClock) -> None:
    """A round of housekeeping, whose pauses pass."""
    made = asyncio.create_task(old_data.erase(stack.gateway))
    while not made.done():
        await clock.advance(old_data.PAUSE_SECONDS)
    await made


async def is_erased(stack: GatewayStack, payment: Any) -> bool:
    """Whether a payment names nobody any more."""
    return (await purchase_of(stack, payment)).erased_at is not None


async def test_it_counts_from_the_last_change_of_an_ended_payment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not from its beginning; each payment has its own time, and a later round finds what an earlier one passed."""
    monkeypatch.setattr(old_data, "BATCH_SIZE", 1)
    clock = a_clock()
    async with running_stack(tmp_path, change=keeping_for_ten_days, clock=clock) as stack:
        gw = stack.gateway
        first, second = await paid(stack), (await stack.create(psp_body())).json
        clock.set(clock.now() + timedelta(days=10, hours=-1))
        await a_round(stack, clock)
        assert not await is_erased(stack, first)
        clock.set(clock.now() + timedelta(hours=2))
        await a_round(stack, clock)
        assert (await is_erased(stack, first), await is_erased(stack, second)) == (True, False)
        assert await gw.store.metadata.timestamp(PASSED + "acme") is not None
        assert [one.key for one in await gw.store.pending_erasures.page(("", ""), 9)] == [("acme", second["id"])]


async def test_a_refund_begins_the_time_anew(tmp_path: Path) -> None:
    """The payment has moved."""
    clock = a_clock()
    async with running_stack(tmp_path, change=keeping_for_ten_days, clock=clock) as stack:
        payment = await creditkey.captured(stack)
        clock.set(clock.now() + timedelta(days=9))
        assert (await creditkey.act(stack, payment, "refund", {"amount": "1.00"})).status == 201
        for days, gone in ((2, False), (9, True)):
            clock.set(clock.now() + timedelta(days=days))
            await a_round(stack, clock)
            assert await is_erased(stack, payment) is gone


async def test_one_payment_that_cannot_be_erased_keeps_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and done in a later round."""
    clock = a_clock()
    async with running_stack(tmp_path, change=keeping_for_ten_days, clock=clock) as stack:
        broken, other = await paid(stack), await paid(stack)
        records = stack.gateway.store.personal_data
        read = records.about

        async def refuse(tenant: str, payment_id: str) -> Any:
            if payment_id == broken["id"]:
                raise ValueError("no such document")
            return await read(tenant, payment_id)

        records.about = refuse  # type: ignore[method-assign]
        clock.set(clock.now() + timedelta(days=11))
        await a_round(stack, clock)
        assert (await is_erased(stack, broken), await is_erased(stack, other)) == (False, True)
        logged = {(record.getMessage(), getattr(record, "payment_id", None)) for record in caplog.records}
        assert ("a payment could not be erased", broken["id"]) in logged
        records.about = read  # type: ignore[method-assign]
        await a_round(stack, clock)
        assert await is_erased(stack, broken)


async def test_without_the_setting_nothing_is_old(tmp_path: Path) -> None:
    """As it was before there was one."""
    clock = a_clock()
    async with running_stack(tmp_path, clock=clock) as stack:
        payment = await paid(stack)
        clock.set(clock.now() + timedelta(days=3000))
        await a_round(stack, clock)
        assert not await is_erased(stack, payment)
