"""Refunds of the captured Credit Key payment: one in part, and one whose answer is lost after it happened."""

from __future__ import annotations

from gateway.cli.demo.environment import Answer, Environment
from gateway.cli.demo.expectations import credit_key_calls, credit_key_order, expect_state, expect_webhook

IN_PART = {"amount": "122.50", "reason": "a pallet jack arrived scratched"}
LOST = {"amount": "50.00", "reason": "goodwill"}
LOST_KEY = "demo-refund-whose-answer-is-lost"
REFUNDED_AFTER = "172.50"


async def refund_in_part(env: Environment) -> None:
    """Credit Key: 122.50 is refunded"""
    refunded = await _refund(env, IN_PART)
    env.check("answered 201", refunded.status == 201, refunded.text)
    env.check("the refund succeeded", refunded.json["status"] == "succeeded", refunded.text)
    await _expect_ledger(env, "122.50")
    await expect_state(env, "creditkey", "partially_refunded", amount_refunded="122.50")
    await expect_webhook(env, "creditkey", "payment.partially_refunded")


async def refund_lost(env: Environment) -> None:
    """Credit Key: 50.00 more is refunded, but the connection breaks before the answer"""
    fault = {"operation": "refund", "silence": "after_effect", "times": 1}
    await env.send("PUT", f"{env.urls['creditkey']}/_sim/faults", fault)
    lost = await _refund(env, LOST, key=LOST_KEY)
    env.check("answered 202", lost.status == 202, lost.text)
    env.check("the outcome is unknown, not failed", lost.json["status"] == "unknown", lost.text)
    payment = env.payments["creditkey"] = lost.json["payment"]
    env.check("amount_refunded still 122.50", payment["amount_refunded"] == "122.50", payment["amount_refunded"])
    await _expect_ledger(env, REFUNDED_AFTER)


async def refund_resolved(env: Environment) -> None:
    """Credit Key: the gateway looks the refund up by itself, and learns its outcome"""
    payment = env.payments["creditkey"]
    webhook = await env.tenant.webhook(payment["id"], payment["version"] + 1)
    env.check("the webhook shows the refund", webhook["data"]["refund"]["status"] == "succeeded", webhook["type"])
    await expect_state(env, "creditkey", "partially_refunded", amount_refunded=REFUNDED_AFTER)
    await expect_webhook(env, "creditkey", "payment.partially_refunded")
    event = (await env.call("GET", f"/v1/payments/{payment['id']}/events")).json["data"][-1]
    env.check("resolved by a lookup", event["cause"] == "lookup", event)


async def refund_repeated(env: Environment) -> None:
    """Credit Key: the tenant repeats the request under the same Idempotency-Key, and no money moves"""
    again = await _refund(env, LOST, key=LOST_KEY)
    env.check("answered 201, from the store", (again.status, _is_replayed(again)) == (201, True), again.text)
    env.check("the refund succeeded", again.json["status"] == "succeeded", again.text)
    sent = await credit_key_calls(env)
    env.check("the provider received two refunds in all", sent.count("refund") == 2, sent)
    await _expect_ledger(env, REFUNDED_AFTER)


async def _refund(env: Environment, body: object, *, key: str | None = None) -> Answer:
    return await env.call("POST", f"/v1/payments/{env.payments['creditkey']['id']}/refunds", body, key=key)


async def _expect_ledger(env: Environment, refunded: str) -> None:
    order = await credit_key_order(env, "creditkey")
    env.check(f"the provider has refunded {refunded}", order["refunded_amount"] == refunded, order)


def _is_replayed(answer: Answer) -> bool:
    return answer.headers.get("Idempotency-Replayed") == "true"
