"""The life of one payment: trade credit that is captured and partly refunded, or canceled; or a PSP customer who pays.

Every step is repeated until it has a complete answer, as tenants, browsers and providers do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tests.crash.clients import PAUSE, Client
from tests.support.stack import creditkey_body, order_of, psp_body

BUTTON = {"succeeded": "pay", "failed": "fail", "processing": "pay"}
"""State of an order at the PSP -> the button that leads there."""

STATE = {"pay": "captured", "fail": "failed"}

TRIES = 3
"""Number of requests a tenant makes for what the provider declines."""


Workloads = Mapping[Callable[[Client], Awaitable[None]], int]
"""Each workload and its weight."""


async def run_workloads(client: Client, is_over: Callable[[], bool], workloads: Workloads | None = None) -> None:
    """Run one workload after another until the run is over; the last one runs to its end."""
    chosen = WORKLOADS if workloads is None else workloads
    while not is_over():
        client.workloads_started += 1
        (workload,) = client.dice.choices(list(chosen), list(chosen.values()))
        await workload(client)
    client.doing = ""


async def ship_on_credit(client: Client) -> None:
    """Create, update, approve, capture all or a part, refund parts."""
    payment = await begin(client)
    if payment is None:
        return
    is_early = client.dice.random() < 0.5
    if is_early and client.dice.random() < 0.5:
        await change_amount(client, payment)
    await approve(client, payment)
    if not is_early and client.dice.random() < 0.5:
        await change_amount(client, payment)
    amount = f"{client.dice.randrange(50000, 90000) / 100:.2f}"
    taken = await ask_until_done(client, payment, "/capture", {"amount": amount} if client.dice.random() < 0.3 else {})
    for _ in range(client.dice.randrange(4) if taken else 0):
        amount = f"{client.dice.randrange(100, 15000) / 100:.2f}"
        await ask_until_done(client, payment, "/refunds", {"amount": amount, "reason": "returned"})


async def give_up(client: Client) -> None:
    """Create, perhaps let the customer approve, cancel."""
    payment = await begin(client)
    if payment is None:
        return
    if client.dice.random() < 0.5:
        await approve(client, payment)
    await ask_until_done(client, payment, "/cancel", {})


async def pay_by_psp(client: Client) -> None:
    """Create, and let the customer pay, fail, or wait and pay; the callback is repeated until it is accepted."""
    tenant = client.dice.choice(["acme", "globex"])
    body = psp_body(merchant_reference=reference(client, "D"))
    payment = await client.ask("POST", "/v1/payments", body, tenant=tenant, takes_open=True)
    order = await order_of_psp(client, payment) if payment is not None else None
    if payment is None or order is None or payment["state"] == "failed":
        return
    never_saw_the_page = payment["redirect_url"] is None and client.dice.random() < 0.3
    if never_saw_the_page and order["state"] == "pending":
        return
    button = BUTTON.get(order["state"]) or client.dice.choice(["pay", "pay", "fail", "pending"])
    if button == "pending":
        await press(client, order, "pending")
        await client.until(payment, {"processing"})
        button = "pay"
    await press(client, order, button)
    await client.until(payment, {STATE[button]})


WORKLOADS: Workloads = {ship_on_credit: 5, give_up: 2, pay_by_psp: 3}


def reference(client: Client, prefix: str) -> str:
    """Return a merchant reference."""
    return f"{prefix}-{client.name}-{client.workloads_started}"


async def begin(client: Client) -> Any | None:
    """Create at Credit Key; None unless it waits for the customer."""
    payment = await client.ask("POST", "/v1/payments", creditkey_body(merchant_reference=reference(client, "SO")))
    return payment if payment is not None and payment["state"] == "awaiting_customer" else None


async def change_amount(client: Client, payment: Any) -> None:
    """Update to another total within the provider's limit; no two are equal."""
    amount = f"{client.dice.randrange(100000, 115000) / 100:.2f}"
    body = {"amount": amount, "order": {"charges": order_of(amount)["charges"]}}
    await client.ask("PATCH", f"/v1/payments/{payment['id']}", body)


async def ask_until_done(client: Client, payment: Any, path: str, body: Any) -> bool:
    """Request a change, again under a new key if the provider declines; return whether it succeeded."""
    for _ in range(TRIES):
        done = await client.ask("POST", f"/v1/payments/{payment['id']}{path}", body)
        if done is None:
            return False
        if done.get("operation", done)["status"] == "succeeded":
            return True
    return False


async def approve(client: Client, payment: Any) -> None:
    """Let the customer accept; the browser returns, and reloads until it is redirected."""
    chosen = await client.testbed.call_provider(
        "creditkey", "POST", f"/checkout/{payment['provider_reference']}/approve"
    )
    client.doing = f"coming back to {payment['id']}"
    while True:
        page = await client.visit("GET", chosen.json["redirect"])
        if page is not None and page.status == 303:
            break
        await asyncio.sleep(PAUSE)
    await client.until(payment, {"authorized"})


async def order_of_psp(client: Client, payment: Any) -> Any | None:
    """Return the PSP's order of a payment; None when it has none."""
    orders = (await client.testbed.call_provider("psp", "GET", "/_sim/orders")).json
    return next((order for order in orders if order["order_no"] == payment["id"]), None)


async def press(client: Client, order: Any, button: str) -> None:
    """Click a button of the payment page until the provider's callback is answered with success."""
    client.doing = f"pressing {button} for {order['order_no']}"
    while True:
        await client.testbed.up.wait()
        callback = (await client.testbed.call_provider("psp", "POST", f"/pay/{order['id']}/{button}")).json
        if callback["status"] is not None and callback["status"] < 300:
            return
        if callback["status"] is not None and callback["status"] < 500:
            client.unexpected.append(f"{client.doing}: {callback}")
            return
        await asyncio.sleep(PAUSE)
