"""Refunds at Credit Key over HTTP: the total is read first, parts add up, and what was made elsewhere counts."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.support.scenarios import creditkey
from tests.support.scenarios.creditkey import AMOUNT, act, calls, captured, knobs, provider_order
from tests.support.stack import GatewayStack, new_key

shared = pytest.mark.asyncio(loop_scope="module")


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
