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
    assert await shop.callbacks(GIRO, "forge") == [401, 401, 401]
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
