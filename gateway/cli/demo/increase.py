"""A second Credit Key order grows above the limit: first the increase is refused, then a new payment replaces it."""

from __future__ import annotations

from gateway.cli.demo.creditkey import CHARGES, approve, create
from gateway.cli.demo.environment import Answer, Environment
from gateway.cli.demo.expectations import credit_key_calls, credit_key_order, expect_alert, expect_state, expect_webhook

INCREASE = {"amount": "1217.33", "order": {"charges": {**CHARGES, "total": "1092.50", "grand_total": "1217.33"}}}
INCREASE_KEY = "demo-increase-over-the-limit"


async def increase_prepared(env: Environment) -> None:
    """Credit Key: a second order, approved like the first"""
    await create(env, "original", "SO-7002")
    await approve(env, "original")


async def increase_refused(env: Environment) -> None:
    """Credit Key: it grows by 150.00, above the limit; the tenant gets an alert, nothing is sent"""
    before = await credit_key_calls(env)
    refused = await _increase(env, INCREASE)
    env.check("answered 409", refused.status == 409, refused.text)
    env.check("increase_over_limit", refused.json["code"] == "increase_over_limit", refused.text)
    expect_alert(env, refused.json, "increase_over_limit")
    sent = await credit_key_calls(env)
    env.check("nothing was sent to the provider", sent == before, sent[len(before) :])
    version = env.payments["original"]["version"]
    await expect_state(env, "original", "authorized", amount="1067.33")
    env.check("the payment is as it was", env.payments["original"]["version"] == version)


async def increase_allowed(env: Environment) -> None:
    """Credit Key: repeated with allow_new_checkout under the same Idempotency-Key, a new payment replaces it"""
    allowed = await _increase(env, {**INCREASE, "allow_new_checkout": True})
    env.check("answered 200", allowed.status == 200, allowed.text)
    expect_alert(env, allowed.json, "new_checkout_started")
    env.payments["original"] = allowed.json
    replacement = (await env.call("GET", f"/v1/payments/{allowed.json['replaced_by']}")).json
    env.payments["replacement"] = replacement
    env.check(
        "the new payment replaces the old one", replacement["replaces"] == allowed.json["id"], replacement["replaces"]
    )
    await expect_state(env, "replacement", "awaiting_customer", amount="1217.33", merchant_reference="SO-7002")
    order = await credit_key_order(env, "replacement")
    env.check("the provider has a new order for 1217.33", order["amount"] == "1217.33", order["amount"])


async def increase_accepted(env: Environment) -> None:
    """Credit Key: the customer approves the replacement, the old order is canceled at both sides"""
    original = env.payments["original"]
    await approve(env, "replacement")
    await env.tenant.webhook(original["id"], original["version"] + 1)
    await expect_state(env, "original", "canceled", amount_captured="0.00")
    await expect_webhook(env, "original", "payment.canceled")
    orders = {name: (await credit_key_order(env, name))["status"] for name in ("original", "replacement")}
    wanted = {"original": "canceled", "replacement": "placed"}
    env.check("the provider has canceled the old order and kept the new one", orders == wanted, orders)
    await expect_state(env, "replacement", "authorized", amount="1217.33")
    await expect_webhook(env, "replacement", "payment.authorized")


async def _increase(env: Environment, body: object) -> Answer:
    return await env.call("PATCH", f"/v1/payments/{env.payments['original']['id']}", body, key=INCREASE_KEY)
