"""A Credit Key payment: the customer gets a link and approves, the order grows a little, it ships and is captured."""

from __future__ import annotations

from typing import Any

from gateway.cli.demo.environment import Environment
from gateway.cli.demo.expectations import (
    credit_key_calls,
    credit_key_order,
    expect_alert,
    expect_state,
    expect_webhook,
    messages_to_customer,
)
from gateway.web.api.examples import CREATE

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


async def credit_key_create(env: Environment) -> None:
    """Credit Key: the tenant creates a payment, the customer gets a link"""
    payment = await create(env, "creditkey", "SO-7001")
    expect_alert(env, payment, "customer_will_be_notified")
    sent = await credit_key_calls(env)
    env.check("the provider received begin_standalone_checkout", sent == ["begin_standalone_checkout"], sent)


async def credit_key_approve(env: Environment) -> None:
    """Credit Key: the customer approves and comes back"""
    await approve(env, "creditkey")
    sent = await credit_key_calls(env)
    env.check("complete_checkout was sent once", sent.count("complete_checkout") == 1, sent)


async def credit_key_update(env: Environment) -> None:
    """Credit Key: the order grows by 75.00, within the limit"""
    before = messages_to_customer(await credit_key_order(env, "creditkey"))
    updated = await env.call("PATCH", f"/v1/payments/{env.payments['creditkey']['id']}", UPDATE)
    env.check("answered 200", updated.status == 200, updated.text)
    env.check("no alert", updated.json["alerts"] == [], updated.json["alerts"])
    order = await credit_key_order(env, "creditkey")
    env.check("the provider's order is for 1142.33", order["amount"] == "1142.33", order["amount"])
    messages = messages_to_customer(order)
    env.check("no new message to the customer", messages == before, messages)
    await expect_state(env, "creditkey", "authorized", amount="1142.33")
    await expect_webhook(env, "creditkey", "payment.updated")


async def credit_key_capture(env: Environment) -> None:
    """Credit Key: the order ships, the tenant captures"""
    captured = await env.call("POST", f"/v1/payments/{env.payments['creditkey']['id']}/capture", {})
    env.check("answered 200", captured.status == 200, captured.text)
    await expect_state(env, "creditkey", "captured", amount_captured="1142.33")


async def credit_key_webhook(env: Environment) -> None:
    """Credit Key: the tenant receives a signed webhook"""
    await expect_webhook(env, "creditkey", "payment.captured")


async def create(env: Environment, name: str, merchant_reference: str) -> Any:
    """Create a payment in link mode."""
    body = {"merchant_reference": merchant_reference, **ORDER, **_return_urls(env)}
    created = await env.call("POST", "/v1/payments", body)
    env.check("answered 201", created.status == 201, created.text)
    payment = env.payments[name] = created.json
    env.check("state awaiting_customer", payment["state"] == "awaiting_customer", payment["state"])
    return payment


async def approve(env: Environment, name: str) -> None:
    """Let the customer approve, and follow their browser to the tenant's page."""
    key = env.payments[name]["provider_reference"]
    return_url = (await env.simulator("creditkey", "POST", f"/checkout/{key}/approve"))["redirect"]
    env.show("the customer's browser is sent to", return_url)
    returned = await env.send("GET", return_url)
    env.check("answered 303", returned.status == 303, returned.status)
    target = returned.headers.get("Location", "")
    env.check("on to the tenant's own page", target.startswith(_return_urls(env)["return_url"]), target)
    await expect_state(env, name, "authorized", amount_captured="0.00")


def _return_urls(env: Environment) -> dict[str, str]:
    return {"return_url": f"{env.urls['tenant']}/paid", "cancel_url": f"{env.urls['tenant']}/gave-up"}
