"""Refunds of the captured Credit Key payment: one in part, and one whose answer is lost after it happened."""

from __future__ import annotations

from gateway.cli.stage import Answer, Stage
from gateway.cli.story.expect import credit_key_calls, credit_key_order, expect_state, expect_webhook

IN_PART = {"amount": "122.50", "reason": "a pallet jack arrived scratched"}
LOST = {"amount": "50.00", "reason": "goodwill"}
LOST_KEY = "demo-refund-whose-answer-is-lost"
REFUNDED_AFTER = "172.50"


async def refund_in_part(stage: Stage) -> None:
    """Credit Key: 122.50 of the money goes back"""
    refunded = await _refund(stage, IN_PART)
    stage.check("answered 201", refunded.status == 201, refunded.text)
    stage.check("the refund succeeded", refunded.json["status"] == "succeeded", refunded.text)
    await _expect_ledger(stage, "122.50")
    await expect_state(stage, "creditkey", "partially_refunded", amount_refunded="122.50")
    await expect_webhook(stage, "creditkey", "payment.partially_refunded")


async def refund_lost(stage: Stage) -> None:
    """Credit Key: 50.00 more goes back, but the line is cut before the answer"""
    fault = {"operation": "refund", "silence": "after_effect", "times": 1}
    await stage.visit("PUT", f"{stage.urls['creditkey']}/_sim/faults", fault)
    lost = await _refund(stage, LOST, key=LOST_KEY)
    stage.check("answered 202", lost.status == 202, lost.text)
    stage.check("the outcome is unknown, nothing is called failed", lost.json["status"] == "unknown", lost.text)
    payment = stage.payments["creditkey"] = lost.json["payment"]
    stage.check("amount_refunded still 122.50", payment["amount_refunded"] == "122.50", payment["amount_refunded"])
    await _expect_ledger(stage, REFUNDED_AFTER)


async def refund_settled(stage: Stage) -> None:
    """Credit Key: the gateway looks by itself, and knows"""
    payment = stage.payments["creditkey"]
    told = await stage.tenant.told(payment["id"], payment["version"] + 1)
    stage.check("the webhook tells of the refund", told["data"]["refund"]["status"] == "succeeded", told["type"])
    await expect_state(stage, "creditkey", "partially_refunded", amount_refunded=REFUNDED_AFTER)
    await expect_webhook(stage, "creditkey", "payment.partially_refunded")
    event = (await stage.call("GET", f"/v1/payments/{payment['id']}/events")).json["data"][-1]
    stage.check("settled by lookup", event["cause"] == "lookup", event)


async def refund_repeated(stage: Stage) -> None:
    """Credit Key: the tenant repeats the request under the same Idempotency-Key, and no money moves"""
    again = await _refund(stage, LOST, key=LOST_KEY)
    stage.check("answered 201, from the store", (again.status, _is_replayed(again)) == (201, True), again.text)
    stage.check("the refund succeeded", again.json["status"] == "succeeded", again.text)
    sent = await credit_key_calls(stage)
    stage.check("the provider received two refunds in all", sent.count("refund") == 2, sent)
    await _expect_ledger(stage, REFUNDED_AFTER)


async def _refund(stage: Stage, body: object, *, key: str | None = None) -> Answer:
    return await stage.call("POST", f"/v1/payments/{stage.payments['creditkey']['id']}/refunds", body, key=key)


async def _expect_ledger(stage: Stage, refunded: str) -> None:
    order = await credit_key_order(stage, "creditkey")
    stage.check(f"the provider has given back {refunded}", order["refunded_amount"] == refunded, order)


def _is_replayed(answer: Answer) -> bool:
    return answer.headers.get("Idempotency-Replayed") == "true"
