"""Cards (``examples/gateway-acquirelite``): every story that an acquirer has, over HTTP."""

from __future__ import annotations

import hmac
import json
import uuid
from decimal import Decimal
from typing import Any

import pytest

from tests.examples.shop import Shop

CARDS = "acquirelite"


async def authorized(shop: Shop, **more: Any) -> Any:
    """A payment that its customer has approved."""
    payment = await shop.create("cards", **more)
    await shop.customer(payment)
    return await shop.until(payment, "authorized")


async def captured(shop: Shop) -> Any:
    """A payment that was captured."""
    payment = await authorized(shop)
    await shop.do(payment, "capture")
    return await shop.until(payment, "captured")


async def agrees(shop: Shop, payment: Any) -> None:
    """The acquirer's books say what the gateway says."""
    now, line = await shop.read(payment), await shop.ledger(payment)
    for ours, theirs in (("amount_captured", "captured"), ("amount_refunded", "refunded")):
        assert Decimal(now[ours]) == Decimal(line[theirs])


async def test_partial_captures_and_refunds(shop: Shop) -> None:
    """Two captures, of which the second is the last, and two refunds, each accepted and told later."""
    payment = await authorized(shop)
    await shop.do(payment, "capture", {"amount": "4.00"})
    now = await shop.until(payment, "authorized", amount_captured="4.00")
    await shop.do(payment, "capture", {"amount": "3.00", "final": True})
    now = await shop.until(payment, "captured", amount_captured="7.00")
    await shop.do(payment, "refunds", {"amount": "1.50"})
    now = await shop.until(payment, "partially_refunded", amount_refunded="1.50")
    await shop.do(payment, "refunds")
    now = await shop.until(payment, "refunded", amount_refunded="7.00")
    assert [one["status"] for one in await shop.refunds(now)] == ["succeeded", "succeeded"]
    await agrees(shop, payment)


async def test_a_capture_at_once_comes_as_a_batch_of_two(shop: Shop) -> None:
    """The approval is an event; the capture, which nobody here asked for, is looked up."""
    payment = await shop.create("cards", capture="now")
    await shop.customer(payment)
    await shop.until(payment, "captured", amount_captured="10.00")
    await agrees(shop, payment)


async def test_a_cancel(shop: Shop) -> None:
    """Accepted, and told by a webhook."""
    payment = await authorized(shop)
    await shop.do(payment, "cancel")
    await shop.until(payment, "canceled")


async def test_a_lost_answer_of_a_create_gives_the_page_in_the_end(shop: Shop) -> None:
    """The session is found by our id, and the customer can pay on its page."""
    await shop.faults(CARDS, {"operation": "create", "silence": "after_effect"})
    before = await shop.sent(CARDS, "/payment-sessions")
    status, payment = await shop.try_to_create("cards", "10.00", "USD")
    assert (status, payment["redirect_url"]) == (202, None)
    await shop.faults(CARDS)
    now = await shop.until(payment, "awaiting_customer")
    assert now["redirect_url"].startswith(shop.place.simulators[CARDS])
    assert await shop.sent(CARDS, "/payment-sessions") == before + 1
    await shop.customer(payment)
    await shop.until(payment, "authorized")


@pytest.mark.parametrize("loss", [{"silence": "after_effect"}, {"html_after_effect": True}], ids=["lost", "html"])
@pytest.mark.parametrize(
    ("operation", "path", "what", "body", "state"),
    [
        ("capture", "/captures", "capture", {}, "captured"),
        ("void", "/voids", "cancel", {}, "canceled"),
        ("refund", "/refunds", "refunds", {"amount": "3.00"}, "partially_refunded"),
    ],
)
async def test_a_change_whose_answer_is_lost(
    shop: Shop, loss: Any, operation: str, path: str, what: str, body: Any, state: str
) -> None:
    """It was sent once, and a lookup finds out, also where no webhook comes."""
    payment = await (captured(shop) if operation == "refund" else authorized(shop))
    before = await shop.sent(CARDS, path)
    await shop.faults(CARDS, {"operation": operation, "hold_callbacks": True}, {"operation": operation, **loss})
    assert (await shop.do(payment, what, body))[0] == 202
    await shop.faults(CARDS)
    await shop.until(payment, state)
    assert await shop.sent(CARDS, path) == before + 1
    await agrees(shop, payment)


@pytest.mark.parametrize(
    ("operation", "what", "status"), [("capture", "capture", 402), ("void", "cancel", 409), ("refund", "refunds", 422)]
)
async def test_a_change_that_is_refused(shop: Shop, operation: str, what: str, status: int) -> None:
    """Whatever client error it is, the acquirer's own word says why, and the payment stands as before."""
    payment = await (captured(shop) if operation == "refund" else authorized(shop))
    await shop.faults(CARDS, {"operation": operation, "status": status, "body": {"error_type": "limit_reached"}})
    _, reply = await shop.do(payment, what)
    refused = reply.get("operation", reply)
    assert (refused["status"], refused["failure"]["provider_code"]) == ("declined", "limit_reached")
    assert (await shop.read(payment))["state"] == payment["state"]


@pytest.mark.parametrize("told_by", ["webhook", "lookup"])
async def test_a_refund_that_is_declined_later(shop: Shop, told_by: str) -> None:
    """Accepted first, then declined by its own id: its amount is free again."""
    payment = await captured(shop)
    await shop.faults(CARDS, {"operation": "refund", "pending": True})
    status, refund = await shop.do(payment, "refunds", {"amount": "6.00"})
    assert (status, refund["status"]) == (202, "unknown")
    await shop.faults(CARDS, {"operation": "customer", "hold_callbacks": told_by == "lookup"})
    effect = {"id": f"act_op_{refund['id'].removeprefix('ref_')}", "state": "declined"}
    await shop.simulator(CARDS, "POST", "/_sim/effects", effect)
    await shop.until(payment, "captured")
    (refund,) = await shop.refunds(payment)
    assert (refund["status"], refund["failure"]["provider_code"]) == ("declined", "issuer_declined")
    await shop.do(payment, "refunds")
    await shop.until(payment, "refunded")
    await agrees(shop, payment)


async def test_a_refund_that_fails_after_it_succeeded(shop: Shop) -> None:
    """A person must look; what the tenant was told stays until then."""
    payment = await captured(shop)
    _, refund = await shop.do(payment, "refunds", {"amount": "6.00"})
    await shop.until(payment, "partially_refunded")
    effect = {"id": f"act_op_{refund['id'].removeprefix('ref_')}", "state": "declined"}
    await shop.simulator(CARDS, "POST", "/_sim/effects", effect)
    now = await shop.until_it(payment, lambda now: now["review"] is not None)
    assert (now["review"]["reason"], now["amount_refunded"]) == ("refund_reversed", "6.00")


async def test_repeated_and_forged_webhooks(shop: Shop) -> None:
    """A repetition changes nothing and is a success; a forgery is 401 and changes nothing."""
    payment = await authorized(shop)
    assert await shop.callbacks(CARDS, "repeat") == [200]
    assert set(await shop.callbacks(CARDS, "forge")) == {401}
    assert (await shop.read(payment))["version"] == payment["version"]


async def test_late_webhooks(shop: Shop) -> None:
    """Held until lookups had found everything: each is a success, and nothing moves."""
    await shop.faults(CARDS, {"hold_callbacks": True})
    payment = await authorized(shop)
    await shop.do(payment, "capture")
    await shop.until(payment, "captured")
    await shop.do(payment, "refunds")
    now = await shop.until(payment, "refunded")
    assert set(await shop.callbacks(CARDS, "release")) == {200}
    after = await shop.read(payment)
    assert (after["version"], after["review"]) == (now["version"], None)


async def test_a_status_that_nobody_knows(shop: Shop) -> None:
    """Nothing moves by it, and everything goes on when the word is known."""
    payment = await shop.create("cards")
    await shop.faults(CARDS, {"operation": "payment", "status_word": "Sideways"}, {"hold_callbacks": True})
    await shop.customer(payment)
    await shop.until_it(payment, lambda now: now["version"] > payment["version"])
    assert (await shop.read(payment))["state"] == "awaiting_customer"
    await shop.faults(CARDS)
    await shop.until(payment, "authorized")


@pytest.mark.parametrize(
    ("currency", "amount", "refund"), [("JPY", "500", "100"), ("KWD", "1.250", "0.005"), ("USD", "4.35", "1.15")]
)
async def test_currencies(shop: Shop, currency: str, amount: str, refund: str) -> None:
    """Exact in every number of decimals, both ways."""
    payment = await shop.create("cards", amount, currency, capture="now")
    await shop.customer(payment)
    await shop.until(payment, "captured", amount_captured=amount)
    await shop.do(payment, "refunds", {"amount": refund})
    await shop.until(payment, "partially_refunded", amount_refunded=refund)
    await agrees(shop, payment)


async def test_a_currency_that_the_acquirer_counts_in_another_way(shop: Shop) -> None:
    """Refused before anything is sent, with the tenant's own path."""
    status, refused = await shop.try_to_create("cards", "500", "CLP")
    assert (status, refused["errors"][0]["field"]) == (422, "$.currency")


@pytest.mark.parametrize("told_by", ["webhook", "lookup"])
async def test_another_amount(shop: Shop, told_by: str) -> None:
    """Half of it was approved: a person must look."""
    payment = await shop.create("cards")
    await shop.faults(CARDS, {"operation": "customer", "hold_callbacks": told_by == "lookup"})
    await shop.customer(payment, "pay_less")
    now = await shop.until_it(payment, lambda now: now["review"] is not None)
    assert (now["review"]["reason"], now["state"]) == ("amount", "awaiting_customer")


async def test_a_token_that_ends_early(shop: Shop) -> None:
    """One new operation under a new session; a lookup is asked once more."""
    await shop.faults(CARDS, {"operation": "create", "end_tokens": True, "times": 1})
    payment = await shop.create("cards")
    await shop.faults(CARDS, {"operation": "session", "end_tokens": True, "times": 1})
    assert (await shop.do(payment, "sync"))[0] == 200


async def test_one_page_several_attempts(shop: Shop) -> None:
    """A declined card is not the end, and binds no id."""
    payment = await shop.create("cards")
    for _ in range(2):
        await shop.customer(payment, "decline")
        assert (await shop.read(payment))["state"] == "awaiting_customer"
    await shop.customer(payment)
    await shop.until(payment, "authorized")


async def test_a_dispute(shop: Shop) -> None:
    """The total that cardholders took back is told; the payment stays captured."""
    payment = await captured(shop)
    path = f"/portal/{payment['id']}/disputes"
    await shop.simulator(CARDS, "POST", path, {"amount": "2.50"})
    now = await shop.until_it(payment, lambda now: now["amount_disputed"] == "2.50")
    assert now["state"] == "captured"
    await shop.simulator(CARDS, "POST", path, {"amount": "1.00"})
    await shop.until_it(payment, lambda now: now["amount_disputed"] == "3.50")
    assert (await shop.events(payment)).count("payment.disputed") == 2


def entry(payment: Any, **changes: Any) -> dict[str, Any]:
    """An entry of a webhook: the approval of a payment."""
    given = {"id": uuid.uuid4().hex, "type": "payment_approved", "created_on": "2026-11-29T01:02:03Z", "amount": 1000}
    return {**given, "payment": f"pmt_{payment['id']}", "reference": payment["id"], "currency": "USD", **changes}


async def post(shop: Shop, entries: list[Any]) -> int:
    """Send a batch, signed, to the account's address."""
    callbacks = await shop.simulator(CARDS, "GET", "/_sim/callbacks")
    body = json.dumps({"events": entries}).encode()
    headers = {"Acq-Signature": hmac.digest(b"acq-webhook", body, "sha256").hex(), "Content-Type": "application/json"}
    async with shop.http.post(callbacks[0]["url"], data=body, headers=headers) as response:
        return response.status


async def test_a_batch_with_one_bad_member(shop: Shop) -> None:
    """Each entry is judged on its own: those about other payments have their effect, the bad one is on record."""
    await authorized(shop)
    first, second, third = [await shop.create("cards") for _ in range(3)]
    unknown = {**first, "id": f"pay_{uuid.uuid4().hex}"}
    assert await post(shop, [entry(first), entry(unknown), entry(second), entry(third, currency="EUR")]) == 200
    assert (await shop.until(first))["state"] == (await shop.until(second))["state"] == "authorized"
    assert (await shop.read(third))["review"]["reason"] == "currency"
    refused = (await shop.call("GET", "/v1/callbacks?verdict=refused&account=cards"))[1]["data"]
    assert {"not_found", "currency"} <= {one["reason"] for one in refused}
