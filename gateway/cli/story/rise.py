"""A second Credit Key order that rises over the limit: the tenant is warned first, then a successor takes its place."""

from __future__ import annotations

from gateway.cli.stage import Answer, Stage
from gateway.cli.story.creditkey import CHARGES, approve, create
from gateway.cli.story.expect import credit_key_calls, credit_key_order, expect_alert, expect_state, expect_webhook

RISE = {"amount": "1217.33", "order": {"charges": {**CHARGES, "total": "1092.50", "grand_total": "1217.33"}}}
RISE_KEY = "demo-rise-over-the-limit"


async def rise_begun(stage: Stage) -> None:
    """Credit Key: a second order, approved like the first"""
    await create(stage, "outgrown", "SO-7002")
    await approve(stage, "outgrown")


async def rise_refused(stage: Stage) -> None:
    """Credit Key: it rises by 150.00, over the limit; the tenant is warned, nothing is sent"""
    before = await credit_key_calls(stage)
    refused = await _rise(stage, RISE)
    stage.check("answered 409", refused.status == 409, refused.text)
    stage.check("increase_over_limit", refused.json["code"] == "increase_over_limit", refused.text)
    expect_alert(stage, refused.json, "increase_over_limit")
    sent = await credit_key_calls(stage)
    stage.check("nothing was sent to the provider", sent == before, sent[len(before) :])
    version = stage.payments["outgrown"]["version"]
    await expect_state(stage, "outgrown", "authorized", amount="1067.33")
    stage.check("the payment is as it was", stage.payments["outgrown"]["version"] == version)


async def rise_allowed(stage: Stage) -> None:
    """Credit Key: repeated with allow_new_checkout under the same Idempotency-Key, a successor begins"""
    allowed = await _rise(stage, {**RISE, "allow_new_checkout": True})
    stage.check("answered 200", allowed.status == 200, allowed.text)
    expect_alert(stage, allowed.json, "new_checkout_started")
    stage.payments["outgrown"] = allowed.json
    successor = (await stage.call("GET", f"/v1/payments/{allowed.json['replaced_by']}")).json
    stage.payments["successor"] = successor
    stage.check("the successor replaces the order", successor["replaces"] == allowed.json["id"], successor["replaces"])
    await expect_state(stage, "successor", "awaiting_customer", amount="1217.33", merchant_reference="SO-7002")
    order = await credit_key_order(stage, "successor")
    stage.check("the provider has a new order for 1217.33", order["amount"] == "1217.33", order["amount"])


async def rise_accepted(stage: Stage) -> None:
    """Credit Key: the customer approves the successor, the old order is canceled at both sides"""
    outgrown = stage.payments["outgrown"]
    await approve(stage, "successor")
    await stage.tenant.told(outgrown["id"], outgrown["version"] + 1)
    await expect_state(stage, "outgrown", "canceled", amount_captured="0.00")
    await expect_webhook(stage, "outgrown", "payment.canceled")
    orders = {name: (await credit_key_order(stage, name))["status"] for name in ("outgrown", "successor")}
    wanted = {"outgrown": "canceled", "successor": "placed"}
    stage.check("the provider has canceled the old order and kept the new one", orders == wanted, orders)
    await expect_state(stage, "successor", "authorized", amount="1217.33")
    await expect_webhook(stage, "successor", "payment.authorized")


async def _rise(stage: Stage, body: object) -> Answer:
    return await stage.call("PATCH", f"/v1/payments/{stage.payments['outgrown']['id']}", body, key=RISE_KEY)
