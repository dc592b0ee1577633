"""Credit Key's documented scenarios and rules over HTTP: what each command does to both sides, and what it says.

The far side's own ledger and requests are the witness. A successor of an order that rose too far has its own file.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from tests.support.scenarios import creditkey
from tests.support.scenarios.creditkey import (
    BEGUN,
    act,
    authorized,
    awaiting,
    calls,
    captured,
    provider_order,
    timeline,
    total_of,
)
from tests.support.stack import GatewayStack, creditkey_body, new_key, order_of, psp_body

shared = pytest.mark.asyncio(loop_scope="module")

ALERTS = {
    "customer_will_be_notified": (
        "You have selected Credit Key as the payment method. "
        "A new notification will be sent to the customer to complete this order."
    ),
    "increase_over_limit": (
        "Credit Key order amounts can only be increased by $100. "
        "A new notification will be sent to the customer to complete this order."
    ),
    "customer_notified_of_cancel": "The Credit Key order is canceled. Credit Key tells the customer.",
}
"""The sentences for the tenant's own admin user, word for word."""

AMOUNT, ELSEWHERE = "1067.33", {"city": "Elsewhere", "email": "other@reyes.example"}
LINK = ["link"]


@asynccontextmanager
async def knobs(stack: GatewayStack, **chosen: Any) -> AsyncIterator[None]:
    """Turn the simulator's knobs for the time of the block."""
    await stack.faults("creditkey", **chosen)
    try:
        yield
    finally:
        await stack.faults("creditkey")


def alerts_of(answer: Any) -> dict[str, str]:
    """The alerts of an answer: code to sentence."""
    return {alert["code"]: alert["message"] for alert in answer.get("alerts", ())}


def worded(*codes: str) -> dict[str, str]:
    """Those alerts, word for word."""
    return {code: ALERTS[code] for code in codes}


def told(order: Any) -> list[str]:
    """What the far side told the customer and the representative, in order."""
    return [one["kind"] for one in order["notifications"]]


# A new order


class NewOrder(NamedTuple):
    """How the customer is to be told, and what the far side did then."""

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
    """A command that is carried out: the one call it makes, the payment, the far side's order, alert and webhook.

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
    assert told(order) == row.notifications
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


class Refusal(NamedTuple):
    """A command that is refused before any call. ``field``: the member it is refused for."""

    state: str
    verb: str
    body: Mapping[str, Any]
    status: int
    code: str
    field: str | None = None
    alerts: tuple[str, ...] = ()


def _invalid(state: str, verb: str, body: Mapping[str, Any], field: str) -> Refusal:
    return Refusal(state, verb, body, 422, "validation_failed", field)


def _too_early_or_late(state: str, verb: str, body: Mapping[str, Any] | None = None) -> Refusal:
    return Refusal(state, verb, creditkey.VERBS[verb][2] if body is None else body, 409, "invalid_state")


def _over_limit(state: str, amount: str) -> Refusal:
    return Refusal(state, "update", total_of(amount), 409, "increase_over_limit", None, ("increase_over_limit",))


WRONG_SUM = {"charges": {"total": "900.00", "grand_total": "900.00"}}
OTHER_CURRENCY = {"amount": "5.00", "currency": "EUR"}

REFUSED = {
    "update, rise of 100.01": _over_limit("authorized", "1167.34"),
    "update, rise of 100.01 before the customer": _over_limit("awaiting_customer", "1167.34"),
    "update, rise of 150.00": _over_limit("authorized", "1217.33"),
    "update after capture": _too_early_or_late("captured", "update"),
    "update after capture, new amount": _too_early_or_late("captured", "update", total_of("1100.00")),
    "update of nothing": _invalid("authorized", "update", {}, "$"),
    "update, amount without charges": _invalid("authorized", "update", {"amount": "1100.00"}, "$.order.charges"),
    "update, charges of another sum": _invalid(
        "authorized", "update", {"amount": "1100.00", "order": WRONG_SUM}, "$.order.charges.grand_total"
    ),
    "update, charges without the amount": _invalid(
        "authorized", "update", {"order": WRONG_SUM}, "$.order.charges.grand_total"
    ),
    "update, another billing address": _invalid(
        "authorized", "update", {"order": {"billing_address": ELSEWHERE}}, "$.order.billing_address"
    ),
    "update, too many digits": _invalid("authorized", "update", {"amount": "1.001"}, "$.amount"),
    "update, nothing left": _invalid("authorized", "update", total_of("0.00"), "$.amount"),
    "capture before the customer": _too_early_or_late("awaiting_customer", "capture"),
    "capture again": _too_early_or_late("captured", "capture"),
    "capture of more": Refusal("authorized", "capture", {"amount": "1067.34"}, 422, "amount_too_large", "$.amount"),
    "capture, charges of another sum": _invalid(
        "authorized", "capture", {"amount": "400.00", "order": WRONG_SUM}, "$.order.charges.grand_total"
    ),
    "capture of all, charges of a part": _invalid(
        "authorized", "capture", {"order": WRONG_SUM}, "$.order.charges.grand_total"
    ),
    "cancel after capture": _too_early_or_late("captured", "cancel"),
    "refund before the customer": _too_early_or_late("awaiting_customer", "refund"),
    "refund before capture": _too_early_or_late("authorized", "refund"),
    "refund of more": Refusal("captured", "refund", {"amount": "1067.34"}, 422, "amount_too_large", "$.amount"),
    "refund of nothing": _invalid("captured", "refund", {"amount": "0.00"}, "$.amount"),
    "refund below nothing": _invalid("captured", "refund", {"amount": "-5.00"}, "$.amount"),
    "refund, too many digits": _invalid("captured", "refund", {"amount": "5.001"}, "$.amount"),
}


@shared
@pytest.mark.parametrize("name", REFUSED)
async def test_a_command_is_refused_before_any_call(shared_stack: GatewayStack, name: str) -> None:
    """What a rule forbids is refused by name; nothing leaves the gateway, nothing is stored, the key stays free."""
    row, stack, key = REFUSED[name], shared_stack, new_key()
    payment = await BEGUN[row.state](stack)
    before, order = await calls(stack, payment), await provider_order(stack, payment)
    reply = await act(stack, payment, row.verb, row.body, key=key)
    assert (reply.status, reply.json["code"]) == (row.status, row.code), reply.text
    assert [error["field"] for error in reply.json.get("errors", ())] == ([row.field] if row.field else [])
    assert alerts_of(reply.json) == worded(*row.alerts)
    assert (await calls(stack, payment), await provider_order(stack, payment)) == (before, order)
    now = await stack.payment(payment["id"])
    assert (now["version"], now["amount"], now["pending_operation"]) == (payment["version"], payment["amount"], None)
    assert await stack.gateway.store.idempotency_record("acme", key) is None
    assert len(await timeline(stack, payment)) == payment["version"]


@shared
@pytest.mark.parametrize("currency", ["EUR", "JPY", "CAD"])
async def test_credit_key_takes_dollars_only(shared_stack: GatewayStack, currency: str) -> None:
    """A payment in another currency is refused before any call."""
    amount = "500" if currency == "JPY" else "500.00"
    order = order_of(amount)
    order["items"][0]["price"] = amount
    body = creditkey_body(amount=amount, currency=currency, order=order)
    reply = await shared_stack.create(body)
    assert (reply.status, reply.json["code"]) == (422, "currency_not_supported")
    orders = await shared_stack.provider_orders("creditkey")
    assert body["merchant_reference"] not in [order["remote_id"] for order in orders]


@shared
@pytest.mark.parametrize("verb", creditkey.VERBS)
async def test_a_psp_payment_knows_no_further_command(shared_stack: GatewayStack, verb: str) -> None:
    """At a provider without the command every verb is ``unsupported_by_provider``, before any call."""
    payment = (await shared_stack.create(psp_body())).json
    heard = len(await shared_stack.provider_requests("psp"))
    reply = await act(shared_stack, payment, verb)
    assert (reply.status, reply.json["code"]) == (422, "unsupported_by_provider")
    assert len(await shared_stack.provider_requests("psp")) == heard
    assert (await shared_stack.payment(payment["id"]))["version"] == payment["version"]


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


# Refunds are judged by the refunded total


@shared
@pytest.mark.parametrize("status", ["shipped", "returned"])
async def test_a_refund_is_judged_by_the_refunded_amount(shared_stack: GatewayStack, status: str) -> None:
    """After a part went back Credit Key may say ``shipped`` or ``returned``: only the sum decides, then and later."""
    stack = shared_stack
    payment = await captured(stack)
    async with knobs(stack, partial_refund_status=status):
        part = await act(stack, payment, "refund", {"amount": "122.50"})
    assert (part.status, part.json["status"], part.json["payment"]["state"]) == (
        201,
        "succeeded",
        "partially_refunded",
    )
    assert (await provider_order(stack, payment))["status"] == status
    synced = await act(stack, payment, "sync")
    assert (synced.json["state"], synced.json["amount_refunded"], synced.json["review"]) == (
        "partially_refunded",
        "122.50",
        None,
    )
    rest = await act(stack, payment, "refund", {})
    assert (rest.json["amount"], rest.json["payment"]["state"]) == ("944.83", "refunded")
    assert (await provider_order(stack, payment))["refunded_amount"] == AMOUNT


@shared
async def test_refunds_add_up_and_are_listed(shared_stack: GatewayStack) -> None:
    """Several refunds are several operations with ids of their own, listed in order, bounded by what is left."""
    stack = shared_stack
    payment = await captured(stack)
    first = await act(stack, payment, "refund", {"amount": "100.00", "reason": "scratched"})
    second = await act(stack, payment, "refund", {"amount": 67.33})
    over = await act(stack, payment, "refund", {"amount": "900.01"})
    assert (over.status, over.json["code"]) == (422, "amount_too_large")
    listed = (await stack.call("GET", f"/v1/payments/{payment['id']}/refunds")).json["data"]
    assert [(one["id"], one["amount"], one["reason"], one["status"]) for one in listed] == [
        (first.json["id"], "100.00", "scratched", "succeeded"),
        (second.json["id"], "67.33", None, "succeeded"),
    ]
    assert all(one["id"].startswith("ref_") and one["payment_id"] == payment["id"] for one in listed)
    assert {one["payment"]["amount_refunded"] for one in listed} == {"167.33"}
    last = await act(stack, payment, "refund", {})
    assert (last.json["amount"], last.json["payment"]["state"]) == ("900.00", "refunded")
    nothing = await act(stack, payment, "refund", {})
    assert (nothing.status, nothing.json["code"]) == (409, "invalid_state")
    order = await provider_order(stack, payment)
    amounts = [Decimal(one["amount"]) for one in order["history"] if one["event"] == "refunded"]
    assert amounts == [Decimal("100.00"), Decimal("67.33"), Decimal("900.00")]


@shared
async def test_a_refunds_webhook_carries_the_refund(shared_stack: GatewayStack) -> None:
    """The webhook of a refund says which refund it was and how it ended."""
    payment = await captured(shared_stack)
    made = await act(shared_stack, payment, "refund", {"amount": "10.00", "reason": "scratched"})
    webhook = await shared_stack.webhook(payment["id"], "payment.partially_refunded")
    assert webhook["data"]["refund"] == {name: made.json[name] for name in webhook["data"]["refund"]}


@shared
async def test_a_refund_made_elsewhere_is_known_before_ours(shared_stack: GatewayStack) -> None:
    """What the portal gave back is read first: it counts, it is noted, and it bounds what may still be refunded."""
    stack = shared_stack
    payment = await captured(stack)
    await creditkey.edit(stack, payment, refunded_amount="1000.00")
    over = await act(stack, payment, "refund", {"amount": "67.34"})
    assert (over.status, over.json["code"]) == (422, "amount_too_large")
    [noted] = await stack.events_of_type(payment["id"], "payment.partially_refunded")
    assert (noted["cause"], noted["details"]["made_elsewhere"]) == ("lookup", "true")
    assert (noted["details"]["amount"], noted["details"]["amount_refunded"]) == ("1000.00", "1000.00")
    rest = await act(stack, payment, "refund", {})
    assert (rest.json["amount"], rest.json["payment"]["state"]) == ("67.33", "refunded")
    assert (await provider_order(stack, payment))["refunded_amount"] == AMOUNT


@shared
async def test_a_declined_refund_frees_its_amount(shared_stack: GatewayStack) -> None:
    """A refund that Credit Key refuses is told as declined and can be asked for again."""
    stack = shared_stack
    payment = await captured(stack)
    async with knobs(stack, operation="refund", status=400, body={"result": "no"}):
        refused = await act(stack, payment, "refund", {})
    assert (refused.status, refused.json["status"], refused.json["failure"]["code"]) == (201, "declined", "declined")
    assert refused.json["payment"]["state"] == "captured"
    again = await act(stack, payment, "refund", {})
    assert (again.json["status"], again.json["payment"]["state"]) == ("succeeded", "refunded")


@shared
async def test_a_refund_without_a_readable_total_is_not_begun(shared_stack: GatewayStack) -> None:
    """When the refunded total cannot be read first, the refund is 502, stores nothing and sends nothing."""
    stack, key = shared_stack, new_key()
    payment = await captured(stack)
    async with knobs(stack, operation="find_order", html=True):
        reply = await act(stack, payment, "refund", {}, key=key)
    assert (reply.status, reply.json["code"]) == (502, "provider_error")
    assert "refund" not in await calls(stack, payment)
    assert (await act(stack, payment, "refund", {}, key=key)).status == 201


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
