"""What happens because time passes: polls, looks at the unknown, expiry, grace, warnings. No real time is spent.

The agenda is worked off by the test, moment by moment, so that each look is known by its date.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.core.commands import Kind
from gateway.core.payment import Operation
from gateway.core.views import rfc3339
from gateway.drivers.store import schedule, statements
from gateway.flows.background import reconcile
from gateway.flows.payments import intent, lookup
from tests.support.clients.psp_callbacks import new_payment
from tests.support.passing_time import run_due_checks
from tests.support.scenarios import creditkey
from tests.support.scenarios.creditkey import (
    BEGIN,
    COMPLETE,
    DAY,
    TimedStack,
    Wire,
    accept,
    act,
    authorized,
    awaiting,
    calls,
    captured,
    edit,
    lookups,
    operations,
    provider_order,
    review_of,
    timeline,
    total_of,
)
from tests.support.stack import GatewayStack, creditkey_body, run_gateway, running_stack
from tests.support.virtual_clock import VirtualClock

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)

Open = Callable[..., Any]


async def moments_of_looks(timed: TimedStack, payment: Any, count: int) -> list[timedelta]:
    """The pauses between the next looks at a payment, each of which asks the provider once."""
    pauses = []
    for _ in range(count):
        before, asked = timed.clock.now(), await lookups(timed.stack, payment)
        await timed.run_next()
        assert await lookups(timed.stack, payment) == asked + 1
        pauses.append(timed.clock.now() - before)
    return pauses


# Polls


async def test_polls_follow_their_schedule_and_repeat_its_last_value(timed: TimedStack) -> None:
    """A payment that waits for its customer is looked at after 5 and 15 minutes, an hour, then every six hours."""
    payment = await awaiting(timed.stack)
    pauses = await moments_of_looks(timed, payment, 6)
    assert pauses == [5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, 6 * HOUR, 6 * HOUR]
    assert len(await timeline(timed.stack, payment)) == payment["version"]


async def test_a_change_begins_the_schedule_anew(timed: TimedStack) -> None:
    """Once something has happened the looks come quickly again."""
    payment = await awaiting(timed.stack)
    await timed.advance(DAY)
    await accept(timed.stack, payment)
    assert (await timed.stack.payment(payment["id"]))["state"] == "authorized"
    assert await moments_of_looks(timed, payment, 2) == [5 * MINUTE, 15 * MINUTE]


class Found(NamedTuple):
    """What a poll finds at the provider without any hint, and what becomes of the payment."""

    begun: Callable[..., Any]
    order: Mapping[str, Any]
    state: str
    captured: str = "0.00"


POLLED = {
    "an approval": Found(awaiting, {"status": "placed", "capture_status": "authorized"}, "authorized"),
    "an order canceled before the customer": Found(awaiting, {"status": "canceled"}, "canceled"),
    "an auto-cancel": Found(authorized, {"status": "canceled"}, "canceled"),
    "an order confirmed elsewhere": Found(
        authorized, {"status": "shipped", "capture_status": "captured"}, "captured", "1067.33"
    ),
}


@pytest.mark.parametrize("name", POLLED)
async def test_a_poll_finds_what_nobody_tells(timed: TimedStack, name: str) -> None:
    """Credit Key pushes nothing in link mode: the next poll finds it, both sides say the same, versions have no gap."""
    row, stack = POLLED[name], timed.stack
    payment = await row.begun(stack)
    await edit(stack, payment, **row.order)
    await timed.advance(5 * MINUTE)
    now = await stack.payment(payment["id"])
    assert (now["state"], now["amount_captured"], now["review"]) == (row.state, row.captured, None)
    [event] = await stack.events_of_type(payment["id"], f"payment.{row.state}")
    assert event["at"] == rfc3339(timed.clock.now())
    assert len(await timeline(stack, payment)) == payment["version"] + 1
    assert (await provider_order(stack, payment))["completed"] is (row.state == "authorized" or row.begun is authorized)


@pytest.mark.parametrize("state", ["captured", "canceled"])
async def test_a_payment_at_rest_is_not_polled(timed: TimedStack, state: str) -> None:
    """After its capture or its end nothing happens to a payment by itself."""
    payment = await creditkey.BEGUN["authorized"](timed.stack)
    assert (await act(timed.stack, payment, {"captured": "capture", "canceled": "cancel"}[state])).status == 200
    assert await timed.next_check(payment) is None


async def test_a_check_that_fails_makes_room_for_others(timed: TimedStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A payment whose check breaks is checked less and less often, and goes on when the cause is gone."""

    async def break_down(*_: object) -> None:
        raise RuntimeError

    payment, pauses = await awaiting(timed.stack), []
    with monkeypatch.context() as broken:
        broken.setattr(lookup, "process_hints", break_down)
        for _ in range(4):
            before = await timed.next_check(payment)
            async with asyncio.timeout(10):
                await timed.run_next()
            pauses.append((await timed.next_check(payment)) - before)
    assert pauses == [30 * SECOND, 2 * MINUTE, 10 * MINUTE, HOUR]
    await edit(timed.stack, payment, status="canceled")
    await timed.run_next()
    assert (await timed.stack.payment(payment["id"]))["state"] == "canceled"


# Looks at the unknown


async def test_a_check_with_nothing_to_do_reads_the_payment_once(
    timed: TimedStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is due is decided from one snapshot, and so is the next check."""
    payment, store = await new_payment(timed.stack), timed.stack.gateway.store
    await store.commit("acme", [schedule.bring_check_forward("acme", payment["id"], timed.clock.now())])
    reads, read = [], store.payment

    async def counted(tenant: str, payment_id: str) -> Any:
        reads.append(payment_id)
        return await read(tenant, payment_id)

    monkeypatch.setattr(store, "payment", counted)
    assert await run_due_checks(timed.stack.gateway) == 1
    assert reads == [payment["id"]]


async def test_looks_at_the_unknown_follow_their_schedule(timed: TimedStack) -> None:
    """While Credit Key cannot be asked, the pauses grow to a day and stay there."""
    stack = timed.stack
    payment = await captured(stack)
    await stack.faults("creditkey", operation="refund", silence="before_effect", times=1)
    assert (await act(stack, payment, "refund", {"amount": "10.00"})).status == 202
    await stack.faults("creditkey", operation="find_order", html=True)
    pauses = await moments_of_looks(timed, payment, 8)
    assert pauses == [30 * SECOND, 2 * MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, *[24 * HOUR] * 3]


async def reserved(stack: GatewayStack, payment: Any, kind: Kind) -> Operation:
    """An operation that a process reserved before it died: nobody works on it."""
    whole = await creditkey.stored(stack, payment)
    made = intent.new_operation(stack.gateway, whole, kind, at=stack.gateway.clock.now())
    await stack.gateway.store.commit("acme", [statements.open_operation(whole, made, due_at=stack.gateway.clock.now())])
    return made


async def test_an_operation_of_a_dead_process_becomes_unknown(timed: TimedStack) -> None:
    """An operation nobody here works on is unknown 10 s after the provider's deadline, not before; then it is read."""
    stack = timed.stack
    payment = await authorized(stack)
    await reserved(stack, payment, Kind.CAPTURE)
    await timed.advance(29 * SECOND)
    assert (await operations(stack, payment))[-1] == ("capture", "sending")
    await timed.advance(SECOND)
    assert (await operations(stack, payment))[-1] == ("capture", "unknown")
    assert (await stack.payment(payment["id"]))["version"] == payment["version"]
    await timed.advance(5 * MINUTE)
    assert (await operations(stack, payment))[-1] == ("capture", "declined")
    assert await calls(stack, payment, "confirm_order") == []


async def test_an_operation_whose_work_broke_off_becomes_unknown(timed: TimedStack) -> None:
    """The work on a refund ended without an outcome; nobody looks at a captured payment, but silence is noticed."""
    stack = timed.stack
    payment = await captured(stack)
    assert await timed.next_check(payment) is None
    gate = Wire(stack).hold_answer("refund")
    refunding = asyncio.create_task(act(stack, payment, "refund", {"amount": "10.00"}))
    await gate.reached()
    [work] = [task for task in asyncio.all_tasks() if task.get_name().startswith("op_")]
    work.cancel()
    assert (await refunding).status == 202
    await timed.advance(29 * SECOND)
    assert (await operations(stack, payment))[-1] == ("refund", "sending")
    await timed.advance(SECOND)
    assert (await operations(stack, payment))[-1] == ("refund", "succeeded")
    assert (await stack.payment(payment["id"]))["amount_refunded"] == "10.00"
    assert await calls(stack, payment, "refund") == ["refund"]


async def test_an_operation_that_runs_is_not_silent(timed: TimedStack) -> None:
    """However late it is: while this process still waits for the answer, the clock does not judge."""
    stack = timed.stack
    payment = await captured(stack)
    gate = Wire(stack).hold_answer("refund")
    refunding = asyncio.create_task(act(stack, payment, "refund", {"amount": "10.00"}))
    await gate.reached()
    timed.clock.set(timed.clock.now() + MINUTE)
    assert await run_due_checks(stack.gateway) == 1
    assert (await operations(stack, payment))[-1] == ("refund", "sending")
    gate.open()
    assert (await refunding).json["status"] == "succeeded"


async def test_a_start_makes_what_was_on_its_way_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One process owns an SQLite store: what it finds on its way at its start has an unknown outcome at once."""
    monkeypatch.setattr(reconcile, "run", creditkey.idle)
    async with creditkey.open_timed(tmp_path) as timed:
        stack, payment = timed.stack, await authorized(timed.stack)
        await reserved(stack, payment, Kind.CAPTURE)
    async with run_gateway(stack, clock=timed.clock):
        assert (await operations(stack, payment))[-1] == ("capture", "unknown")


# Hints


async def test_a_second_hint_is_followed_later(seldom: TimedStack) -> None:
    """A visit within ten seconds of the last lookup causes none; it is followed up when they have passed."""
    stack = seldom.stack
    payment = await awaiting(stack)
    order = await provider_order(stack, payment)
    back = order["return_url"].replace("%CKKEY%", order["id"])
    await stack.visit(back)
    await stack.gateway.tasks.drain(10)
    asked = await lookups(stack, payment)
    await stack.approve(payment)
    seldom.clock.set(seldom.clock.now() + 9 * SECOND)
    await stack.visit(back)
    await stack.gateway.tasks.drain(10)
    assert await lookups(stack, payment) == asked
    await seldom.advance(SECOND)
    assert (await stack.payment(payment["id"]))["state"] == "authorized"


async def test_many_hints_at_once_share_one_lookup(seldom: TimedStack) -> None:
    """Thirty visits at the same moment cause one lookup and one completion, which is refused: nobody accepted."""
    stack = seldom.stack
    payment = await awaiting(stack)
    order = await provider_order(stack, payment)
    back = order["return_url"].replace("%CKKEY%", order["id"])
    await asyncio.gather(*(stack.visit(back) for _ in range(30)))
    await stack.gateway.tasks.drain(10)
    assert await lookups(stack, payment) == 2  # before and after the completion
    assert await calls(stack, payment, COMPLETE) == [COMPLETE]


# A succession


async def successor_of(timed: TimedStack, **fault: Any) -> tuple[Any, Any]:
    """An authorized payment and the successor it was replaced by."""
    stack = timed.stack
    old = await authorized(stack)
    if fault:
        await stack.faults("creditkey", operation=BEGIN, **fault)
    reply = await act(stack, old, "update", total_of("1300.00", allow_new_checkout=True))
    await stack.faults("creditkey")
    return old, await stack.payment(reply.json["replaced_by"])


async def stands_again(timed: TimedStack, old: Any) -> None:
    """The old payment is nobody's predecessor and holds its reference."""
    now = await timed.stack.payment(old["id"])
    assert now["replaced_by"] is None
    reply = await timed.stack.create(creditkey_body(merchant_reference=old["merchant_reference"]))
    assert (reply.status, reply.json["payment_id"]) == (409, old["id"])


async def test_an_expired_successor_gives_the_place_back(seldom: TimedStack) -> None:
    """The customer never accepts the new total: the old payment stands for itself again."""
    old, successor = await successor_of(seldom)
    await seldom.advance(30 * DAY)
    assert (await seldom.stack.payment(successor["id"]))["state"] == "expired"
    await stands_again(seldom, old)
    await timeline(seldom.stack, old)


async def test_an_expired_successor_that_is_accepted_late(seldom: TimedStack) -> None:
    """The old payment stands again when the customer accepts the new total after all: both are for a person."""
    stack = seldom.stack
    old, successor = await successor_of(seldom)
    await seldom.advance(30 * DAY + MINUTE)
    await accept(stack, successor)
    assert (await stack.payment(successor["id"]))["state"] == "authorized"
    assert await review_of(stack, old) == await review_of(stack, successor) == "two_live_orders"


async def test_an_expired_successor_with_an_open_outcome_keeps_the_place(seldom: TimedStack) -> None:
    """While its create may still have begun an order it lives; proved absent, it gives the place back."""
    stack = seldom.stack
    old, successor = await successor_of(seldom, silence="before_effect")
    await edit(stack, old, merchant_order_id=None)
    await stack.faults("creditkey", operation="find_order_by_merchant_order_id", status=500)
    await seldom.advance(30 * DAY)
    now = await stack.payment(successor["id"])
    assert (now["state"], now["pending_operation"]["status"]) == ("expired", "unknown")
    assert (await stack.payment(old["id"]))["replaced_by"] == successor["id"]
    await stack.faults("creditkey")
    await seldom.advance(3 * DAY)
    assert (await operations(stack, successor))[-1] == ("create", "declined")
    await stands_again(seldom, old)


# The worker itself


async def test_the_worker_wakes_when_the_time_has_come(tmp_path: Path) -> None:
    """Nobody turns the agenda by hand: the server's own worker sleeps until the date and tells the tenant."""
    clock = VirtualClock()
    async with running_stack(tmp_path, clock=clock) as stack:
        payment = await new_payment(stack)

        def is_told() -> bool:
            bodies = [json.loads(body) for _, _, body in stack.webhook_attempts]
            return ("payment.expired", payment["id"]) in [
                (body["type"], body["data"]["payment"]["id"]) for body in bodies
            ]

        async with stack.webhook_arrived, asyncio.timeout(10):
            turning = asyncio.create_task(turn(clock, 2 * DAY))
            await stack.webhook_arrived.wait_for(is_told)
        turning.cancel()


async def turn(clock: VirtualClock, most: timedelta) -> None:
    """Let time pass a minute at a time."""
    end = clock.now() + most
    while clock.now() < end:
        await clock.advance(60)
