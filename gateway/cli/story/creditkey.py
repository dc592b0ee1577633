"""A Credit Key payment: the customer gets a link and approves, the order grows a little, it ships and is captured."""

from __future__ import annotations

from typing import Any

from gateway.cli.stage import Stage
from gateway.cli.story.expect import (
    credit_key_calls,
    credit_key_order,
    expect_alert,
    expect_state,
    expect_webhook,
    messages_to_customer,
)
from gateway.web.examples import CREATE

ORDER = {name: CREATE[name] for name in ("amount", "currency", "account", "order", "checkout")}
"""The order that the API's own documentation shows."""

ITEMS, CHARGES = CREATE["order"]["items"], CREATE["order"]["charges"]
UPDATE = {
    "amount": "1142.33",
    "order": {
        "items": [*ITEMS, {"merchant_id": "LS-4", "name": "Load straps", "price": "75.00", "quantity": 1}],
        "charges": {**CHARGES, "total": "1017.50", "grand_total": "1142.33"},
    },
}


async def credit_key_create(stage: Stage) -> None:
    """Credit Key: the tenant creates a payment, the customer gets a link"""
    payment = await create(stage, "creditkey", "SO-7001")
    expect_alert(stage, payment, "customer_will_be_notified")
    sent = await credit_key_calls(stage)
    stage.check("the provider received begin_standalone_checkout", sent == ["begin_standalone_checkout"], sent)


async def credit_key_approve(stage: Stage) -> None:
    """Credit Key: the customer approves and comes back"""
    await approve(stage, "creditkey")
    sent = await credit_key_calls(stage)
    stage.check("complete_checkout was sent once", sent.count("complete_checkout") == 1, sent)


async def credit_key_update(stage: Stage) -> None:
    """Credit Key: the order grows by 75.00, within the limit"""
    before = messages_to_customer(await credit_key_order(stage, "creditkey"))
    updated = await stage.call("PATCH", f"/v1/payments/{stage.payments['creditkey']['id']}", UPDATE)
    stage.check("answered 200", updated.status == 200, updated.text)
    stage.check("no alert", updated.json["alerts"] == [], updated.json["alerts"])
    order = await credit_key_order(stage, "creditkey")
    stage.check("the provider's order is for 1142.33", order["amount"] == "1142.33", order["amount"])
    told = messages_to_customer(order)
    stage.check("no new message to the customer", told == before, told)
    await expect_state(stage, "creditkey", "authorized", amount="1142.33")
    await expect_webhook(stage, "creditkey", "payment.updated")


async def credit_key_capture(stage: Stage) -> None:
    """Credit Key: the order ships, the tenant captures"""
    captured = await stage.call("POST", f"/v1/payments/{stage.payments['creditkey']['id']}/capture", {})
    stage.check("answered 200", captured.status == 200, captured.text)
    await expect_state(stage, "creditkey", "captured", amount_captured="1142.33")


async def credit_key_webhook(stage: Stage) -> None:
    """Credit Key: the tenant is told by a signed webhook"""
    await expect_webhook(stage, "creditkey", "payment.captured")


async def create(stage: Stage, name: str, merchant_reference: str) -> Any:
    """Create a payment in link mode."""
    body = {"merchant_reference": merchant_reference, **ORDER, **_return_urls(stage)}
    created = await stage.call("POST", "/v1/payments", body)
    stage.check("answered 201", created.status == 201, created.text)
    payment = stage.payments[name] = created.json
    stage.check("state awaiting_customer", payment["state"] == "awaiting_customer", payment["state"])
    return payment


async def approve(stage: Stage, name: str) -> None:
    """Let the customer approve, and follow their browser to the tenant's page."""
    key = stage.payments[name]["provider_reference"]
    way_back = (await stage.far("creditkey", "POST", f"/checkout/{key}/approve"))["redirect"]
    stage.show("the customer's browser is sent to", way_back)
    returned = await stage.visit("GET", way_back)
    stage.check("answered 303", returned.status == 303, returned.status)
    target = returned.headers.get("Location", "")
    stage.check("on to the tenant's own page", target.startswith(_return_urls(stage)["return_url"]), target)
    await expect_state(stage, name, "authorized", amount_captured="0.00")


def _return_urls(stage: Stage) -> dict[str, str]:
    return {"return_url": f"{stage.urls['tenant']}/paid", "cancel_url": f"{stage.urls['tenant']}/gave-up"}
