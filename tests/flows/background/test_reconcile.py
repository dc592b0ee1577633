"""What happens because time passes: polls, looks at the unknown, expiry, grace, warnings. No real time is spent.

The agenda is worked off by the test, moment by moment, so that each look is known by its date.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.core.commands import Kind
from gateway.core.payment import Operation
from gateway.core.views import rfc3339
from gateway.drivers.store import schedule, statements
from gateway.flows.background import reconcile
from gateway.flows.payments import submit as operation_flow
from tests.support.scenarios import creditkey
from tests.support.scenarios.creditkey import (
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
from tests.support.stack import GatewayStack, creditkey_body, psp_body, run_gateway, running_stack
from tests.support.virtual_clock import VirtualClock

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
GRACE = timedelta(hours=72)
WARNING = "This Credit Key order is not confirmed as shipped. Credit Key cancels orders that are not confirmed in time."
BEGIN, COMPLETE = "begin_standalone_checkout", "complete_checkout"

Open = Callable[..., Any]


@pytest.fixture
async def timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TimedStack]:
    """A stack whose clock stands still until the test turns it."""
    monkeypatch.setattr(reconcile, "run", creditkey.idle)
    async with creditkey.open_timed(tmp_path) as opened:
        yield opened


@pytest.fixture
async def seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TimedStack]:
    """The same stack, which polls so seldom that every look has another cause."""

    def change(settings: dict[str, Any]) -> None:
        settings["clocks"] |= {"poll": ["300d"], "hint": "10s"}
        settings["tenants"]["acme"]["accounts"]["creditkey-main"]["config"]["absence_proves"] = True

    monkeypatch.setattr(reconcile, "run", creditkey.idle)
    async with creditkey.open_timed(tmp_path, change) as opened:
        yield opened


async def psp_payment(stack: GatewayStack) -> Any:
    """A PSP payment that waits for its customer."""
    created = await stack.create(psp_body())
    assert created.json["state"] == "awaiting_customer"
    return created.json


async def moments_of_looks(timed: TimedStack, payment: Any, count: int) -> list[timedelta]:
    """The pauses between the next looks at a payment, each of which asks the far side once."""
    pauses = []
    for _ in range(count):
        before, asked = timed.clock.now(), await lookups(timed.stack, payment)
        await timed.step()
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
    """What a poll finds at the far side without any hint, and what becomes of the payment."""

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


# Looks at the unknown


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
    made = operation_flow.new_operation(stack.gateway, whole, kind, at=stack.gateway.clock.now())
    rows = [statements.open_operation(whole, made.id), statements.insert_operation(made)]
    await stack.gateway.store.commit(
        [*rows, schedule.bring_check_forward(whole.tenant, whole.id, stack.gateway.clock.now())]
    )
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
    assert await reconcile.run_due(stack.gateway) == 1
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


# Expiry


async def test_a_psp_payment_expires_after_a_day(timed: TimedStack) -> None:
    """Nobody pays: the payment is expired at its date, not before, and the PSP is not asked."""
    stack = timed.stack
    payment = await psp_payment(stack)
    assert payment["expires_at"] == rfc3339(timed.clock.now() + DAY)
    heard = len(await stack.provider_requests("psp"))
    await timed.advance(DAY - SECOND)
    assert (await stack.payment(payment["id"]))["state"] == "awaiting_customer"
    await timed.advance(SECOND)
    assert (await stack.payment(payment["id"]))["state"] == "expired"
    assert (await timeline(stack, payment))[-1] == "payment.expired"
    assert (len(await stack.provider_requests("psp")), await timed.next_check(payment)) == (heard, None)


async def test_a_payment_in_progress_expires_too(timed: TimedStack) -> None:
    """A payment that the PSP called pending once is not waited for longer."""
    payment = await psp_payment(timed.stack)
    await timed.stack.click(payment, "pending")
    await timed.advance(DAY)
    assert (await timed.stack.payment(payment["id"]))["state"] == "expired"


async def test_a_credit_key_payment_expires_after_one_last_look(seldom: TimedStack) -> None:
    """At its date the provider is asked once more; nobody accepted, so the payment is expired."""
    stack = seldom.stack
    payment = await awaiting(stack)
    await seldom.advance(30 * DAY - SECOND)
    assert ((await stack.payment(payment["id"]))["state"], await lookups(stack, payment)) == ("awaiting_customer", 0)
    await seldom.advance(SECOND)
    assert ((await stack.payment(payment["id"]))["state"], await lookups(stack, payment)) == ("expired", 1)


async def test_the_last_look_finds_the_approval(seldom: TimedStack) -> None:
    """A customer who accepted and never came back is found by the last look: authorized, not expired."""
    stack = seldom.stack
    payment = await awaiting(stack)
    await stack.approve(payment)
    await seldom.advance(30 * DAY)
    assert (await stack.payment(payment["id"]))["state"] == "authorized"
    assert "payment.expired" not in await timeline(stack, payment)


async def silent_create(stack: GatewayStack, side: str) -> Any:
    """A payment whose create got no answer."""
    await stack.faults(side, silence="before_effect", **({"operation": BEGIN} if side == "creditkey" else {}))
    reply = await stack.create(creditkey_body() if side == "creditkey" else psp_body())
    assert (reply.status, reply.json["operation"]["status"]) == (202, "unknown")
    await stack.faults(side)
    return reply.json


@pytest.mark.parametrize(("side", "lasts"), [("psp", DAY), ("creditkey", 30 * DAY)])
async def test_an_open_outcome_does_not_stop_expiry(timed: TimedStack, side: str, lasts: timedelta) -> None:
    """A create whose outcome stays unknown expires like any other, and its expiry does not settle it."""
    payment = await silent_create(timed.stack, side)
    await timed.advance(lasts)
    now = await timed.stack.payment(payment["id"])
    assert (now["state"], now["pending_operation"]["status"], now["failure"]) == ("expired", "unknown", None)


# Grace


class Late(NamedTuple):
    """A proof that comes after the expiry: how long after, what was proved, and what becomes of the payment."""

    after: timedelta
    button: str
    state: str
    review: str | None = None
    late: bool = False
    refused: bool = False


LATE = {
    "success at the end of grace": Late(GRACE, "pay", "captured", late=True),
    "success after it": Late(GRACE + SECOND, "pay", "expired", "paid_late", refused=True),
    "failure at the end of grace": Late(GRACE, "fail", "failed"),
    "failure after it": Late(GRACE + SECOND, "fail", "expired", refused=True),
    "in progress": Late(HOUR, "pending", "expired"),
}


@pytest.fixture
async def today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TimedStack]:
    """A stack whose clock begins now: the PSP's simulator writes the real time into its callbacks."""
    monkeypatch.setattr(reconcile, "run", creditkey.idle)
    async with creditkey.open_timed(tmp_path, start=datetime.now(UTC).replace(microsecond=0)) as opened:
        yield opened


@pytest.mark.parametrize("name", LATE)
async def test_a_callback_after_expiry(today: TimedStack, name: str) -> None:
    """Expiry is soft: proof within grace moves the payment and is marked late, money after it is for a person."""
    row, stack, timed = LATE[name], today.stack, today
    payment = await psp_payment(stack)
    await timed.advance(DAY)
    await timed.advance(row.after)
    told = await stack.click(payment, row.button)
    assert told.json["status"] == (400 if row.refused else 204)
    now = await stack.payment(payment["id"])
    assert (now["state"], await review_of(stack, payment)) == (row.state, row.review)
    assert now["amount_captured"] == ("162.48" if row.state == "captured" else "0.00")
    last = (await stack.events(payment["id"]))[-1]
    assert (last["details"].get("late") == "true") is row.late
    await timeline(stack, payment)


async def expired(timed: TimedStack, **changes: Any) -> Any:
    """A Credit Key payment whose customer did nothing for thirty days."""
    payment = await awaiting(timed.stack, **changes)
    await timed.advance(30 * DAY)
    now = await timed.stack.payment(payment["id"])
    assert now["state"] == "expired"
    return now


@pytest.mark.parametrize("comes_back", [True, False])
async def test_a_customer_who_accepts_within_grace(timed: TimedStack, comes_back: bool) -> None:
    """A late acceptance is completed, whether the customer comes back or a poll finds it, and is marked late."""
    stack = timed.stack
    payment = await expired(timed)
    await timed.advance(MINUTE)
    back = await stack.approve(payment)
    if comes_back:
        await stack.visit(back)
        await stack.gateway.drain(10)
    else:
        await timed.advance(6 * HOUR)
    assert (await stack.payment(payment["id"]))["state"] == "authorized"
    [event] = await stack.events_of_type(payment["id"], "payment.authorized")
    assert event["details"]["late"] == "true"
    assert (await act(stack, payment, "capture")).json["state"] == "captured"


async def test_a_customer_who_accepts_after_grace(timed: TimedStack) -> None:
    """Nobody polls any more; a customer who comes back now is for a person, the payment stays expired."""
    stack = timed.stack
    payment = await expired(timed)
    await timed.advance(GRACE)
    asked = await lookups(stack, payment)
    await timed.advance(DAY)
    assert (await lookups(stack, payment), await timed.next_check(payment)) == (asked, None)
    await accept(stack, payment)
    now = await stack.payment(payment["id"])
    assert (now["state"], await review_of(stack, payment)) == ("expired", "paid_late")
    assert (await timeline(stack, payment))[-1] == "payment.review"


async def test_an_order_canceled_within_grace(timed: TimedStack) -> None:
    """A poll in grace finds the order canceled: so is the payment."""
    payment = await expired(timed)
    await edit(timed.stack, payment, status="canceled")
    await timed.advance(6 * HOUR)
    assert (await timed.stack.payment(payment["id"]))["state"] == "canceled"


@pytest.mark.parametrize(("after", "status"), [(GRACE, 200), (GRACE + SECOND, 409)])
async def test_an_expired_payment_may_be_canceled_within_grace(
    timed: TimedStack, after: timedelta, status: int
) -> None:
    """The tenant may close an expired order while it could still be accepted, not later."""
    stack = timed.stack
    payment = await expired(timed)
    await timed.advance(after)
    reply = await act(stack, payment, "cancel")
    assert (reply.status, (await stack.payment(payment["id"]))["state"]) == (
        status,
        "canceled" if status == 200 else "expired",
    )


# A reference used again


async def test_an_expired_payments_reference_is_free(timed: TimedStack) -> None:
    """Another payment may take the reference of one that expired; a late success beside it is for a person, on both."""
    stack = timed.stack
    first = await expired(timed)
    second = await awaiting(stack, merchant_reference=first["merchant_reference"])
    await timed.advance(MINUTE)
    await accept(stack, first)
    assert (await stack.payment(first["id"]))["state"] == "authorized"
    assert await review_of(stack, first) == await review_of(stack, second) == "two_live_orders"
    [event] = await stack.events_of_type(first["id"], "payment.authorized")
    assert event["details"]["late"] == "true"
    await timeline(stack, first)
    await timeline(stack, second)


async def test_a_late_success_without_another_order_is_no_matter(timed: TimedStack) -> None:
    """Where the second payment has ended, the late success of the first alarms nobody."""
    stack = timed.stack
    first = await expired(timed)
    second = await awaiting(stack, merchant_reference=first["merchant_reference"])
    assert (await act(stack, second, "cancel")).status == 200
    await timed.advance(MINUTE)
    await accept(stack, first)
    assert (await review_of(stack, first), await review_of(stack, second)) == (None, None)


async def test_an_open_outcome_holds_the_reference_until_grace_ends(timed: TimedStack) -> None:
    """An expired create that may still have begun an order keeps its reference for as long as its grace lasts."""
    stack = timed.stack
    payment = await silent_create(stack, "creditkey")
    body = creditkey_body(merchant_reference=payment["merchant_reference"])
    await timed.advance(30 * DAY + GRACE - SECOND)
    refused = await stack.create(body)
    assert (refused.status, refused.json["code"], refused.json["payment_id"]) == (
        409,
        "duplicate_reference",
        payment["id"],
    )
    await timed.advance(2 * SECOND)
    assert (await stack.create(body)).status == 201


# The capture deadline


async def test_the_capture_deadline_is_warned_of_twice_and_then_looked_at(seldom: TimedStack) -> None:
    """Three days after the authorization and when a tenth of thirty days is left; at the deadline one looks."""
    stack = seldom.stack
    payment = await authorized(stack)
    began, asked = seldom.clock.now(), await lookups(stack, payment)
    assert payment["capture_by"] == rfc3339(began + 30 * DAY)
    await seldom.advance(30 * DAY - SECOND)
    warned = await stack.events_of_type(payment["id"], "payment.capture_deadline_near")
    assert [event["at"] for event in warned] == [rfc3339(began + 3 * DAY), rfc3339(began + 27 * DAY)]
    now = await stack.payment(payment["id"])
    assert now["alerts"] == [{"code": "capture_deadline_near", "message": WARNING}]
    assert (now["state"], now["version"]) == ("authorized", payment["version"] + 2)
    asked = await lookups(stack, payment)
    await edit(stack, payment, status="canceled")
    await seldom.advance(SECOND)
    assert ((await stack.payment(payment["id"]))["state"], await lookups(stack, payment)) == ("canceled", asked + 1)
    await timeline(stack, payment)


async def test_the_deadline_alone_cancels_nothing(seldom: TimedStack) -> None:
    """An order that Credit Key has not canceled stays authorized after the deadline, and is still captured."""
    stack = seldom.stack
    payment = await authorized(stack)
    await seldom.advance(31 * DAY)
    assert (await stack.payment(payment["id"]))["state"] == "authorized"
    assert len(await stack.events_of_type(payment["id"], "payment.capture_deadline_near")) == 2
    assert (await act(stack, payment, "capture")).json["state"] == "captured"


async def test_a_capture_after_the_deadline_looks_first(seldom: TimedStack) -> None:
    """An order that was canceled since the last look is not shipped: the capture is refused, nothing is confirmed."""
    stack = seldom.stack
    payment = await authorized(stack)
    await seldom.advance(31 * DAY)
    await edit(stack, payment, status="canceled")
    reply = await act(stack, payment, "capture")
    assert (reply.status, reply.json["code"]) == (409, "invalid_state")
    assert await calls(stack, payment, "confirm_order") == []
    assert (await stack.payment(payment["id"]))["state"] == "canceled"


@pytest.mark.parametrize("verb", ["capture", "cancel"])
async def test_a_captured_or_canceled_order_is_not_warned_of(seldom: TimedStack, verb: str) -> None:
    """Nothing is near any more."""
    payment = await authorized(seldom.stack)
    await act(seldom.stack, payment, verb)
    await seldom.advance(40 * DAY)
    assert await seldom.stack.events_of_type(payment["id"], "payment.capture_deadline_near") == []


# Hints


async def test_a_second_hint_is_followed_later(seldom: TimedStack) -> None:
    """A visit within ten seconds of the last lookup causes none; it is followed up when they have passed."""
    stack = seldom.stack
    payment = await awaiting(stack)
    order = await provider_order(stack, payment)
    back = order["return_url"].replace("%CKKEY%", order["id"])
    await stack.visit(back)
    await stack.gateway.drain(10)
    asked = await lookups(stack, payment)
    await stack.approve(payment)
    seldom.clock.set(seldom.clock.now() + 9 * SECOND)
    await stack.visit(back)
    await stack.gateway.drain(10)
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
    await stack.gateway.drain(10)
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
        payment = await psp_payment(stack)

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
