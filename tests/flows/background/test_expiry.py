"""A payment expires at its date and stays open to late proof within grace; a capture deadline is warned of twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.core.views import rfc3339
from gateway.flows.background import reconcile
from tests.support.clients.psp_callbacks import new_payment
from tests.support.scenarios import creditkey
from tests.support.scenarios.creditkey import (
    BEGIN,
    DAY,
    TimedStack,
    accept,
    act,
    authorized,
    awaiting,
    calls,
    edit,
    expired,
    lookups,
    review_of,
    timeline,
)
from tests.support.stack import GatewayStack, creditkey_body, psp_body

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
GRACE = timedelta(hours=72)
WARNING = "This Credit Key order is not confirmed as shipped. Credit Key cancels orders that are not confirmed in time."


async def test_a_psp_payment_expires_after_a_day(timed: TimedStack) -> None:
    """Nobody pays: the payment is expired at its date, not before, and the PSP is not asked."""
    stack = timed.stack
    payment = await new_payment(stack)
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
    payment = await new_payment(timed.stack)
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
    payment = await new_payment(stack)
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


@pytest.mark.parametrize("comes_back", [True, False])
async def test_a_customer_who_accepts_within_grace(timed: TimedStack, comes_back: bool) -> None:
    """A late acceptance is completed, whether the customer comes back or a poll finds it, and is marked late."""
    stack = timed.stack
    payment = await expired(timed)
    await timed.advance(MINUTE)
    back = await stack.approve(payment)
    if comes_back:
        await stack.visit(back)
        await stack.gateway.tasks.drain(10)
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
