"""A webhook that a tenant has sent again, also while a try of it is under way."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from aiohttp import web

from gateway.flows.webhooks import redelivery
from tests.support.factories.deliveries import LATE, SCHEDULE, a_clock, created, first_tried, rows_when, until
from tests.support.stack import running_stack


async def test_a_webhook_sent_again_during_a_try_begins_its_schedule_anew(tmp_path: Path) -> None:
    """The try under way ends badly, and the one that was just asked for is made at once all the same."""
    clock, held, asked = a_clock(), asyncio.Event(), []

    async def answer(request: web.Request) -> int:
        if json.loads(await request.read())["data"]["payment"]["version"] > 1:
            return 204
        asked.append(request)
        if len(asked) == 2:
            await held.wait()
        return 204 if len(asked) > 2 else 500

    async with running_stack(tmp_path, clock=clock) as stack:
        stack.webhook_answer = answer
        payment = await created(stack)
        row = await first_tried(stack, payment["id"])
        await clock.advance(SCHEDULE[1] * LATE)
        await until(stack, lambda: len(asked) == 2)
        await redelivery.redeliver_one(stack.gateway, "acme", row.id)
        held.set()
        await rows_when(stack, payment["id"], lambda rows: rows[0].status == "delivered")
