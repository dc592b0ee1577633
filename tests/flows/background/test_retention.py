"""What is old and done with is forgotten; what somebody may still need is not."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

from gateway.core.errors import Unavailable
from gateway.flows.background import retention
from tests.support.factories.deliveries import a_clock, created, rows_when, until
from tests.support.stack import new_key, psp_body, running_stack


async def test_an_idempotency_key_is_kept_for_a_week(tmp_path: Path) -> None:
    """After seven days it still answers; after eight and an hour it is gone."""
    clock = a_clock()
    async with running_stack(tmp_path, clock=clock) as stack:
        key, body = new_key(), psp_body()
        first = await stack.create(body, key=key)
        clock.set(clock.now() + timedelta(days=7))
        assert (await stack.create(body, key=key)).json == first.json
        clock.set(clock.now() + timedelta(days=1, hours=1))
        async with asyncio.timeout(10):
            while await stack.gateway.store.idempotency_record("acme", key) is not None:
                await clock.advance(600)


async def test_a_delivered_webhook_is_kept_for_a_month_and_a_dead_letter_for_good(tmp_path: Path) -> None:
    """The timeline of the payment stays whole."""
    clock = a_clock()
    async with running_stack(tmp_path, clock=clock) as stack:
        payment = await created(stack)
        await rows_when(stack, payment["id"], lambda rows: all(row.status == "delivered" for row in rows))
        stack.webhook_answer = lambda _: 410
        other = await created(stack)
        await rows_when(stack, other["id"], lambda rows: all(row.status == "dead" for row in rows))
        clock.set(clock.now() + timedelta(days=30, hours=-2))
        await clock.advance(60)
        assert [row.status for row in await rows_when(stack, payment["id"], bool)][:2] == ["delivered"] * 2
        clock.set(clock.now() + timedelta(hours=3))
        async with asyncio.timeout(10):
            while any(row.status == "delivered" for row in await rows_when(stack, payment["id"], lambda _: True)):
                await clock.advance(600)
        assert [row.status for row in await rows_when(stack, other["id"], bool)][:2] == ["dead"] * 2
        assert [event["version"] for event in await stack.events(payment["id"])][:2] == [1, 2]


async def test_housekeeping_outlives_a_sick_store(tmp_path: Path) -> None:
    """A round that fails is made again an hour later."""
    clock = a_clock()
    async with running_stack(tmp_path, clock=clock) as stack:
        asked = []

        async def refuse(tenant: str, before: datetime, limit: int) -> list[str]:
            asked.append(tenant)
            raise Unavailable("the store cannot be read: disk gone")

        stack.gateway.store.answered_keys = refuse  # type: ignore[method-assign]
        for round_ in (1, 2):
            await clock.advance(retention.ROUND_SECONDS)
            await until(stack, lambda wanted=round_: len(asked) == wanted)  # type: ignore[misc]


async def test_why_a_request_was_refused_is_kept_for_a_week(tmp_path: Path) -> None:
    """After seven days and an hour it is forgotten."""
    clock = a_clock()
    async with running_stack(tmp_path, clock=clock) as stack:
        request_id = (await stack.call("GET", "/v1/payments/pay_1")).headers["X-Request-Id"]
        await stack.gateway.refused_requests.write()
        clock.set(clock.now() + timedelta(days=7, minutes=-1))
        await retention.delete_refused_requests(stack.gateway)
        assert await stack.gateway.store.refused_requests.find(request_id)
        clock.set(clock.now() + timedelta(hours=1))
        async with asyncio.timeout(10):
            while await stack.gateway.store.refused_requests.find(request_id):
                await clock.advance(600)
