"""A clock that is moved wakes what sleeps past the new time: days of a payment pass in a moment."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.testing.simulator import MovableClock
from tests.support.stack import psp_body, running_stack

DAY = timedelta(days=1)


async def test_a_sleep_ends_when_the_clock_is_moved_past_it() -> None:
    """Not before: a shorter move lets it sleep on."""
    clock = MovableClock()
    sleeping = asyncio.create_task(clock.sleep(2 * DAY.total_seconds()))
    await asyncio.sleep(0)
    clock.advance(DAY)
    await asyncio.wait({sleeping}, timeout=0)
    assert not sleeping.done()
    clock.advance(2 * DAY)
    await asyncio.wait_for(sleeping, 10)


def test_the_clock_is_never_moved_back() -> None:
    """What is stored would lie in the future."""
    clock = MovableClock()
    clock.advance(DAY)
    with pytest.raises(ValueError, match="only moved ahead"):
        clock.advance(-DAY)
    assert clock.now() - datetime.now(UTC) > timedelta(hours=23)


async def test_a_payment_expires_when_the_clock_is_moved(tmp_path: Path) -> None:
    """A customer who never pays: the gateway's own schedule says so at once."""
    clock = MovableClock()
    async with running_stack(tmp_path, clock=clock) as stack:
        payment = (await stack.create(psp_body())).json
        clock.advance(30 * DAY)
        async with stack.webhook_arrived, asyncio.timeout(10):
            await stack.webhook_arrived.wait_for(
                lambda: any(b"payment.expired" in body for _, body in stack.delivered_webhooks)
            )
        assert (await stack.payment(payment["id"]))["state"] == "expired"
