"""A page reached by form POST (``examples/gateway-formpay``): no call begins it, and the browser brings the outcome."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from tests.examples.shop import Shop

FORM = "formpay"
BACK = "https://shop.example/done"
ACTION = re.compile(r'<form[^>]* action="([^"]+)"')
FIELD = re.compile(r'<input[^>]* name="([^"]*)" value="([^"]*)"')


async def begun(shop: Shop) -> Any:
    """A payment for which nothing was sent: the customer gets an address of the gateway's."""
    payment = await shop.create("form", "499.00", "INR", return_url=BACK, customer={"name": "Dana Reyes"})
    seen = await shop.simulator(FORM, "GET", "/_sim/requests")
    assert {one["path"] for one in seen if payment["id"] in one["body"]} <= {"/verify"}
    assert payment["redirect_url"].startswith(shop.place.url)
    return payment


def form_of(html: str) -> tuple[str, dict[str, str]]:
    """Where a page's form leads, and its fields."""
    action = ACTION.search(html)
    assert action is not None, html
    return unescape(action[1]), {unescape(name): unescape(value) for name, value in FIELD.findall(html)}


async def arrived(shop: Shop, payment: Any) -> str:
    """Do as the browser does: fetch the gateway's page and post its form. The address of the provider's page."""
    async with shop.http.get(payment["redirect_url"]) as page:
        assert page.headers["Cache-Control"] == "no-store"
        url, fields = form_of(await page.text())
    assert "form-action" in page.headers["Content-Security-Policy"]
    async with shop.http.post(url, data=fields, allow_redirects=False) as there:
        assert there.status == 303, await there.text()
        return there.headers["Location"]


async def returned(shop: Shop, said: Any, **changes: str) -> int:
    """Let the browser post what the provider's page gave it; it ends at the tenant's page."""
    form = said["redirect"]
    async with shop.http.post(form["url"], data={**form["fields"], **changes}, allow_redirects=False) as answer:
        assert answer.headers["Location"].startswith(BACK)
        return answer.status


async def test_the_browser_brings_the_outcome(shop: Shop) -> None:
    """A forged form moves nothing, the signed one captures, and the callback that comes late changes nothing."""
    payment = await begun(shop)
    await arrived(shop, payment)
    await shop.faults(FORM, {"hold_callbacks": True})
    said = await shop.customer(payment)
    assert await returned(shop, said, amount="1.00") == 303
    before = await shop.read(payment)
    assert (before["state"], before["review"]) == ("awaiting_customer", None)
    assert await returned(shop, said) == 303
    now = await shop.until(payment, "captured", amount_captured="499.00")
    assert await shop.callbacks(FORM, "release") == [200]
    assert (await shop.read(payment))["version"] == now["version"]


async def test_the_server_is_told_as_well(shop: Shop) -> None:
    """A browser that is closed does no harm; repetitions and forgeries change nothing."""
    payment = await begun(shop)
    await arrived(shop, payment)
    said = await shop.customer(payment)
    now = await shop.until(payment, "captured")
    assert await returned(shop, said) == 303
    assert await shop.callbacks(FORM, "repeat") == [200]
    assert set(await shop.callbacks(FORM, "forge")) == {401}
    assert (await shop.read(payment))["version"] == now["version"]


async def test_a_payment_that_fails(shop: Shop) -> None:
    """Declined on the page."""
    payment = await begun(shop)
    await arrived(shop, payment)
    await shop.customer(payment, "decline")
    await shop.until(payment, "failed")


async def test_a_page_that_nobody_reached(shop: Shop) -> None:
    """The provider knows no such payment, and nothing moves."""
    payment = await begun(shop)
    await shop.do(payment, "sync")
    assert (await shop.read(payment))["state"] == "awaiting_customer"


@pytest.mark.parametrize(
    "fault", [{}, {"silence": "after_effect", "times": 1}, {"html_after_effect": True, "times": 1}]
)
async def test_refunds(shop: Shop, fault: Any) -> None:
    """Answered at once with the total; a lost answer is found by a lookup, and nothing is sent twice."""
    payment = await begun(shop)
    await arrived(shop, payment)
    await shop.customer(payment)
    await shop.until(payment, "captured")
    await shop.faults(FORM, {"operation": "refund", **fault})
    await shop.do(payment, "refunds", {"amount": "99.50"})
    await shop.until(payment, "partially_refunded", amount_refunded="99.50")
    effects = (await shop.ledger(payment))["effects"]
    assert [one["kind"] for one in effects] == ["capture", "refund"]
