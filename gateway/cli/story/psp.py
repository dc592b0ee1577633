"""A PSP payment: the tenant's own keys on the wire, the customer pays, a signed callback moves the money."""

from __future__ import annotations

import json

from gateway.cli.stage import Stage
from gateway.cli.story.expect import expect_state, expect_webhook

ORDER = {
    "merchant_reference": "D-1001",
    "amount": "162.48",
    "currency": "USD",
    "deposit_method": "bank",
    "customer": {"id": "C-88", "name": "Dana Reyes", "email": "dana@reyes.example", "nationality": "us"},
    "fields": {"custom_1": "VIP"},
}


async def psp_create(stage: Stage) -> None:
    """PSP: the tenant creates a payment, the provider hears it under the tenant's own keys"""
    stage.show("the tenant sends POST /v1/payments", json.dumps(ORDER, indent=2))
    created = await stage.call("POST", "/v1/payments", ORDER)
    stage.check("answered 201", created.status == 201, created.text)
    payment = stage.payments["psp"] = created.json
    stage.check("state awaiting_customer", payment["state"] == "awaiting_customer", payment["state"])
    body = (await stage.far("psp_open_api", "GET", "/_sim/requests"))[-1]["body"]
    stage.show("the provider received (API-1)", body)
    wire = json.loads(body)
    stage.check("amount is called sum", "sum" in wire and "amount" not in wire)
    stage.check("user_name is called customer", wire["customer"] == "Dana Reyes")
    stage.check("nationality is switched off", "nationality" not in wire)
    stage.check("channel is constant, custom_1 was asked", (wire["channel"], wire["custom_1"]) == ("web", "VIP"))


async def psp_pay(stage: Stage) -> None:
    """PSP: the customer pays, the provider calls back"""
    page = stage.payments["psp"]["redirect_url"]
    stage.show("the customer pays at", page)
    told = (await stage.visit("POST", f"{page}/pay")).json
    stage.check("the callback (API-2) was answered 204", told["status"] == 204, told)
    await expect_state(stage, "psp", "captured", amount_captured="162.48")


async def psp_webhook(stage: Stage) -> None:
    """PSP: the tenant is told by a signed webhook"""
    await expect_webhook(stage, "psp", "payment.captured")
