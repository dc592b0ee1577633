"""A rise above Credit Key's limit: told first, then, on request, a new checkout in place of the old one.

The old payment makes way and comes back when its successor comes to nothing; two orders that may both stand are for
a person.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from gateway.drivers.store import schedule
from tests.support.passing_time import run_due_checks
from tests.support.scenarios import creditkey
from tests.support.scenarios.creditkey import (
    AMOUNT,
    BEGUN,
    accept,
    act,
    alerts_of,
    authorized,
    knobs,
    messages_of,
    provider_order,
    provider_orders_of,
    review_of,
    timeline,
)
from tests.support.stack import GatewayStack, Reply, creditkey_body, new_key

shared = pytest.mark.asyncio(loop_scope="module")

TOTAL = "1217.33"
RISE = creditkey.total_of(TOTAL)
GO_ON = {**RISE, "allow_new_checkout": True}
BEGIN = "begin_standalone_checkout"
STARTED = {
    "new_checkout_started": (
        "You have selected Credit Key as the payment method. "
        "A new notification will be sent to the customer to complete this order."
    )
}


class Pair(NamedTuple):
    """A payment that was replaced, as it was and as the answer says, and its successor."""

    old: Any
    answer: Any
    successor: Any


async def replace(stack: GatewayStack, state: str = "authorized") -> Pair:
    """Bring a payment into a state and begin its successor."""
    old = await BEGUN[state](stack)
    reply = await act(stack, old, "update", GO_ON)
    assert reply.status == 200, reply.text
    return Pair(old, reply.json, await stack.payment(reply.json["replaced_by"]))


async def holder(stack: GatewayStack, payment: Any) -> str:
    """The payment that a second create under the same reference runs into."""
    reply = await stack.create(creditkey_body(merchant_reference=payment["merchant_reference"]))
    assert (reply.status, reply.json["code"]) == (409, "duplicate_reference")
    return str(reply.json["payment_id"])


async def stands_again(stack: GatewayStack, old: Any) -> None:
    """The old payment is nobody's predecessor any more: it holds its reference, and it captures."""
    now = await stack.payment(old["id"])
    assert (now["replaced_by"], now["state"]) == (None, "authorized")
    assert await holder(stack, old) == old["id"]
    shipped = await act(stack, old, "capture")
    assert (shipped.status, shipped.json["state"]) == (200, "captured")


# Told first, then begun


@shared
async def test_a_rise_over_the_limit_is_told_before_anything_is_sent(shared_stack: GatewayStack) -> None:
    """The first PATCH only says what would happen; repeated with the flag, under the same key, it happens."""
    stack, key = shared_stack, new_key()
    old = await authorized(stack)
    warned = await act(stack, old, "update", RISE, key=key)
    assert (warned.status, warned.json["code"], len(await provider_orders_of(stack, old))) == (
        409,
        "increase_over_limit",
        1,
    )
    begun = await act(stack, old, "update", GO_ON, key=key)
    assert (begun.status, begun.json["id"]) == (200, old["id"])
    assert len(await provider_orders_of(stack, old)) == 2


@shared
@pytest.mark.parametrize("state", ["awaiting_customer", "authorized"])
async def test_a_successor_is_a_new_checkout_for_the_new_total(shared_stack: GatewayStack, state: str) -> None:
    """The answer is the old payment with ``replaced_by`` and the successor's create; the customer gets a new link."""
    stack = shared_stack
    old, answer, successor = await replace(stack, state)
    assert (answer["state"], answer["amount"], answer["pending_operation"]) == (state, AMOUNT, None)
    assert (answer["operation"]["kind"], answer["operation"]["status"]) == ("create", "succeeded")
    assert alerts_of(answer) == STARTED
    assert (successor["replaces"], successor["amount"], successor["state"]) == (old["id"], TOTAL, "awaiting_customer")
    assert successor["merchant_reference"] == old["merchant_reference"]
    first, second = await provider_orders_of(stack, old)
    assert (first["id"], first["amount"], messages_of(first)) == (old["provider_reference"], AMOUNT, ["link"])
    assert (second["id"], second["amount"], messages_of(second)) == (successor["provider_reference"], TOTAL, ["link"])
    assert successor["redirect_url"].endswith(second["id"])
    assert await creditkey.calls(stack, {**old, "merchant_reference": "-" * 9}, "update_order") == []


@shared
async def test_both_payments_tell_the_tenant(shared_stack: GatewayStack) -> None:
    """The old payment's webhook names its successor, the successor's own begin with its version 1."""
    old, _, successor = await replace(shared_stack)
    webhook = (await shared_stack.webhook(old["id"], "payment.updated"))["data"]["payment"]
    assert (webhook["replaced_by"], alerts_of(webhook)) == (successor["id"], STARTED)
    first = (await shared_stack.webhook(successor["id"], "payment.created"))["data"]["payment"]
    assert (first["replaces"], first["version"]) == (old["id"], 1)
    assert await timeline(shared_stack, successor) == ["payment.created", "payment.awaiting_customer"]
    assert (await timeline(shared_stack, old))[-1] == "payment.updated"


@shared
async def test_a_repeated_patch_gives_the_stored_answer(shared_stack: GatewayStack) -> None:
    """The key that began the successor answers the same bytes, also after both payments have moved on."""
    stack, key = shared_stack, new_key()
    old = await authorized(stack)
    begun = await act(stack, old, "update", GO_ON, key=key)
    await accept(stack, await stack.payment(begun.json["replaced_by"]))
    await stack.webhook(old["id"], "payment.canceled")
    again = await act(stack, old, "update", GO_ON, key=key)
    assert (again.status, again.text, again.headers["Idempotency-Replayed"]) == (200, begun.text, "true")
    assert len(await provider_orders_of(stack, old)) == 2


# While the successor lives


@shared
@pytest.mark.parametrize("verb", ["capture", "update", "second successor"])
async def test_a_replaced_payment_is_neither_captured_nor_updated(shared_stack: GatewayStack, verb: str) -> None:
    """Capture, update and a second successor of the old payment are refused and name the first one."""
    stack = shared_stack
    old, _, successor = await replace(stack)
    sent = await creditkey.calls(stack, old)
    body = creditkey.total_of("1300.00", allow_new_checkout=True) if verb == "second successor" else None
    reply = await act(stack, old, "update" if body else verb, body)
    assert (reply.status, reply.json["code"]) == (409, "invalid_state")
    assert reply.json["replaced_by"] == successor["id"]
    assert await creditkey.calls(stack, old) == sent


@shared
async def test_a_replaced_payment_may_be_canceled(shared_stack: GatewayStack) -> None:
    """The old payment's cancel stays allowed; its successor stands."""
    stack = shared_stack
    old, _, successor = await replace(stack)
    reply = await act(stack, old, "cancel")
    assert (reply.status, reply.json["state"], reply.json["replaced_by"]) == (200, "canceled", successor["id"])
    assert (await stack.payment(successor["id"]))["state"] == "awaiting_customer"
    await accept(stack, successor)
    assert (await review_of(stack, old), await review_of(stack, successor)) == (None, None)
    assert await holder(stack, old) == successor["id"]


# The successor is accepted


@shared
@pytest.mark.parametrize("state", ["awaiting_customer", "authorized"])
async def test_an_accepted_successor_cancels_the_old_one(shared_stack: GatewayStack, state: str) -> None:
    """Once the customer accepted the new total, the old order is canceled on both sides and the reference passes on."""
    stack = shared_stack
    old, _, successor = await replace(stack, state)
    await accept(stack, successor)
    await stack.webhook(old["id"], "payment.canceled")
    gone, stays = await stack.payment(old["id"]), await stack.payment(successor["id"])
    assert (gone["state"], gone["replaced_by"], gone["review"]) == ("canceled", successor["id"], None)
    assert (stays["state"], stays["review"]) == ("authorized", None)
    assert (await provider_order(stack, old))["status"] == "canceled"
    assert (await provider_order(stack, successor))["status"] == "placed"
    assert await holder(stack, old) == successor["id"]
    assert (await act(stack, successor, "capture")).json["amount_captured"] == TOTAL
    await timeline(stack, old)


@shared
async def test_a_customer_who_accepts_both_pays_the_successor(shared_stack: GatewayStack) -> None:
    """The old link still works until the new one is accepted; then the old order goes."""
    stack = shared_stack
    old, _, successor = await replace(stack, "awaiting_customer")
    await accept(stack, old)
    assert (await stack.payment(old["id"]))["state"] == "authorized"
    await accept(stack, successor)
    await stack.webhook(old["id"], "payment.canceled")
    assert ((await provider_order(stack, old))["status"], await review_of(stack, successor)) == ("canceled", None)


# The successor comes to nothing


async def test_a_declined_successor_gives_the_place_back(stack: GatewayStack) -> None:
    """Where Credit Key refuses the new checkout the PATCH says so, and the old payment stands as before."""
    old = await authorized(stack)
    async with knobs(stack, operation=BEGIN, status=400, body={"result": "no"}):
        reply = await act(stack, old, "update", GO_ON)
    assert (reply.status, reply.json["operation"]["status"], reply.json["replaced_by"]) == (200, "declined", None)
    [failed] = (await stack.call("GET", "/v1/payments?state=failed")).json["data"]
    assert (failed["replaces"], failed["failure"]["code"]) == (old["id"], "declined")
    await stands_again(stack, old)
    await timeline(stack, old)


@shared
async def test_a_canceled_successor_gives_the_place_back(shared_stack: GatewayStack) -> None:
    """The tenant gives the successor up: the old payment captures again."""
    old, _, successor = await replace(shared_stack)
    assert (await act(shared_stack, successor, "cancel")).json["state"] == "canceled"
    webhook = shared_stack.webhook(old["id"], "payment.updated")
    assert (await webhook)["data"]["payment"]["replaced_by"] == successor["id"]
    await stands_again(shared_stack, old)


@shared
async def test_a_successor_canceled_elsewhere_gives_the_place_back(shared_stack: GatewayStack) -> None:
    """A successor that a lookup finds canceled is as good as canceled here."""
    old, _, successor = await replace(shared_stack)
    await creditkey.edit(shared_stack, successor, status="canceled")
    assert (await act(shared_stack, successor, "sync")).json["state"] == "canceled"
    await stands_again(shared_stack, old)


async def unknown_successor(stack: GatewayStack, silence: str) -> tuple[Any, Reply]:
    """Ask for a successor whose create gets no answer."""
    old = await authorized(stack)
    async with knobs(stack, operation=BEGIN, silence=silence):
        return old, await act(stack, old, "update", GO_ON)


@shared
async def test_a_successor_whose_create_is_unknown_is_found(shared_stack: GatewayStack) -> None:
    """202 with the old payment, whose own outcome is not open; the successor is found by its number and total."""
    stack = shared_stack
    old, reply = await unknown_successor(stack, "after_effect")
    assert (reply.status, reply.json["id"], reply.json["pending_operation"]) == (202, old["id"], None)
    assert (reply.json["operation"]["kind"], reply.json["operation"]["status"]) == ("create", "unknown")
    successor = await stack.payment(reply.json["replaced_by"])
    synced = await act(stack, successor, "sync")
    assert (synced.json["state"], synced.json["pending_operation"]) == ("awaiting_customer", None)
    _, second = await provider_orders_of(stack, old)
    assert synced.json["provider_reference"] == second["id"]


@shared
async def test_a_successor_that_was_never_begun_does_not_take_the_old_order(shared_stack: GatewayStack) -> None:
    """Under the same number only the old order exists: it is not mistaken for the successor's."""
    stack = shared_stack
    old, reply = await unknown_successor(stack, "before_effect")
    successor = await stack.payment(reply.json["replaced_by"])
    synced = await act(stack, successor, "sync")
    assert (synced.status, synced.json["state"], synced.json["provider_reference"]) == (200, "created", None)
    assert (synced.json["pending_operation"]["status"], synced.json["review"]) == ("unknown", None)
    assert len(await provider_orders_of(stack, old)) == 1


# Two orders that may both stand


CANCEL_FAILS = {
    "declined": {"status": 400, "body": {"result": "no"}},
    "unknown": {"silence": "before_effect"},
}


@shared
@pytest.mark.parametrize("outcome", CANCEL_FAILS)
async def test_an_old_order_that_cannot_be_canceled_is_reviewed(shared_stack: GatewayStack, outcome: str) -> None:
    """When the cancel of the old order is declined or stays unknown, both payments wait for a person."""
    stack = shared_stack
    old, _, successor = await replace(stack)
    async with knobs(stack, operation="cancel_order", **CANCEL_FAILS[outcome]):
        await accept(stack, successor)
        await stack.webhook(old["id"], "payment.review")
        await stack.webhook(successor["id"], "payment.review")
    assert await review_of(stack, old) == await review_of(stack, successor) == "two_live_orders"
    assert ("cancel", outcome) in await creditkey.operations(stack, old)
    refused = await act(stack, successor, "capture")
    assert (refused.status, refused.json["code"]) == (409, "under_review")
    await timeline(stack, old)
    await timeline(stack, successor)


@shared
async def test_a_cancel_that_was_declined_is_not_tried_again(shared_stack: GatewayStack) -> None:
    """However often the gateway looks at the old payment afterwards, it asks for its cancel once."""
    stack = shared_stack
    old, _, successor = await replace(stack)
    async with knobs(stack, operation="cancel_order", **CANCEL_FAILS["declined"]):
        await accept(stack, successor)
        await stack.webhook(old["id"], "payment.review")
    await act(stack, old, "sync")
    await stack.gateway.tasks.drain(10)
    assert await creditkey.calls(stack, old, "cancel_order") == ["cancel_order"]


@shared
async def test_an_old_order_that_was_captured_is_reviewed(shared_stack: GatewayStack) -> None:
    """The old order shipped elsewhere while its successor waits: both payments wait for a person."""
    stack = shared_stack
    old, _, successor = await replace(stack)
    await creditkey.edit(stack, old, status="shipped", capture_status="captured")
    assert (await act(stack, old, "sync")).json["state"] == "captured"
    assert await review_of(stack, old) == await review_of(stack, successor) == "two_live_orders"
    await timeline(stack, old)
    await timeline(stack, successor)


async def test_an_old_order_that_was_captured_is_not_canceled(stack: GatewayStack) -> None:
    """When the successor is accepted as well, no cancel of the captured order is sent: both are for a person."""
    old, _, successor = await replace(stack)
    await creditkey.edit(stack, old, status="shipped", capture_status="captured")
    assert (await act(stack, old, "sync")).json["state"] == "captured"
    await accept(stack, successor)
    await stack.gateway.store.commit(
        "acme", [schedule.bring_check_forward("acme", old["id"], stack.gateway.clock.now())]
    )
    await run_due_checks(stack.gateway)
    assert await creditkey.calls(stack, old, "cancel_order") == []
    assert await review_of(stack, old) == await review_of(stack, successor) == "two_live_orders"
