"""What is old and done with is forgotten; what somebody may still need is not."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import Unavailable
from gateway.flows import approvals
from gateway.flows.audit import Act, Actor
from gateway.flows.background import retention
from tests.support.clients.psp_callbacks import post, signed_body
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


def keeping_for_seconds(settings: dict[str, Any]) -> None:
    """All that can be kept for a time is kept for two seconds, and looked at every second."""
    settings["retention"] = dict.fromkeys(("customer_data", "inbox_bodies", "delivered_webhooks", "dead_letters"), "2s")
    settings["clocks"]["housekeeping"] = "1s"


async def test_everything_goes_after_its_time(tmp_path: Path) -> None:
    """Webhooks of both ends, contents of callbacks, and the customer; the timeline and the proof stay."""
    clock = a_clock()
    async with running_stack(tmp_path, change=keeping_for_seconds, clock=clock) as stack:
        store = stack.gateway.store
        stack.webhook_answer = lambda request: 410 if request.match_info["tenant"] == "globex" else 204
        paid = [(await stack.create(psp_body(), tenant=tenant)).json for tenant in ("acme", "globex")]
        for payment in paid:
            tenant = payment["tenant"]
            assert (await post(stack, signed_body(stack, payment, tenant=tenant), tenant=tenant)).status < 300

        async def left(payment: Any) -> list[Any]:
            tenant, payment_id = payment["tenant"], payment["id"]
            rows = await store.deliveries.of_payment(tenant, payment_id)
            [callback] = await store.inbox.of_payment(tenant, payment_id)
            whole = await store.inbox.find([tenant], callback[0])
            loaded = await store.payment(tenant, payment_id)
            bodies = [row.body for row in (whole,) if row is not None and row.body]
            return [*rows, *bodies, *([loaded] if loaded is not None and loaded.payment.erased_at is None else [])]

        async with asyncio.timeout(30):
            while [one for payment in paid for one in await left(payment)] or stack.gateway.memory.log_holds_deleted:
                await clock.advance(0.5)
        for payment in paid:
            assert (await stack.payment(payment["id"], tenant=payment["tenant"]))["state"] == "captured"
            assert len(await stack.events(payment["id"], tenant=payment["tenant"])) == 3
            [callback] = await store.inbox.of_payment(payment["tenant"], payment["id"])
            assert callback[3] == "recorded"


async def test_a_webhook_on_its_way_is_looked_at_again(tmp_path: Path) -> None:
    """It stays until it is delivered at last, and goes then; what was passed before is not read again."""
    clock = a_clock()
    async with running_stack(tmp_path, clock=clock) as stack:
        stack.webhook_answer = lambda _: 503
        payment = await created(stack)
        await rows_when(stack, payment["id"], lambda rows: bool(rows[0].attempts))
        clock.set(clock.now() + timedelta(days=31))
        gw, age = stack.gateway, timedelta(days=30)
        made = asyncio.create_task(retention.delete_webhooks(gw, "acme", "delivered", age, after=""))
        await until(stack, lambda: clock.sleeping > 0)
        while not made.done():
            await clock.advance(retention.PAUSE_SECONDS)
        assert await made == ""
        assert len(await gw.store.deliveries.of_payment("acme", payment["id"])) >= 2


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
            await clock.advance(3600)
            await until(stack, lambda wanted=round_: len(asked) == wanted)  # type: ignore[misc]


async def test_a_fault_in_a_round_keeps_no_body_of_an_expired_approval(tmp_path: Path) -> None:
    """It may name a customer who wants to be forgotten."""
    clock = a_clock()
    async with running_stack(tmp_path, clock=clock) as stack:
        store = stack.gateway.store
        act = Act(name="customers.erase", by=Actor(key_id="k1"), reason="asked")
        body, path = b'{"email": "dana@reyes.example"}', "/admin/v1/customers/erase"
        asked = await approvals.request(stack.gateway, act, method="POST", path=path, target=None, body=body)

        async def refuse(*_: object) -> list[str]:
            raise ValueError("a document that cannot be read")

        store.answered_keys = refuse  # type: ignore[method-assign]
        clock.set(clock.now() + timedelta(days=2))
        async with asyncio.timeout(10):
            while (found := await store.approvals.find(asked.id)) is not None and found.body is not None:
                await clock.advance(600)
        assert found is not None
        assert found.status == "expired"


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


@pytest.mark.parametrize("delete", [retention.delete_refused_requests, retention.delete_refused])
async def test_what_was_refused_leaves_the_write_ahead_log_too(tmp_path: Path, delete: Any) -> None:
    """As all that is deleted for good."""
    clock = a_clock()
    async with running_stack(tmp_path, clock=clock) as stack:
        await stack.call("GET", "/v1/payments/pay_1")
        await stack.gateway.refused_requests.write()
        payment = (await stack.create(psp_body())).json
        assert (await post(stack, signed_body(stack, payment).replace(b"T-1", b"T-2"))).status >= 400
        await delete(stack.gateway)
        assert not stack.gateway.memory.log_holds_deleted
        clock.set(clock.now() + timedelta(days=8))
        made = asyncio.create_task(delete(stack.gateway))
        async with asyncio.timeout(10):
            while not made.done():
                await clock.advance(retention.PAUSE_SECONDS)
        await made
        assert stack.gateway.memory.log_holds_deleted
