"""A command, its answer, a lookup and a customer's visit at once, each order forced: nothing is lost or doubled."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from gateway.flows.background import reconcile
from tests.support.passing_time import run_due_checks
from tests.support.scenarios import creditkey
from tests.support.scenarios.creditkey import (
    BEGIN,
    COMPLETE,
    TimedStack,
    Wire,
    accept,
    act,
    authorized,
    awaiting,
    calls,
    captured,
    lookups,
    operations,
    provider_order,
    statuses,
    timeline,
    total_of,
)
from tests.support.stack import GatewayStack, creditkey_body, new_key, psp_body

A_MOMENT = timedelta(seconds=1)


@pytest.mark.parametrize("held", ["request", "answer"])
async def test_an_update_while_the_customer_accepts(stack: GatewayStack, held: str) -> None:
    """The customer comes back while an update is on its way: their visit waits for it, then both are done once."""
    payment = await awaiting(stack)
    wire = Wire(stack)
    gate = wire.hold_request("update_order") if held == "request" else wire.hold_answer("update_order")
    rising = asyncio.create_task(act(stack, payment, "update", total_of("1127.33")))
    await gate.reached()
    coming_back = asyncio.create_task(stack.visit(await stack.approve(payment)))
    await gate.reached()
    assert await calls(stack, payment, COMPLETE) == []
    gate.open()
    assert ((await rising).status, (await coming_back).status) == (200, 303)
    await stack.gateway.tasks.drain(10)
    now = await stack.payment(payment["id"])
    assert (now["state"], now["amount"], now["review"]) == ("authorized", "1127.33", None)
    assert (await creditkey.stored(stack, payment)).accepted_amount == (
        await creditkey.stored(stack, payment)
    ).money.amount
    assert (await provider_order(stack, payment))["amount"] == "1127.33"
    assert (await calls(stack, payment, COMPLETE), await lookups(stack, payment)) == ([COMPLETE], 2)
    assert (await timeline(stack, payment))[payment["version"] :] == ["payment.updated", "payment.authorized"]


async def test_an_update_that_was_lost_while_the_customer_accepts(stack: GatewayStack) -> None:
    """The visit's lookup shows the new amount: it settles the update, and the customer's acceptance is completed."""
    payment = await awaiting(stack)
    await stack.faults("creditkey", operation="update_order", silence="after_effect", times=1)
    assert (await act(stack, payment, "update", total_of("1127.33"))).status == 202
    await accept(stack, payment)
    now = await stack.payment(payment["id"])
    assert (now["state"], now["amount"], now["pending_operation"]) == ("authorized", "1127.33", None)
    assert (await calls(stack, payment, "update_order", COMPLETE)) == ["update_order", COMPLETE]


async def test_a_completion_by_another_lookup_is_looked_at_by_both(stack: GatewayStack) -> None:
    """What a lookup saw before another one completed does not show it, and the other one may never look again."""
    payment = await awaiting(stack)
    coming_back = await stack.approve(payment)
    wire = Wire(stack)
    first, completion = wire.hold_answer("find_order", most=1), wire.hold_request(COMPLETE)
    syncing = asyncio.create_task(act(stack, payment, "sync"))
    await first.reached()
    visiting = asyncio.create_task(stack.visit(coming_back))
    await completion.reached()
    last = wire.hold_answer("find_order", most=1)
    completion.open()
    await last.reached()
    first.open()
    assert (await syncing).json["state"] == "authorized"
    last.open()
    assert (await visiting).status == 303
    assert await calls(stack, payment, COMPLETE) == [COMPLETE]


async def test_a_lookup_that_was_overtaken_is_asked_again(stack: GatewayStack) -> None:
    """A lookup's news comes back after the payment has moved on: it is thrown away, and the next one brings it."""
    payment = await authorized(stack)
    await creditkey.edit(stack, payment, status="shipped", capture_status="captured")
    asked = await lookups(stack, payment)
    gate = Wire(stack).hold_answer("find_order")
    syncing = asyncio.create_task(act(stack, payment, "sync"))
    await gate.reached()
    assert (await act(stack, payment, "cancel")).json["operation"]["status"] == "declined"
    gate.open()
    assert (await syncing).json["state"] == "captured"
    assert await lookups(stack, payment) == asked + 2
    assert (await timeline(stack, payment))[payment["version"] :] == ["operation.declined", "payment.captured"]


async def test_a_lookup_of_an_amount_before_an_update_accuses_nobody(stack: GatewayStack) -> None:
    """A lookup saw the old amount, the update was done before it came back: nothing is wrong."""
    payment = await authorized(stack)
    gate = Wire(stack).hold_answer("find_order")
    syncing = asyncio.create_task(act(stack, payment, "sync"))
    await gate.reached()
    assert (await act(stack, payment, "update", total_of("1127.33"))).status == 200
    gate.open()
    synced = await syncing
    assert (synced.json["amount"], synced.json["review"]) == ("1127.33", None)


async def test_a_customer_faster_than_the_creates_answer(stack: GatewayStack) -> None:
    """The customer accepts and returns before Credit Key's answer arrives: nothing of either is lost or doubled."""
    gate, body = Wire(stack).hold_answer(BEGIN), creditkey_body()
    creating = asyncio.create_task(stack.create(body))
    await gate.reached()
    [order] = [
        one for one in await stack.provider_orders("creditkey") if one["remote_id"] == body["merchant_reference"]
    ]
    back = (await stack.call_provider("creditkey", "POST", f"/checkout/{order['id']}/approve")).json["redirect"]
    coming_back = asyncio.create_task(stack.visit(back))
    await hint_stored(stack)
    gate.open()
    created = await creating
    assert (created.status, (await coming_back).status) == (201, 303)
    await stack.gateway.tasks.drain(10)
    now = await stack.payment(created.json["id"])
    assert (now["state"], now["provider_reference"], now["pending_operation"]) == ("authorized", order["id"], None)
    assert now["redirect_url"].endswith(order["id"])
    assert await calls(stack, now) == [BEGIN, COMPLETE]
    await timeline(stack, now)


async def hint_stored(stack: GatewayStack) -> None:
    """Wait until a visit's hint is stored."""
    async with asyncio.timeout(10):
        [payment] = (await stack.call("GET", "/v1/payments")).json["data"]
        while not await stack.gateway.store.due_hints("acme", payment["id"]):
            pass


async def test_a_sync_faster_than_the_creates_answer(stack: GatewayStack) -> None:
    """A lookup finds the order while its create's answer is on the way: the page's address is not lost over it."""
    gate, body = Wire(stack).hold_answer(BEGIN), creditkey_body()
    creating = asyncio.create_task(stack.create(body))
    await gate.reached()
    [listed] = (await stack.call("GET", "/v1/payments")).json["data"]
    synced = await act(stack, listed, "sync")
    assert (synced.json["state"], synced.json["pending_operation"]["kind"]) == ("awaiting_customer", "create")
    gate.open()
    created = await creating
    assert (created.status, created.json["operation"]["status"]) == (201, "succeeded")
    assert created.json["redirect_url"].endswith(created.json["provider_reference"])
    assert created.json["customer_notified"] is True
    assert [alert["code"] for alert in created.json["alerts"]] == ["customer_will_be_notified"]
    await timeline(stack, created.json)


async def test_a_sync_faster_than_a_creates_lost_answer(stack: GatewayStack) -> None:
    """The order was found already when the answer got lost: the create has succeeded, as the lookup showed."""
    gate, body = Wire(stack).hold_request(BEGIN), creditkey_body()
    creating = asyncio.create_task(stack.create(body))
    await gate.reached()
    [listed] = (await stack.call("GET", "/v1/payments")).json["data"]
    await stack.faults("creditkey", operation=BEGIN, silence="after_effect", times=1)
    answer = Wire(stack).hold_answer("find_order_by_merchant_order_id")
    gate.open()
    created = await creating
    assert (created.status, created.json["state"]) == (202, "created")
    answer.open()
    synced = await act(stack, listed, "sync")
    assert (synced.json["state"], synced.json["pending_operation"]) == ("awaiting_customer", None)


async def test_a_psp_callback_faster_than_the_creates_answer(stack: GatewayStack) -> None:
    """API-2 comes before API-1's answer: the payment is captured, the late answer still brings the page's address."""
    gate = Wire(stack).hold_answer("url")
    creating = asyncio.create_task(stack.create(psp_body()))
    await gate.reached()
    [order] = await stack.provider_orders("psp")
    assert (await stack.call_provider("psp", "POST", f"/pay/{order['id']}/pay")).json["status"] == 204
    gate.open()
    created = await creating
    assert (created.status, created.json["state"], created.json["operation"]["status"]) == (
        201,
        "captured",
        "succeeded",
    )
    assert (created.json["amount_captured"], created.json["redirect_url"] is not None) == ("162.48", True)
    assert (await timeline(stack, created.json))[:2] == ["payment.created", "payment.captured"]


async def test_a_poll_and_a_returning_customer_at_once(timed: TimedStack) -> None:
    """Both see that the customer accepted, both want to complete: it is completed once."""
    stack = timed.stack
    payment = await awaiting(stack)
    back = await stack.approve(payment)
    timed.clock.set(await timed.next_check(payment))
    Wire(stack).hold_answer("find_order", crowd=2)
    polling, coming_back = asyncio.create_task(run_due_checks(stack.gateway)), asyncio.create_task(stack.visit(back))
    assert (await polling, (await coming_back).status) == (1, 303)
    await stack.gateway.tasks.drain(10)
    assert (await stack.payment(payment["id"]))["state"] == "authorized"
    assert await calls(stack, payment, COMPLETE) == [COMPLETE]
    assert await operations(stack, payment) == [("create", "succeeded"), ("complete", "succeeded")]
    assert len(await timeline(stack, payment)) == payment["version"] + 1


async def test_two_workers_look_at_once(timed: TimedStack) -> None:
    """Two visits of one payment at the same moment do what one does."""
    stack = timed.stack
    payment = await awaiting(stack)
    await stack.approve(payment)
    timed.clock.set(await timed.next_check(payment))
    Wire(stack).hold_answer("find_order", crowd=2)
    (row,) = await stack.gateway.store.due_checks(stack.gateway.clock.now(), 1)
    await asyncio.gather(reconcile.check(stack.gateway, row), reconcile.check(stack.gateway, row))
    assert (await stack.payment(payment["id"]))["state"] == "authorized"
    assert await calls(stack, payment, COMPLETE) == [COMPLETE]
    assert len(await timeline(stack, payment)) == payment["version"] + 1


async def test_a_stale_poll_turns_nothing_back(timed: TimedStack) -> None:
    """A poll saw the order before the customer accepted; when its answer comes all is done: nothing turns back."""
    stack = timed.stack
    payment = await awaiting(stack)
    timed.clock.set(await timed.next_check(payment))
    gate = Wire(stack).hold_answer("find_order", crowd=2)
    polling = asyncio.create_task(run_due_checks(stack.gateway))
    await gate.reached()
    timed.clock.set(timed.clock.now() + A_MOMENT)
    await accept(stack, payment)
    await polling
    assert (await stack.payment(payment["id"]))["state"] == "authorized"
    assert await calls(stack, payment, COMPLETE) == [COMPLETE]
    assert len(await timeline(stack, payment)) == payment["version"] + 1


async def test_a_capture_while_a_poll_is_answered(timed: TimedStack) -> None:
    """A poll saw the order authorized; it was captured before the answer came: it stays captured, once."""
    stack = timed.stack
    payment = await authorized(stack)
    timed.clock.set(await timed.next_check(payment))
    gate = Wire(stack).hold_answer("find_order", most=1)
    polling = asyncio.create_task(run_due_checks(stack.gateway))
    await gate.reached()
    assert (await act(stack, payment, "capture")).status == 200
    gate.open()
    await polling
    now = await stack.payment(payment["id"])
    assert (now["state"], now["review"]) == ("captured", None)
    assert await calls(stack, payment, "confirm_order") == ["confirm_order"]
    assert len(await timeline(stack, payment)) == payment["version"] + 1


async def test_a_lookup_that_sees_a_captures_effect_first(stack: GatewayStack) -> None:
    """A sync sees the effect before the capture's own answer: one version, one webhook, and the tenant gets a 200."""
    payment = await authorized(stack)
    gate = Wire(stack).hold_answer("confirm_order")
    key = new_key()
    shipping = asyncio.create_task(act(stack, payment, "capture", key=key))
    await gate.reached()
    assert (await act(stack, payment, "sync")).json["state"] == "captured"
    gate.open()
    shipped = await shipping
    assert (shipped.status, shipped.json["operation"]["status"]) == (200, "succeeded")
    assert (await act(stack, payment, "capture", key=key)).text == shipped.text
    assert (await timeline(stack, payment))[payment["version"] :] == ["payment.captured"]


async def test_a_lookup_before_a_captures_effect_proves_nothing(stack: GatewayStack) -> None:
    """While the call is on its way, reading that nothing has happened yet is no proof that nothing will."""
    payment = await authorized(stack)
    gate = Wire(stack).hold_request("confirm_order")
    shipping = asyncio.create_task(act(stack, payment, "capture"))
    await gate.reached()
    for _ in range(3):
        assert (await act(stack, payment, "sync")).json["pending_operation"]["status"] == "sending"
    gate.open()
    assert (await shipping).json["state"] == "captured"


async def test_a_completion_on_its_way_is_settled_by_its_answer_alone(stack: GatewayStack) -> None:
    """The customer accepts while a completion that came too early is refused: a lookup meanwhile authorizes nothing."""
    payment = await awaiting(stack)
    order = await provider_order(stack, payment)
    gate = Wire(stack).hold_answer(COMPLETE)
    too_early = asyncio.create_task(stack.visit(order["return_url"].replace("%CKKEY%", order["id"])))
    await gate.reached()
    await stack.approve(payment)
    assert (await act(stack, payment, "sync")).json["state"] == "awaiting_customer"
    gate.open()
    await too_early
    await stack.gateway.tasks.drain(10)
    assert (await operations(stack, payment))[-1] == ("complete", "declined")
    assert (await act(stack, payment, "sync")).json["state"] == "authorized"
    assert (await provider_order(stack, payment))["completed"] is True


async def test_a_refund_whose_reading_was_overtaken(stack: GatewayStack) -> None:
    """Another refund was made while the first total was read: the reading is repeated and the rest is what is left."""
    payment = await captured(stack)
    gate = Wire(stack).hold_answer("find_order", crowd=2)
    first = asyncio.create_task(act(stack, payment, "refund", {"amount": "10.00"}))
    await gate.reached()
    second = asyncio.create_task(act(stack, payment, "refund", {"amount": "1060.00"}))
    replies = [await first, await second]
    assert statuses(*replies)[0] == 201
    total = sum(float(reply.json["amount"]) for reply in replies if reply.status == 201)
    assert float((await provider_order(stack, payment))["refunded_amount"]) == total <= 1067.33
    await timeline(stack, payment)


async def test_an_expiry_while_the_customer_accepts(timed: TimedStack) -> None:
    """The last look ahead of the expiry is on its way as the customer comes back: the payment is authorized."""
    stack = timed.stack
    payment = await awaiting(stack)
    timed.clock.set((await creditkey.stored(stack, payment)).expires_at)
    gate = Wire(stack).hold_answer("find_order", crowd=2)
    expiring = asyncio.create_task(run_due_checks(stack.gateway))
    await gate.reached()
    timed.clock.set(timed.clock.now() + A_MOMENT)
    await accept(stack, payment)
    await expiring
    now = await stack.payment(payment["id"])
    assert (now["state"], now["expires_at"]) == ("authorized", None)
    # Both answers are let go at once. Whichever is written first, the acceptance has the last word.
    assert (await timeline(stack, payment))[-1] == "payment.authorized"
