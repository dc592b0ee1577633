"""Credit Key as its production clients meet it, over HTTP: facts that its documents miss or state differently."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.core.facts import ReviewResolved
from gateway.flows.payments.review import resolve_review
from tests.support.scenarios.creditkey import (
    act,
    authorized,
    awaiting,
    calls,
    captured,
    edit,
    knobs,
    operations,
    provider_order,
    review_of,
    timeline,
    total_of,
)
from tests.support.stack import GatewayStack, creditkey_body, order_of, running_stack

shared = pytest.mark.asyncio(loop_scope="module")
AMOUNT = "1067.33"


# A refund that is answered "canceled"


class Canceled(NamedTuple):
    """A refund that Credit Key answers with ``canceled``: what goes back, what has before, whether the sum moves."""

    amount: str
    before: str | None
    moves: bool
    state: str
    refunded: str
    status: str
    review: str | None


CANCELED = {
    "whole": Canceled(AMOUNT, None, True, "refunded", AMOUNT, "succeeded", None),
    "part": Canceled("67.33", None, True, "partially_refunded", "67.33", "succeeded", None),
    "rest": Canceled("1000.00", "67.33", True, "refunded", AMOUNT, "succeeded", None),
    "whole, sum unmoved": Canceled(AMOUNT, None, False, "captured", "0.00", "unknown", "refund_unclear"),
    "part, sum unmoved": Canceled("67.33", None, False, "captured", "0.00", "unknown", "refund_unclear"),
    "rest, sum unmoved": Canceled(
        "1000.00", "67.33", False, "partially_refunded", "67.33", "unknown", "refund_unclear"
    ),
}


@shared
@pytest.mark.parametrize("capture_status", ["captured", "canceled", None])
@pytest.mark.parametrize("name", CANCELED)
async def test_a_refund_answered_canceled_is_what_the_sum_shows(
    shared_stack: GatewayStack, name: str, capture_status: str | None
) -> None:
    """Where the sum moved the refund is done, whatever the word; else a person looks and nothing is sent again."""
    stack, row = shared_stack, CANCELED[name]
    payment = await captured(stack)
    if row.before is not None:
        assert (await act(stack, payment, "refund", {"amount": row.before})).json["status"] == "succeeded"
    async with knobs(stack, refund_cancels=True, refund_moves_sum=row.moves):
        reply = await act(stack, payment, "refund", {"amount": row.amount})
    assert (await provider_order(stack, payment))["status"] == "canceled"
    assert (await operations(stack, payment))[-1] == ("refund", row.status)
    if row.state == "refunded" or not row.moves:
        await edit(stack, payment, capture_status=capture_status)
    assert reply.status == (201 if row.moves else 202)
    now = (await act(stack, payment, "sync")).json
    assert (now["state"], now["amount_refunded"], await review_of(stack, payment)) == (
        row.state,
        row.refunded,
        row.review,
    )
    assert len(await calls(stack, payment, "refund")) == (1 if row.before is None else 2)
    await timeline(stack, payment)


@shared
async def test_a_lost_refund_of_an_order_that_is_canceled_since_is_never_called_not_done(
    shared_stack: GatewayStack,
) -> None:
    """Called not done, the tenant would refund again; the word says that something went on."""
    stack = shared_stack
    payment = await captured(stack)
    async with knobs(stack, operation="refund", silence="before_effect"):
        await act(stack, payment, "refund", {"amount": "10.00"})
    await edit(stack, payment, status="canceled", capture_status="canceled")
    for _ in range(3):
        await act(stack, payment, "sync")
    assert (await operations(stack, payment))[-1] == ("refund", "unknown")
    assert await review_of(stack, payment) == "refund_unclear"


# An accepted order that Credit Key does not complete

REFUSALS: dict[str, Mapping[str, Any]] = {
    "false": {"status": 200, "body": {"success": False}},
    "false as text": {"status": 200, "body": {"success": "false"}},
    "404": {"status": 404, "body": {"result": "not found"}},
    "400": {"status": 400, "body": {"result": "order is already complete"}},
    "401": {"status": 401, "body": {"result": "unauthorized"}},
    "422": {"status": 422, "body": {}},
}


@shared
@pytest.mark.parametrize("amount", [None, "500.00"])
@pytest.mark.parametrize("name", REFUSALS)
async def test_an_accepted_order_whose_completion_is_declined_can_be_captured(
    shared_stack: GatewayStack, name: str, amount: str | None
) -> None:
    """It is not called authorized, but the tenant may capture it: Credit Key confirms a placed order all the same."""
    stack = shared_stack
    payment = await awaiting(stack)
    async with knobs(stack, operation="complete_checkout", **REFUSALS[name]):
        await stack.visit(await stack.approve(payment))
        await stack.gateway.tasks.drain(10)
        assert (await stack.payment(payment["id"]))["state"] == "awaiting_customer"
        reply = await act(stack, payment, "capture", {"amount": amount} if amount else {})
    assert (reply.status, reply.json["state"], reply.json["amount_captured"]) == (200, "captured", amount or AMOUNT)
    assert (await provider_order(stack, payment))["capture_status"] == "captured"
    assert await calls(stack, payment, "confirm_order") == ["confirm_order"]


@shared
async def test_an_order_that_nobody_accepted_cannot_be_captured(shared_stack: GatewayStack) -> None:
    """A declined completion alone is no acceptance: the provider must show one."""
    stack = shared_stack
    payment = await awaiting(stack)
    back = (await provider_order(stack, payment))["return_url"].replace("%CKKEY%", payment["provider_reference"])
    await stack.visit(back)
    await stack.gateway.tasks.drain(10)
    assert (await operations(stack, payment))[-1] == ("complete", "declined")
    reply = await act(stack, payment, "capture")
    assert (reply.status, reply.json["code"]) == (409, "invalid_state")
    assert await calls(stack, payment, "confirm_order") == []


# An amount that was changed at Credit Key


@shared
@pytest.mark.parametrize("looked", [True, False], ids=["after a poll", "without a poll"])
@pytest.mark.parametrize("amount", ["967.33", "1067.32", "1067.34", "1167.33", "9999.99", "0.01"])
async def test_an_amount_changed_in_the_portal_is_reviewed_before_capture(
    shared_stack: GatewayStack, amount: str, looked: bool
) -> None:
    """Up or down, polled or not: the old sum is never captured; a person compares first."""
    stack = shared_stack
    payment = await authorized(stack)
    await edit(stack, payment, amount=amount)
    if looked:
        await act(stack, payment, "sync")
    reply = await act(stack, payment, "capture")
    assert (reply.status, reply.json["code"], await review_of(stack, payment)) == (409, "under_review", "amount")
    said = f"the provider shows {amount} USD; this payment is of 1067.33 USD"
    assert said in reply.json["detail"]
    assert (await stack.payment(payment["id"]))["review"]["detail"] == said
    (event,) = await stack.events_of_type(payment["id"], "payment.review")
    assert (event["details"]["detail"], event["details"]["provider_amount"]) == (said, amount)
    assert await calls(stack, payment, "confirm_order") == []


@shared
async def test_an_amount_that_a_person_accepts_is_taken_over_by_an_update(shared_stack: GatewayStack) -> None:
    """The flag is cleared without a state; then the tenant names the new amount and captures it."""
    stack = shared_stack
    payment = await authorized(stack)
    await edit(stack, payment, amount="967.33")
    assert (await act(stack, payment, "capture")).json["code"] == "under_review"
    await resolve_review(stack.gateway, payment["id"], ReviewResolved(actor="ops", reason="agreed with the customer"))
    updated = await act(stack, payment, "update", total_of("967.33"))
    assert (updated.status, updated.json["amount"]) == (200, "967.33"), updated.text
    assert (await act(stack, payment, "capture")).json["amount_captured"] == "967.33"


@shared
async def test_a_capture_does_not_begin_where_the_order_cannot_be_looked_at(shared_stack: GatewayStack) -> None:
    """Nothing is sent; the tenant may ask again."""
    stack = shared_stack
    payment = await authorized(stack)
    async with knobs(stack, operation="find_order", status=500):
        reply = await act(stack, payment, "capture")
    assert (reply.status, reply.json["code"]) == (502, "provider_error")
    assert await calls(stack, payment, "confirm_order") == []
    assert (await act(stack, payment, "capture")).json["state"] == "captured"


# Addresses and calls


@shared
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_complete_address_is_called_by_get_or_post(shared_stack: GatewayStack, method: str) -> None:
    """A pended application that staff clear is authorized by the call, whose answer's body nobody needs."""
    stack = shared_stack
    payment = await awaiting(stack)
    async with knobs(stack, pended=True, complete_method=method):
        await stack.call_provider("creditkey", "POST", f"/checkout/{payment['provider_reference']}/approve")
        cleared = await stack.call_provider("creditkey", "POST", f"/_sim/orders/{payment['provider_reference']}/clear")
        assert cleared.json["status"] == 200
    await stack.gateway.tasks.drain(10)
    assert (await stack.payment(payment["id"]))["state"] == "authorized"


# Charges that do not add up

UNBALANCED = {
    "store credit": {"total": "942.50", "shipping": "60.00", "tax": "84.83", "grand_total": AMOUNT},
    "gift card": {"total": "1167.33", "grand_total": AMOUNT},
    "fee": {"total": "1057.33", "grand_total": AMOUNT},
    "discount twice": {"total": AMOUNT, "discount_amount": "20.00", "grand_total": AMOUNT},
    "tax missing": {"total": "982.50", "grand_total": AMOUNT},
}


def warns(settings: dict[str, Any]) -> None:
    """Let the account pass such charges on."""
    settings["tenants"]["acme"]["accounts"]["creditkey-main"]["config"]["charges_identity"] = "warn"


@shared
@pytest.mark.parametrize("name", UNBALANCED)
async def test_charges_that_do_not_add_up_are_refused(shared_stack: GatewayStack, name: str) -> None:
    """The answer says where store credit, gift cards and fees belong."""
    reply = await shared_stack.create(creditkey_body(order={**order_of(AMOUNT), "charges": UNBALANCED[name]}))
    assert (reply.status, reply.json["code"]) == (422, "validation_failed")
    [error] = reply.json["errors"]
    assert error["field"] == "$.order.charges.grand_total"
    for words in ("store credit and gift cards belong in discount_amount", "fees in shipping or in an item"):
        assert words in error["message"]


@shared
@pytest.mark.parametrize("verb", ["update", "capture"])
async def test_charges_without_an_amount_are_compared_with_the_payments(shared_stack: GatewayStack, verb: str) -> None:
    """Nobody sent an amount: the sentence names the payment's, and says what to do."""
    payment = await authorized(shared_stack)
    reply = await act(shared_stack, payment, verb, {"order": {"charges": order_of("170.00")["charges"]}})
    said = "170.00 differs from the payment's amount 1067.33: send amount too"
    assert (reply.status, reply.json["errors"]) == (422, [{"field": "$.order.charges.grand_total", "message": said}])


async def test_an_account_may_pass_them_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With ``charges_identity: warn`` create, update and capture send them as given, and the log names each."""
    async with running_stack(tmp_path, change=warns) as stack:
        for name, charges in UNBALANCED.items():
            caplog.clear()
            payment = await authorized(stack, order={**order_of(AMOUNT), "charges": charges})
            order = await provider_order(stack, payment)
            assert order["amount"] == AMOUNT, name
            body = {"amount": "1100.00", "order": {"charges": {**charges, "grand_total": "1100.00"}}}
            assert (await act(stack, payment, "update", body)).json["amount"] == "1100.00"
            assert (await act(stack, payment, "capture")).json["amount_captured"] == "1100.00"
            told = [vars(one) for one in caplog.records if one.msg == "charges do not add up"]
            assert [(one["tenant"], one["account"]) for one in told] == [("acme", payment["account"])] * 2
        reply = await stack.create(creditkey_body(order=order_of("1.00")))
        assert reply.json["errors"] == [
            {"field": "$.order.charges.grand_total", "message": "1.00 differs from amount 1067.33"}
        ]


async def test_other_accounts_of_the_tenant_still_refuse(tmp_path: Path) -> None:
    """The setting is the account's own; an order for another account is judged as ever."""
    async with running_stack(tmp_path, change=warns) as stack:
        order = {**order_of(AMOUNT), "charges": UNBALANCED["fee"]}
        reply = await stack.create(creditkey_body(order=order, account="psp-main"))
        assert (reply.status, reply.json["errors"][0]["field"]) == (422, "$.order.charges.grand_total")


@shared
async def test_an_update_after_capture_is_refused(shared_stack: GatewayStack) -> None:
    """Shop modules send updates with every save, also after the capture; here that is a 409 and no call."""
    payment = await captured(shared_stack)
    for body in ({"merchant_status": "packed"}, total_of("1000.00")):
        reply = await act(shared_stack, payment, "update", body)
        assert (reply.status, reply.json["code"]) == (409, "invalid_state")
    assert await calls(shared_stack, payment, "update_order") == []
