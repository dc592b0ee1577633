"""Mobile money (``examples/gateway-momo``): everything is asked for, at the pace that the plugin declares."""

from __future__ import annotations

from typing import Any

import pytest

from tests.examples.shop import Shop

PHONE = {"phone": "+256 772 123456"}


async def asked(shop: Shop) -> Any:
    """A payment whose prompt is on the customer's phone."""
    return await shop.create("uganda", "5000", "UGX", customer=PHONE)


async def paid(shop: Shop) -> Any:
    """A payment that was paid."""
    payment = await asked(shop)
    await shop.customer(payment)
    await shop.pass_time("momo", "10s")
    return await shop.until(payment, "captured")


async def test_a_payment_is_found_paid(shop: Shop) -> None:
    """By the plugin's own schedule, which is far quicker than the gateway's for a page."""
    payment = await paid(shop)
    assert payment["amount_captured"] == "5000"
    assert (await shop.ledger(payment))["captured"] == "5000"


async def test_another_currency_is_another_account(shop: Shop) -> None:
    """With its own decimals; what mobile money cannot do is refused before anything is sent."""
    payment = await shop.create("europe", "5.50", "EUR", customer=PHONE)
    assert (await shop.do(payment, "cancel"))[0] == 422
    await shop.customer(payment)
    await shop.pass_time("momo", "10s")
    await shop.until(payment, "captured", amount_captured="5.50")


async def test_a_prompt_that_is_rejected(shop: Shop) -> None:
    """The provider's words say why."""
    payment = await asked(shop)
    await shop.customer(payment, "decline")
    await shop.pass_time("momo", "10s")
    now = await shop.until(payment, "failed")
    assert now["failure"]["provider_code"] == "FAILED APPROVAL_REJECTED"


async def test_refunds_are_resolved_by_their_own_status(shop: Shop) -> None:
    """Nothing shows a total: the gateway asks about the open refund, and adds what succeeded."""
    payment = await paid(shop)
    status, refund = await shop.do(payment, "refunds", {"amount": "2000"})
    assert (status, refund["status"]) == (202, "unknown")
    await shop.pass_time("momo", "10s")
    await shop.until(payment, "partially_refunded", amount_refunded="2000")
    await shop.do(payment, "refunds")
    await shop.pass_time("momo", "10s")
    now = await shop.until(payment, "refunded", amount_refunded="5000")
    assert [one["status"] for one in await shop.refunds(now)] == ["succeeded", "succeeded"]
    assert (await shop.ledger(payment))["refunded"] == "5000"


async def test_a_refund_that_fails(shop: Shop) -> None:
    """Still worked on at the first look, then declined: its amount is free again."""
    payment = await paid(shop)
    await shop.faults("momo", {"operation": "refund", "pending": True})
    await shop.do(payment, "refunds", {"amount": "2000"})
    await shop.pass_time("momo", "10s")
    (effect,) = [one for one in (await shop.ledger(payment))["effects"] if one["kind"] == "refund"]
    await shop.simulator("momo", "POST", "/_sim/effects", {"id": effect["id"], "state": "declined"})
    await shop.pass_time("momo", "1h")
    now = await shop.until(payment, "captured", amount_refunded="0")
    (refund,) = await shop.refunds(now)
    assert (refund["status"], refund["failure"]["provider_code"]) == ("declined", "PAYEE_NOT_FOUND")


async def test_a_lost_answer_of_a_create(shop: Shop) -> None:
    """The UUID that we chose finds it; nothing is sent twice."""
    before = await shop.sent("momo", "/requesttopay")
    await shop.faults("momo", {"operation": "ask", "silence": "after_effect"})
    status, payment = await shop.try_to_create("uganda", "5000", "UGX", customer=PHONE)
    assert status == 202
    await shop.faults("momo")
    await shop.pass_time("momo", "10s")
    await shop.until(payment, "processing")
    assert await shop.sent("momo", "/requesttopay") == before + 1


@pytest.mark.parametrize("silence", ["before_effect", "after_effect"])
async def test_a_refund_without_an_answer(shop: Shop, silence: str) -> None:
    """Whether it arrived or not: it is asked for again under its UUID, and money goes back once."""
    payment = await paid(shop)
    await shop.faults("momo", {"operation": "refund", "silence": silence, "times": 1})
    assert (await shop.do(payment, "refunds", {"amount": "2000"}))[0] == 202
    await shop.pass_time("momo", "10s")
    await shop.until(payment, "partially_refunded", amount_refunded="2000")
    assert (await shop.ledger(payment))["refunded"] == "2000"


@pytest.mark.parametrize("fault", [{"html": True, "status": 200}, {"status": 403, "body": {}}, {"status_word": "HALF"}])
async def test_lookups_that_say_nothing(shop: Shop, fault: Any) -> None:
    """A page, a refusal, a word that nobody knows: nothing moves, and all goes on afterwards."""
    payment = await asked(shop)
    await shop.customer(payment)
    await shop.faults("momo", {"operation": "status", **fault})
    await shop.do(payment, "sync")
    assert (await shop.read(payment))["state"] == "processing"
    await shop.faults("momo")
    await shop.pass_time("momo", "1h")
    await shop.until(payment, "captured")


async def test_a_request_that_is_refused(shop: Shop) -> None:
    """A number without a wallet is a definite no; one that cannot be a number never leaves."""
    _, payment = await shop.try_to_create("uganda", "5000", "UGX", customer={"phone": "+256 772 120000"})
    assert (payment["state"], payment["failure"]["provider_code"]) == ("failed", "PAYER_NOT_FOUND")
    status, refused = await shop.try_to_create("uganda", "5000", "UGX", customer={"phone": "tomorrow"})
    assert (status, refused["errors"][0]["field"]) == (422, "$.customer.phone")
    assert (await shop.try_to_create("uganda", "5.00", "EUR", customer=PHONE))[0] == 422


async def test_another_amount(shop: Shop) -> None:
    """Half of it was paid: a person must look."""
    payment = await asked(shop)
    await shop.customer(payment, "pay_less")
    await shop.pass_time("momo", "10s")
    now = await shop.until_it(payment, lambda now: now["review"] is not None)
    assert now["review"]["reason"] == "amount"


async def test_a_token_that_ends_early(shop: Shop) -> None:
    """One new operation under a new session."""
    await shop.faults("momo", {"operation": "ask", "end_tokens": True, "times": 1})
    await asked(shop)
