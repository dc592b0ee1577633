"""Calls to Credit Key that nobody answered: what is told at once, and what reading afterwards proves.

An effect may have happened, may not, or may come late. Nothing is ever sent twice under one operation, and time
alone proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.flows.background import reconcile
from tests.support.scenarios import creditkey
from tests.support.scenarios.creditkey import (
    BEGUN,
    CALLS,
    COMPLETE,
    DAY,
    TimedStack,
    Wire,
    accept,
    act,
    awaiting,
    calls,
    captured,
    edit,
    operations,
    provider_order,
    review_of,
    timeline,
    total_of,
    unknown,
)
from tests.support.stack import GatewayStack, new_key

FIRST_LOOK, SECOND_LOOK = timedelta(seconds=30), timedelta(seconds=150)
"""The pauses ahead of the first checks of an unknown operation; the second is longer than the quiet period."""


async def lose(stack: GatewayStack, verb: str, payment: Any, silence: str, body: Any = None, *, key: str) -> Any:
    """Ask for a command whose call is answered with silence, before or after its effect."""
    await stack.faults("creditkey", operation=CALLS[verb], silence=silence, times=1)
    return unknown(await act(stack, payment, verb, body, key=key))


# Commands


class Case(NamedTuple):
    """A command: the payment's state before it, its body, what of payment and provider's order shows its effect."""

    verb: str
    before: str
    body: Mapping[str, Any]
    payment: Mapping[str, str]
    order: Mapping[str, str]


CASES = {
    "update": Case(
        "update",
        "authorized",
        total_of("1100.00"),
        {"state": "authorized", "amount": "1100.00"},
        {"amount": "1100.00", "status": "placed"},
    ),
    "update before the customer": Case(
        "update",
        "awaiting_customer",
        total_of("900.00"),
        {"state": "awaiting_customer", "amount": "900.00"},
        {"amount": "900.00", "status": "new"},
    ),
    "capture": Case(
        "capture",
        "authorized",
        {},
        {"state": "captured", "amount_captured": "1067.33"},
        {"capture_status": "captured", "amount": "1067.33"},
    ),
    "capture in part": Case(
        "capture",
        "authorized",
        {"amount": "400.00"},
        {"state": "captured", "amount_captured": "400.00", "amount": "1067.33"},
        {"capture_status": "captured", "amount": "400.00"},
    ),
    "cancel": Case("cancel", "authorized", {}, {"state": "canceled"}, {"status": "canceled"}),
    "cancel before the customer": Case(
        "cancel", "awaiting_customer", {}, {"state": "canceled"}, {"status": "canceled"}
    ),
    "refund": Case(
        "refund",
        "captured",
        {"amount": "10.00"},
        {"state": "partially_refunded", "amount_refunded": "10.00"},
        {"refunded_amount": "10.00"},
    ),
    "refund of all": Case(
        "refund",
        "captured",
        {},
        {"state": "refunded", "amount_refunded": "1067.33"},
        {"refunded_amount": "1067.33", "status": "returned"},
    ),
}


def shown(row: Mapping[str, str], whole: Any) -> dict[str, Any]:
    """The members of a payment or order that a row is about."""
    return {name: whole[name] for name in row}


@pytest.mark.parametrize("name", CASES)
async def test_a_lost_answer_is_made_good_by_one_look(timed: TimedStack, name: str) -> None:
    """The effect happened and the answer was lost: the first look proves it, and the key then gives the answer."""
    stack, case, key = timed.stack, CASES[name], new_key()
    payment = await BEGUN[case.before](stack)
    sent = await calls(stack, payment)
    told = await lose(stack, case.verb, payment, "after_effect", case.body, key=key)
    assert told.get("payment", told)["version"] == payment["version"]
    await timed.advance(FIRST_LOOK)
    now = await stack.payment(payment["id"])
    assert shown(case.payment, now) == case.payment
    assert (now["pending_operation"], now["review"]) == (None, None)
    assert shown(case.order, await provider_order(stack, payment)) == case.order
    assert await calls(stack, payment) == [*sent, CALLS[case.verb]]
    assert (await operations(stack, payment))[-1] == (case.verb, "succeeded")
    again = await act(stack, payment, case.verb, case.body, key=key)
    assert (again.status, again.headers["Idempotency-Replayed"]) == (201 if case.verb == "refund" else 200, "true")
    assert again.json.get("operation", again.json)["status"] == "succeeded"
    assert len(await timeline(stack, payment)) == payment["version"] + 1


@pytest.mark.parametrize("name", CASES)
async def test_what_did_not_happen_needs_two_looks(timed: TimedStack, name: str) -> None:
    """Nothing happened: one look leaves it open, a second one a quiet period later proves it; it may be asked anew."""
    stack, case, key = timed.stack, CASES[name], new_key()
    payment = await BEGUN[case.before](stack)
    before, sent = await provider_order(stack, payment), await calls(stack, payment)
    await lose(stack, case.verb, payment, "before_effect", case.body, key=key)
    await timed.advance(FIRST_LOOK)
    assert (await stack.payment(payment["id"]))["pending_operation"]["status"] == "unknown"
    await timed.advance(SECOND_LOOK)
    now = await stack.payment(payment["id"])
    assert (now["pending_operation"], now["state"], now["review"]) == (None, case.before, None)
    assert await provider_order(stack, payment) == before
    assert await calls(stack, payment) == [*sent, CALLS[case.verb]]
    answer = (await act(stack, payment, case.verb, case.body, key=key)).json
    made = answer.get("operation", answer)
    assert (made["status"], made["failure"]["code"]) == ("declined", "not_done")
    assert (await timeline(stack, payment))[payment["version"] :] == ["operation.declined"]
    anew = await act(stack, payment, case.verb, case.body)
    assert anew.json.get("operation", anew.json)["status"] == "succeeded"
    assert shown(case.payment, await stack.payment(payment["id"])) == case.payment


@pytest.mark.parametrize("name", CASES)
async def test_an_effect_that_comes_after_the_first_look(timed: TimedStack, name: str) -> None:
    """The call arrives when the gateway has given up and looked once already: the second look sees its effect."""
    stack, case, wire = timed.stack, CASES[name], Wire(timed.stack)
    payment = await BEGUN[case.before](stack)
    sent = await calls(stack, payment)
    wire.too_late(CALLS[case.verb])
    unknown(await act(stack, payment, case.verb, case.body))
    await timed.advance(FIRST_LOOK)
    assert (await stack.payment(payment["id"]))["pending_operation"]["status"] == "unknown"
    await wire.deliver(CALLS[case.verb])
    await timed.advance(SECOND_LOOK)
    now = await stack.payment(payment["id"])
    assert shown(case.payment, now) == case.payment
    assert (now["pending_operation"], now["review"]) == (None, None)
    assert await calls(stack, payment) == [*sent, CALLS[case.verb]]


async def test_looks_closer_than_a_quiet_period_prove_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the gateway reads within the quiet period, the outcome stays open until it has passed."""

    def eager(settings: dict[str, Any]) -> None:
        settings["clocks"] |= {"reconcile": ["1s"], "quiet_period": "60s"}

    monkeypatch.setattr(reconcile, "run", creditkey.idle)
    async with creditkey.open_timed(tmp_path, eager) as timed:
        payment = await captured(timed.stack)
        await lose(timed.stack, "refund", payment, "before_effect", key=new_key())
        await timed.advance(timedelta(seconds=60))
        assert (await operations(timed.stack, payment))[-1] == ("refund", "unknown")
        await timed.advance(timedelta(seconds=1))
        assert (await operations(timed.stack, payment))[-1] == ("refund", "declined")


@pytest.mark.parametrize("silence", ["before_effect", "after_effect"])
async def test_a_failed_look_proves_nothing(timed: TimedStack, silence: str) -> None:
    """While Credit Key cannot be asked the outcome stays open, for as long as that lasts."""
    stack = timed.stack
    payment = await captured(stack)
    await lose(stack, "refund", payment, silence, key=new_key())
    await stack.faults("creditkey", operation="find_order", html=True)
    await timed.advance(10 * DAY)
    assert (await operations(stack, payment))[-1] == ("refund", "unknown")
    await stack.faults("creditkey")
    await timed.advance(2 * DAY)
    ended = "succeeded" if silence == "after_effect" else "declined"
    assert (await operations(stack, payment))[-1] == ("refund", ended)
    assert await calls(stack, payment, "refund") == ["refund"]


# What excludes an effect, and what is neither before nor after it


async def test_a_capture_of_an_order_that_was_canceled(timed: TimedStack) -> None:
    """A capture that got lost meets Credit Key's auto-cancel: one look proves that it was not done."""
    stack = timed.stack
    payment = await creditkey.authorized(stack)
    await lose(stack, "capture", payment, "before_effect", key=new_key())
    await edit(stack, payment, status="canceled")
    await timed.advance(FIRST_LOOK)
    assert (await operations(stack, payment))[-1] == ("capture", "declined")
    now = await stack.payment(payment["id"])
    assert (now["state"], now["amount_captured"], now["review"]) == ("canceled", "0.00", None)


async def test_a_cancel_of_an_order_that_was_confirmed(timed: TimedStack) -> None:
    """A cancel that got lost meets an order confirmed in the portal: one look proves that it was not done."""
    stack = timed.stack
    payment = await creditkey.authorized(stack)
    await lose(stack, "cancel", payment, "before_effect", key=new_key())
    await edit(stack, payment, status="shipped", capture_status="captured")
    await timed.advance(FIRST_LOOK)
    assert (await operations(stack, payment))[-1] == ("cancel", "declined")
    assert (await stack.payment(payment["id"]))["state"] == "captured"


async def test_an_update_that_shows_a_third_amount(timed: TimedStack) -> None:
    """An amount that is neither the old nor the new one is for a person; the update stays open."""
    stack = timed.stack
    payment = await creditkey.authorized(stack)
    await lose(stack, "update", payment, "before_effect", total_of("1100.00"), key=new_key())
    await edit(stack, payment, amount="1090.00")
    await timed.advance(FIRST_LOOK + SECOND_LOOK)
    assert await review_of(stack, payment) == "amount"
    assert (await operations(stack, payment))[-1] == ("update", "unknown")
    assert (await stack.payment(payment["id"]))["amount"] == "1067.33"


async def test_an_unknown_word_settles_nothing(timed: TimedStack) -> None:
    """A status nobody here knows is neither the effect nor its absence."""
    stack = timed.stack
    payment = await creditkey.authorized(stack)
    await lose(stack, "cancel", payment, "after_effect", key=new_key())
    await edit(stack, payment, status="on_vacation")
    await timed.advance(2 * DAY)
    assert (await operations(stack, payment))[-1] == ("cancel", "unknown")
    assert (await stack.payment(payment["id"]))["state"] == "authorized"


# Refunds beside refunds made in the provider's own portal


class Portal(NamedTuple):
    """A refund of 10.00 beside one in the portal: the portal's total before ours, whether ours took effect, what the
    portal gave back after it; then how ours ends and the refunded total."""

    before: str
    silence: str
    after: str
    status: str
    total: str
    review: str | None = None


PORTAL = {
    "before ours, ours done": Portal("5.00", "after_effect", "0.00", "succeeded", "15.00"),
    "before ours, ours not done": Portal("5.00", "before_effect", "0.00", "declined", "5.00"),
    "after ours was done": Portal("0.00", "after_effect", "5.00", "unknown", "15.00", "refund_unclear"),
    "after ours was not done": Portal("0.00", "before_effect", "5.00", "unknown", "5.00", "refund_unclear"),
    "in place of ours, by the same amount": Portal("0.00", "before_effect", "10.00", "succeeded", "10.00"),
}


@pytest.mark.parametrize("name", PORTAL)
async def test_a_refund_beside_one_in_the_portal(timed: TimedStack, name: str) -> None:
    """The verdict follows from the total before ours; where the total fits neither outcome a person decides."""
    stack, row = timed.stack, PORTAL[name]
    payment = await captured(stack)
    if row.before != "0.00":
        await edit(stack, payment, refunded_amount=row.before)
    await lose(stack, "refund", payment, row.silence, {"amount": "10.00"}, key=new_key())
    if row.after != "0.00":
        there = (await provider_order(stack, payment))["refunded_amount"]
        await edit(stack, payment, refunded_amount=f"{float(there) + float(row.after):.2f}")
    await timed.advance(2 * DAY)
    assert (await operations(stack, payment))[-1] == ("refund", row.status)
    now = await stack.payment(payment["id"])
    assert (now["amount_refunded"], await review_of(stack, payment)) == (row.total, row.review)
    assert (await provider_order(stack, payment))["refunded_amount"] == row.total
    assert await calls(stack, payment, "refund") == ["refund"]
    await timeline(stack, payment)


async def test_an_unclear_refund_stops_further_ones(timed: TimedStack) -> None:
    """While a refund is unclear, no other refund is sent."""
    stack = timed.stack
    payment = await captured(stack)
    await lose(stack, "refund", payment, "after_effect", {"amount": "10.00"}, key=new_key())
    await edit(stack, payment, refunded_amount="15.00")
    await timed.advance(FIRST_LOOK)
    reply = await act(stack, payment, "refund", {"amount": "10.00"})
    assert (reply.status, reply.json["code"]) == (409, "operation_outcome_pending")
    assert await calls(stack, payment, "refund") == ["refund"]


# Complete


async def test_a_completion_without_an_answer_is_asked_again_as_a_new_operation(timed: TimedStack) -> None:
    """The order was authorized before and after, which proves nothing: after two looks it is asked anew, once."""
    stack = timed.stack
    payment = await awaiting(stack)
    await stack.faults("creditkey", operation=COMPLETE, silence="after_effect", times=1)
    await accept(stack, payment)
    now = await stack.payment(payment["id"])
    assert (now["state"], now["pending_operation"]["kind"]) == ("awaiting_customer", "complete")
    await timed.advance(FIRST_LOOK)
    assert await calls(stack, payment, COMPLETE) == [COMPLETE]
    await timed.advance(SECOND_LOOK)
    assert (await stack.payment(payment["id"]))["state"] == "authorized"
    ended = [("create", "succeeded"), ("complete", "declined"), ("complete", "succeeded")]
    assert await operations(stack, payment) == ended
    assert "operation.declined" not in await timeline(stack, payment)


async def test_a_completion_that_did_not_happen_is_asked_again(timed: TimedStack) -> None:
    """The same when the first one never arrived: the provider completes once."""
    stack = timed.stack
    payment = await awaiting(stack)
    await stack.faults("creditkey", operation=COMPLETE, silence="before_effect", times=1)
    await accept(stack, payment)
    await timed.advance(FIRST_LOOK + SECOND_LOOK)
    assert (await stack.payment(payment["id"]))["state"] == "authorized"
    order = await provider_order(stack, payment)
    assert [one["event"] for one in order["history"]].count("completed") == 1


async def test_a_completion_proved_not_done_makes_its_hint_due_again(timed: TimedStack) -> None:
    """A visit that came before the customer had accepted, and whose completion got lost, is followed up again."""
    stack = timed.stack
    payment = await awaiting(stack)
    order = await provider_order(stack, payment)
    await stack.faults("creditkey", operation=COMPLETE, silence="before_effect", times=1)
    await stack.visit(order["return_url"].replace("%CKKEY%", order["id"]))
    await stack.gateway.tasks.drain(10)
    assert (await operations(stack, payment))[-1] == ("complete", "unknown")
    await timed.advance(FIRST_LOOK + SECOND_LOOK)
    assert await operations(stack, payment) == [
        ("create", "succeeded"),
        ("complete", "declined"),
        ("complete", "declined"),
    ]
    assert (await stack.payment(payment["id"]))["state"] == "awaiting_customer"
