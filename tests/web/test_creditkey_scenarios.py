"""Credit Key's documented scenarios and rules over HTTP: what each command does to both sides, and what it says.

The provider's own ledger and requests are the witness. A successor of an order that rose too far has its own file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from tests.support.scenarios import creditkey
from tests.support.scenarios.creditkey import (
    AMOUNT,
    BEGUN,
    act,
    alerts_of,
    authorized,
    awaiting,
    calls,
    captured,
    knobs,
    messages_of,
    provider_order,
    timeline,
    total_of,
    worded,
)
from tests.support.stack import GatewayStack, new_key

shared = pytest.mark.asyncio(loop_scope="module")


LINK = ["link"]


# A new order


class NewOrder(NamedTuple):
    """How the customer is to be told, and what the provider did then."""

    checkout: Mapping[str, Any]
    notifications: list[Mapping[str, Any]]
    alerts: tuple[str, ...]


NEW_ORDERS = {
    "link by mail": NewOrder(
        {"mode": "link", "contact_method": "email"},
        [{"kind": "link", "via": "email", "to": "dana@reyes.example"}],
        ("customer_will_be_notified",),
    ),
    "link by text": NewOrder(
        {"mode": "link", "contact_method": "phone"},
        [{"kind": "link", "via": "phone", "to": "253-555-0142"}],
        ("customer_will_be_notified",),
    ),
    "link, with a copy for the representative": NewOrder(
        {"mode": "link", "notify_rep": True, "rep_email": "rep@merchant.example"},
        [
            {"kind": "link", "via": "email", "to": "dana@reyes.example"},
            {"kind": "link_copy", "via": "email", "to": "rep@merchant.example"},
        ],
        ("customer_will_be_notified",),
    ),
    "redirect": NewOrder({"mode": "redirect"}, [], ()),
}


@shared
@pytest.mark.parametrize("name", NEW_ORDERS)
async def test_a_new_order(shared_stack: GatewayStack, name: str) -> None:
    """A new order is one checkout at Credit Key; in link mode the customer is told, and so is the tenant."""
    row = NEW_ORDERS[name]
    payment = await awaiting(shared_stack, checkout=row.checkout)
    order = await provider_order(shared_stack, payment)
    assert (order["status"], order["amount"], order["notifications"]) == ("new", AMOUNT, row.notifications)
    assert (payment["redirect_url"].rpartition("/")[2], payment["operation"]["status"]) == (order["id"], "succeeded")
    assert payment["customer_notified"] is bool(row.notifications)
    assert alerts_of(payment) == worded(*row.alerts)
    webhook = await shared_stack.webhook(payment["id"], "payment.awaiting_customer")
    assert alerts_of(webhook["data"]["payment"]) == worded(*row.alerts)
    assert await calls(shared_stack, payment) == ["begin_standalone_checkout"]


# One command on one payment


class Done(NamedTuple):
    """A command that is carried out: the one call it makes, the payment, the provider's order, alert and webhook.

    ``webhook`` None: nothing of the payment changed, so no version is made.
    """

    state: str
    verb: str
    body: Mapping[str, Any]
    call: str
    payment: Mapping[str, Any]
    order: Mapping[str, Any]
    notifications: list[str] = LINK
    alerts: tuple[str, ...] = ()
    webhook: str | None = "payment.updated"


def _changed(state: str, amount: str) -> Done:
    return Done(
        state,
        "update",
        total_of(amount),
        "update_order",
        {"state": state, "amount": amount},
        {"amount": amount, "status": {"awaiting_customer": "new", "authorized": "placed"}[state]},
    )


def _canceled(state: str) -> Done:
    return Done(
        state,
        "cancel",
        {},
        "cancel_order",
        {"state": "canceled", "amount_captured": "0.00"},
        {"status": "canceled"},
        [*LINK, "order_canceled"],
        ("customer_notified_of_cancel",),
        "payment.canceled",
    )


def _captured(body: Mapping[str, Any], amount: str) -> Done:
    return Done(
        "authorized",
        "capture",
        body,
        "confirm_order",
        {"state": "captured", "amount": AMOUNT, "amount_captured": amount},
        {"status": "shipped", "capture_status": "captured", "amount": amount},
        webhook="payment.captured",
    )


def _refunded(body: Mapping[str, Any], amount: str, state: str, status: str) -> Done:
    return Done(
        "captured",
        "refund",
        body,
        "refund",
        {"state": state, "amount_refunded": amount, "amount_captured": AMOUNT},
        {"refunded_amount": amount, "status": status},
        webhook=f"payment.{state}",
    )


ITEM = {"merchant_id": "PJ-2", "name": "Stretch wrap", "price": "1067.33", "quantity": 1}

DONE = {
    "update, same amount, before the customer": Done(
        "awaiting_customer",
        "update",
        {"merchant_status": "processing"},
        "update_order",
        {"state": "awaiting_customer", "amount": AMOUNT},
        {"status": "new", "amount": AMOUNT, "merchant_status": "processing"},
        webhook=None,
    ),
    "update, same amount, other items": Done(
        "authorized",
        "update",
        {"order": {"items": [ITEM]}},
        "update_order",
        {"state": "authorized", "amount": AMOUNT},
        {"status": "placed", "amount": AMOUNT},
        webhook=None,
    ),
    "update, rise of 75.00, before the customer": _changed("awaiting_customer", "1142.33"),
    "update, rise of 75.00, authorized": _changed("authorized", "1142.33"),
    "update, rise of exactly 100.00": _changed("authorized", "1167.33"),
    "update, fall": _changed("authorized", "500.00"),
    "update, fall before the customer": _changed("awaiting_customer", "0.01"),
    "cancel before the customer": _canceled("awaiting_customer"),
    "cancel before shipment": _canceled("authorized"),
    "capture": _captured({}, AMOUNT),
    "capture, with its amount as text": _captured({"amount": AMOUNT}, AMOUNT),
    "capture in part": _captured({"amount": "400.00"}, "400.00"),
    "capture in part, with charges": _captured(total_of("400.00"), "400.00"),
    "refund of all": _refunded({}, AMOUNT, "refunded", "returned"),
    "refund of all, with its amount": _refunded({"amount": AMOUNT}, AMOUNT, "refunded", "returned"),
    "refund in part": _refunded({"amount": "122.50", "reason": "scratched"}, "122.50", "partially_refunded", "shipped"),
}


@shared
@pytest.mark.parametrize("name", DONE)
async def test_a_command_is_carried_out(shared_stack: GatewayStack, name: str) -> None:
    """A command makes its one call; both sides, alert and verified webhook say the same; a repeat does nothing."""
    row, stack, key = DONE[name], shared_stack, new_key()
    payment = await BEGUN[row.state](stack)
    before = await calls(stack, payment)
    reply = await act(stack, payment, row.verb, row.body, key=key)
    assert reply.status == (201 if row.verb == "refund" else 200), reply.text
    assert [*before, row.call] == await calls(stack, payment)
    now = await stack.payment(payment["id"])
    assert {name: now[name] for name in row.payment} == row.payment
    order = await provider_order(stack, payment)
    assert {name: order[name] for name in row.order} == row.order
    assert messages_of(order) == row.notifications
    answered = reply.json["payment"] if row.verb == "refund" else reply.json
    status = reply.json["status"] if row.verb == "refund" else reply.json["operation"]["status"]
    assert (status, answered["version"], now["pending_operation"]) == ("succeeded", now["version"], None)
    assert now["version"] == payment["version"] + (row.webhook is not None)
    if row.webhook is not None:
        webhook = (await stack.webhook(payment["id"], row.webhook))["data"]["payment"]
        assert {name: webhook[name] for name in row.payment} == row.payment
        assert webhook["version"] == now["version"]
        assert alerts_of(webhook) == alerts_of(answered) == worded(*row.alerts)
    assert (await timeline(stack, payment))[payment["version"] :] == ([row.webhook] if row.webhook else [])
    again = await act(stack, payment, row.verb, row.body, key=key)
    assert (again.status, again.text, again.headers["Idempotency-Replayed"]) == (reply.status, reply.text, "true")
    assert [*before, row.call] == await calls(stack, payment)


OTHER_CURRENCY = {"amount": "5.00", "currency": "EUR"}


# The rise is measured from what the customer accepted


class Rises(NamedTuple):
    """Totals a payment is updated to in turn, ``accept`` where the customer accepts, and the answer to the last."""

    steps: tuple[str, ...]
    last: int


RISES = {
    "twice 60.00 before the customer": Rises(("1127.33", "1187.33"), 409),
    "twice 60.00 after the customer": Rises(("accept", "1127.33", "1187.33"), 409),
    "twice 50.00": Rises(("accept", "1117.33", "1167.33"), 200),
    "a fall, then a rise to the limit": Rises(("accept", "900.00", "1167.33"), 200),
    "a fall, then a rise over the limit": Rises(("accept", "900.00", "1167.34"), 409),
    "a fall before the customer, then a rise from the first amount": Rises(("900.00", "1167.33"), 200),
    "a rise that was accepted counts no more": Rises(("1127.33", "accept", "1227.33"), 200),
    "a rise over what was accepted": Rises(("1127.33", "accept", "1227.34"), 409),
    "a fall that was accepted": Rises(("900.00", "accept", "1000.01"), 409),
}


@shared
@pytest.mark.parametrize("name", RISES)
async def test_a_rise_is_measured_from_what_was_accepted(shared_stack: GatewayStack, name: str) -> None:
    """The limit counts from the amount at create, and once the customer accepted from the amount at that moment."""
    row, stack = RISES[name], shared_stack
    payment = await awaiting(stack)
    *first, last = row.steps
    for step in first:
        if step == "accept":
            await creditkey.accept(stack, payment)
        else:
            assert (await act(stack, payment, "update", total_of(step))).status == 200
    sent = await calls(stack, payment)
    reply = await act(stack, payment, "update", total_of(last))
    assert reply.status == row.last, reply.text
    assert len(await calls(stack, payment)) - len(sent) == (1 if row.last == 200 else 0)
    if row.last == 409:
        assert reply.json["code"] == "increase_over_limit"
    assert (await provider_order(stack, payment))["amount"] == (await stack.payment(payment["id"]))["amount"]


# Cancel is believed when it shows


class LateCancel(NamedTuple):
    """How Credit Key answers a cancel of an order it has shipped already, and how the operation ends."""

    status: int
    code: str


@shared
@pytest.mark.parametrize("row", [LateCancel(400, "declined"), LateCancel(200, "not_done")], ids=lambda row: row.code)
async def test_a_cancel_is_verified(shared_stack: GatewayStack, row: LateCancel) -> None:
    """An order confirmed elsewhere is not canceled, whether Credit Key says no or answers with the shipped order."""
    stack = shared_stack
    payment = await authorized(stack)
    await creditkey.edit(stack, payment, status="shipped", capture_status="captured")
    async with knobs(stack, cancel_after_confirm_status=row.status):
        reply = await act(stack, payment, "cancel")
    assert (reply.status, reply.json["operation"]["status"]) == (200, "declined")
    assert reply.json["operation"]["failure"]["code"] == row.code
    assert reply.json["state"] != "canceled"
    assert alerts_of(reply.json) == {}
    synced = await act(stack, payment, "sync")
    assert (synced.json["state"], synced.json["amount_captured"]) == ("captured", AMOUNT)


@shared
async def test_a_declined_command_is_told(shared_stack: GatewayStack) -> None:
    """A command that Credit Key refuses makes a version and a webhook of its own; the payment stays as it is."""
    stack = shared_stack
    payment = await authorized(stack)
    async with knobs(stack, operation="confirm_order", status=400, body={"result": "not today"}):
        reply = await act(stack, payment, "capture")
    failure = {"code": "declined", "message": "not today", "provider_code": "not today"}
    assert reply.json["operation"] == {**reply.json["operation"], "status": "declined", "failure": failure}
    assert (reply.json["state"], reply.json["version"]) == ("authorized", payment["version"] + 1)
    await stack.webhook(payment["id"], "operation.declined")
    assert (await act(stack, payment, "capture")).json["state"] == "captured"


# What was captured is the measure afterwards


@shared
async def test_after_a_partial_capture_lookups_compare_with_what_was_captured(shared_stack: GatewayStack) -> None:
    """Credit Key's order is then worth what was captured: no contradiction, and refunds are bounded by it."""
    stack = shared_stack
    payment = await captured(stack, "400.00")
    synced = await act(stack, payment, "sync")
    assert (synced.json["state"], synced.json["review"], synced.json["version"]) == (
        "captured",
        None,
        payment["version"],
    )
    over = await act(stack, payment, "refund", {"amount": "400.01"})
    assert (over.status, over.json["code"]) == (422, "amount_too_large")
    back = await act(stack, payment, "refund", {})
    assert (back.json["amount"], back.json["payment"]["state"]) == ("400.00", "refunded")


@shared
async def test_another_total_after_capture_is_reviewed(shared_stack: GatewayStack) -> None:
    """An order that is worth neither its amount nor what was captured must be looked at by a person."""
    stack = shared_stack
    payment = await captured(stack, "400.00")
    await creditkey.edit(stack, payment, amount="399.99")
    synced = await act(stack, payment, "sync")
    assert (synced.json["state"], synced.json["review"]["reason"]) == ("captured", "amount")
