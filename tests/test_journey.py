"""The whole story of one payment through each provider, over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.stack import GatewayStack, creditkey_body, new_key, psp_body, running_stack
from tests.support.stores import ENGINES


@pytest.fixture(params=ENGINES)
async def stack(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[GatewayStack]:
    """A running gateway with both simulators, on each engine."""
    async with running_stack(tmp_path, engine=request.param) as opened:
        yield opened


async def test_psp_payment_from_create_to_captured(stack: GatewayStack) -> None:
    """A PSP payment is created, paid, called back, captured, and the tenant is told by verified webhooks."""
    created = await stack.create(psp_body(fields={"custom_1": "VIP"}))
    assert created.status == 201, created.text
    payment = created.json
    assert payment["state"] == "awaiting_customer"
    assert payment["operation"]["status"] == "succeeded"
    paid = await stack.click(payment, "pay")
    assert paid.json["status"] == 204, paid.text
    now = await stack.payment(payment["id"])
    assert (now["state"], now["amount_captured"], now["version"]) == ("captured", "162.48", 3)
    await stack.webhook(payment["id"], "payment.captured")
    kinds = [body["type"] for body in stack.webhooks(payment["id"])]
    assert kinds == ["payment.created", "payment.awaiting_customer", "payment.captured"]
    assert [event["version"] for event in await stack.events(payment["id"])] == [1, 2, 3]


async def test_credit_key_payment_from_create_to_captured(stack: GatewayStack) -> None:
    """A Credit Key order is sent, approved by the customer, completed on return, and captured when it ships."""
    created = await stack.create(creditkey_body())
    assert created.status == 201, created.text
    payment = created.json
    assert payment["state"] == "awaiting_customer"
    assert payment["alerts"][0]["code"] == "customer_will_be_notified"
    returned = await stack.visit(await stack.approve(payment))
    assert returned.status == 303
    assert returned.headers["Location"].startswith("https://shop.example/paid?payment_id=pay_")
    assert (await stack.payment(payment["id"]))["state"] == "authorized"
    captured = await stack.call("POST", f"/v1/payments/{payment['id']}/capture", {}, key=new_key())
    assert captured.status == 200, captured.text
    assert (captured.json["state"], captured.json["amount_captured"]) == ("captured", "1067.33")
    await stack.webhook(payment["id"], "payment.captured")
