"""Small holes in the keeping of promises that a second review found."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway.core.errors import NotSent
from gateway.drivers.store.inbox import StoredCallback
from gateway.drivers.store.statements import Statement
from gateway.flows import restore
from gateway.flows.webhooks import redelivery
from tests.flows.test_restore import Disaster, path_of
from tests.flows.test_restore import disaster as disaster  # the fixture
from tests.support.clients.psp_callbacks import call_back, new_payment, post
from tests.support.factories.deliveries import LATE, SCHEDULE, a_clock, created, first_tried, rows_when, until
from tests.support.scenarios.creditkey import captured
from tests.support.scenarios.inbox import inbox_stack, rows
from tests.support.stack import GatewayStack, running_stack

# Webhooks


@pytest.mark.parametrize("word", ["address_not_allowed", "https_required", "connect_failed"])
async def test_a_tenant_does_not_learn_why_a_webhook_was_not_sent(stack: GatewayStack, word: str) -> None:
    """Whatever kept a webhook from leaving the gateway, its tenant reads ``connect_failed``."""

    async def refuse(*_: Any, **__: Any) -> Any:
        raise NotSent(word, connection=True)

    stack.gateway.deliver = refuse
    row = await first_tried(stack, (await created(stack))["id"])
    assert [one["error"] for one in row.attempts] == ["connect_failed"]


async def test_a_webhook_is_delivered_whatever_the_body_of_its_answer(stack: GatewayStack) -> None:
    """A 200 with more than anybody wants to read is a 200."""
    stack.webhook_answer = lambda _: web.Response(body=b"x" * 200_000)
    payment = await created(stack)
    found = await rows_when(stack, payment["id"], lambda rows: bool(rows) and bool(rows[0].attempts))
    assert (found[0].status, found[0].attempts[0]["status_code"]) == ("delivered", 200)


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
        await redelivery.send_one_again(stack.gateway, "acme", row.id)
        held.set()
        await rows_when(stack, payment["id"], lambda rows: rows[0].status == "delivered")


# The inbox


async def one_row(stack: GatewayStack) -> StoredCallback:
    [row] = await rows(stack)
    return row


async def test_a_callback_too_large_to_read_is_kept_as_evidence(tmp_path: Path) -> None:
    """It is refused, and the inbox tells when, from where and why, without the body."""
    async with inbox_stack(tmp_path) as (stack, _):
        assert (await post(stack, b" " * (64 * 1024 + 1))).status == 413
        row = await one_row(stack)
        assert (row.verdict, row.reason, row.body) == ("refused", "too_large", b"")
        assert row.size > 64 * 1024


# After a restore


async def test_what_was_seen_since_a_restore_is_remembered_only_as_long_as_it_matters(stack: GatewayStack) -> None:
    """Payments younger than the restore are not remembered one by one for ever."""
    payment = await new_payment(stack)
    await call_back(stack, payment)
    loaded = await stack.gateway.store.payment("acme", payment["id"])
    assert loaded is not None
    stack.gateway.restored_at = loaded.payment.created_at - timedelta(days=8)
    restore.has_been_seen(stack.gateway, loaded.payment)
    assert stack.gateway.seen_since_restored == set()


FLAG = """
    UPDATE payments SET review = 'contradiction',
    doc = json_set(doc, '$.review', json('{"reason": "contradiction", "since": "2026-01-01T00:00:00Z"}'))"""
CLEAR = "UPDATE payments SET review = NULL, doc = json_set(doc, '$.review', NULL)"


async def test_a_forgotten_refund_is_said_although_the_payment_was_under_review_already(disaster: Disaster) -> None:
    """Whoever clears the old flag a second time is told of the refund: its repetition would give the money twice."""
    async with disaster.before() as stack:
        payment = await captured(stack)
        await stack.gateway.store.commit([Statement(FLAG, ())])
        assert (await stack.payment(payment["id"]))["review"]["reason"] == "contradiction"
        disaster.save()
        await stack.gateway.store.commit([Statement(CLEAR, ())])
        assert (await disaster.ask(*path_of(payment, "refund"), {"amount": "10.00"})).status == 201
    async with disaster.after() as stack:
        now = (await stack.call("POST", f"/v1/payments/{payment['id']}/sync")).json
        assert (now["amount_refunded"], now["review"]["reason"]) == ("10.00", "refund_unclear")
