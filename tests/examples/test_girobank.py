"""Bank transfers (``examples/gateway-girobank``): instructions, and callbacks by the tenant's reference alone."""

from __future__ import annotations

import hmac
from typing import Any
from urllib.parse import urlencode

from tests.examples.shop import Shop

GIRO = "girobank"


async def asked(shop: Shop) -> Any:
    """A payment whose customer was told where to pay."""
    return await shop.create("giro", "10.00", "EUR")


async def paid(shop: Shop) -> Any:
    """A payment that was paid."""
    payment = await asked(shop)
    await shop.customer(payment, name="merchant_reference")
    return await shop.until(payment, "captured")


async def test_instructions_then_money(shop: Shop) -> None:
    """The tenant shows them; the transfer is told by the reference, and once however often it is told."""
    payment = await asked(shop)
    shown = payment["instructions"]
    assert (shown["remittance"], shown["bic"]) == (payment["merchant_reference"], "GIRODEMM")
    assert (payment["state"], payment["redirect_url"]) == ("awaiting_customer", None)
    await shop.customer(payment, name="merchant_reference")
    now = await shop.until(payment, "captured", amount_captured="10.00")
    assert await shop.callbacks(GIRO, "repeat") == [200]
    assert set(await shop.callbacks(GIRO, "forge")) == {401}
    assert (await shop.read(payment))["version"] == now["version"]


async def test_a_transfer_of_another_amount(shop: Shop) -> None:
    """A person must look; the bank is not asked to repeat it."""
    payment = await asked(shop)
    said = await shop.customer(payment, "pay_less", name="merchant_reference")
    assert [one["status"] for one in said["callbacks"]] == [200]
    now = await shop.until_it(payment, lambda now: now["review"] is not None)
    assert (now["review"]["reason"], now["state"]) == ("amount", "awaiting_customer")


async def test_a_transfer_that_nobody_waits_for(shop: Shop) -> None:
    """On record as refused; the bank is not asked to repeat it."""
    await paid(shop)
    url = (await shop.simulator(GIRO, "GET", "/_sim/callbacks"))[0]["url"]
    entry = {"entry": "e-1", "type": "credit", "reference": "SO-nobody", "amount": "10.00", "currency": "EUR"}
    body = urlencode(entry).encode()
    signed = {"Giro-Signature": hmac.digest(b"giro-signing", body, "sha256").hex()}
    headers = {**signed, "Content-Type": "application/x-www-form-urlencoded"}
    async with shop.http.post(url, data=body, headers=headers) as response:
        assert response.status == 200
    (newest, *_) = (await shop.call("GET", "/v1/callbacks?account=giro"))[1]["data"]
    assert (newest["verdict"], newest["reason"]) == ("refused", "not_found")


async def test_a_create_whose_answer_is_lost(shop: Shop) -> None:
    """It is asked for again under its idempotency key, and the customer learns where to pay."""
    await shop.faults(GIRO, {"operation": "collect", "silence": "after_effect", "times": 1})
    status, payment = await shop.try_to_create("giro", "10.00", "EUR")
    assert (status, payment["instructions"]) == (202, {})
    now = await shop.until(payment, "awaiting_customer")
    assert now["instructions"]["remittance"] == payment["merchant_reference"]
    assert (await shop.ledger(payment, "merchant_reference"))["asked"] == "10.00"


async def test_a_refund_whose_answer_is_lost(shop: Shop) -> None:
    """The bank answers no lookups: its callback, which names our operation, resolves it."""
    payment = await paid(shop)
    await shop.faults(
        GIRO, {"operation": "pay_out", "hold_callbacks": True}, {"silence": "after_effect", "operation": "pay_out"}
    )
    assert (await shop.do(payment, "refunds", {"amount": "4.00"}))[0] == 202
    await shop.faults(GIRO)
    assert await shop.callbacks(GIRO, "release") == [200]
    await shop.until(payment, "partially_refunded", amount_refunded="4.00")


async def test_a_refund_that_bounces(shop: Shop) -> None:
    """It was paid out, and came back days later: a person must look."""
    payment = await paid(shop)
    status, refund = await shop.do(payment, "refunds", {"amount": "4.00"})
    assert (status, refund["status"]) == (201, "succeeded")
    (effect,) = [
        one for one in (await shop.ledger(payment, "merchant_reference"))["effects"] if one["kind"] == "refund"
    ]
    await shop.pass_time(GIRO, "2d")
    await shop.simulator(GIRO, "POST", "/_sim/effects", {"id": effect["id"], "state": "declined"})
    now = await shop.until_it(payment, lambda now: now["review"] is not None)
    assert (now["review"]["reason"], now["amount_refunded"]) == ("refund_reversed", "4.00")
    assert "account_closed" in now["review"]["detail"]
