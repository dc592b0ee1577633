"""A PSP payment: the tenant's own keys on the wire, the customer pays, a signed callback moves the money."""

from __future__ import annotations

import json

from gateway.cli.demo.environment import Environment
from gateway.cli.demo.expectations import expect_state, expect_webhook

ORDER = {
    "merchant_reference": "D-1001",
    "amount": "162.48",
    "currency": "USD",
    "deposit_method": "bank",
    "customer": {"id": "C-88", "name": "Dana Reyes", "email": "dana@reyes.example", "nationality": "us"},
    "fields": {"custom_1": "VIP"},
}


async def psp_create(env: Environment) -> None:
    """PSP: the tenant creates a payment, the provider receives it under the tenant's own keys"""
    env.show("the tenant sends POST /v1/payments", json.dumps(ORDER, indent=2))
    created = await env.call("POST", "/v1/payments", ORDER)
    env.check("answered 201", created.status == 201, created.text)
    payment = env.payments["psp"] = created.json
    env.check("state awaiting_customer", payment["state"] == "awaiting_customer", payment["state"])
    body = (await env.simulator("psp_open_api", "GET", "/_sim/requests"))[-1]["body"]
    env.show("the provider received (API-1)", body)
    wire = json.loads(body)
    env.check("amount is called sum", "sum" in wire and "amount" not in wire)
    env.check("user_name is called customer", wire["customer"] == "Dana Reyes")
    env.check("nationality is left out", "nationality" not in wire)
    env.check(
        "channel is a constant, custom_1 was asked of the customer",
        (wire["channel"], wire["custom_1"]) == ("web", "VIP"),
    )


async def psp_pay(env: Environment) -> None:
    """PSP: the customer pays, the provider calls back"""
    page = env.payments["psp"]["redirect_url"]
    env.show("the customer pays at", page)
    callback = (await env.send("POST", f"{page}/pay")).json
    env.check("the callback (API-2) was answered 204", callback["status"] == 204, callback)
    await expect_state(env, "psp", "captured", amount_captured="162.48")


async def psp_webhook(env: Environment) -> None:
    """PSP: the tenant receives a signed webhook"""
    await expect_webhook(env, "psp", "payment.captured")
