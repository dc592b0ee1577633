"""The demo: one payment through each provider, told and checked step by step. Read it from top to bottom.

A step is a function; its docstring is its title, and a check that does not hold ends the demo. ``STEPS`` is the story.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import aiohttp
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.cli.output import console as make_console
from gateway.cli.stage import Stage, StepFailed, open_stage

Step = Callable[[Stage], Awaitable[None]]

PSP_ORDER = {
    "merchant_reference": "D-1001",
    "amount": "162.48",
    "currency": "USD",
    "deposit_method": "bank",
    "customer": {"id": "C-88", "name": "Dana Reyes", "email": "dana@reyes.example", "nationality": "us"},
    "fields": {"custom_1": "VIP"},
}

CREDIT_KEY_ORDER = {
    "merchant_reference": "SO-7001",
    "amount": "1067.33",
    "currency": "USD",
    "account": "creditkey-main",
    "order": {
        "items": [{"merchant_id": "PJ-1", "name": "Pallet jack", "price": "471.25", "quantity": 2}],
        "charges": {
            "total": "942.50",
            "shipping": "60.00",
            "tax": "84.83",
            "discount_amount": "20.00",
            "grand_total": "1067.33",
        },
        "billing_address": {
            "first_name": "Dana",
            "last_name": "Reyes",
            "company_name": "Reyes Supply",
            "email": "dana@reyes.example",
            "address1": "12 Dock Rd",
            "city": "Tacoma",
            "state": "WA",
            "zip": "98421",
            "phone_number": "253-555-0142",
        },
    },
    "checkout": {"mode": "link", "contact_method": "email"},
}


async def psp_create(stage: Stage) -> None:
    """PSP: the tenant creates a payment, the provider hears it under the tenant's own keys"""
    stage.show("the tenant sends POST /v1/payments", json.dumps(PSP_ORDER, indent=2))
    created = await stage.call("POST", "/v1/payments", PSP_ORDER)
    stage.check("answered 201", created.status == 201, created.text)
    payment = stage.payments["psp"] = created.json
    stage.check("state awaiting_customer", payment["state"] == "awaiting_customer", payment["state"])
    body = (await stage.far("psp_open_api", "GET", "/_sim/requests"))[-1]["body"]
    stage.show("the provider received (API-1)", body)
    wire = json.loads(body)
    stage.check("amount is called sum", "sum" in wire and "amount" not in wire)
    stage.check("user_name is called customer", wire["customer"] == "Dana Reyes")
    stage.check("nationality is switched off", "nationality" not in wire)
    stage.check("channel is constant, custom_1 was asked", (wire["channel"], wire["custom_1"]) == ("web", "VIP"))


async def psp_pay(stage: Stage) -> None:
    """PSP: the customer pays, the provider calls back"""
    page = stage.payments["psp"]["redirect_url"]
    stage.show("the customer pays at", page)
    told = (await stage.visit("POST", f"{page}/pay")).json
    stage.check("the callback (API-2) was answered 204", told["status"] == 204, told)
    await _expect_state(stage, "psp", "captured", captured="162.48")


async def psp_webhook(stage: Stage) -> None:
    """PSP: the tenant is told by a signed webhook"""
    await _expect_webhook(stage, "psp", "payment.captured")


async def credit_key_create(stage: Stage) -> None:
    """Credit Key: the tenant creates a payment, the customer gets a link"""
    created = await stage.call("POST", "/v1/payments", {**CREDIT_KEY_ORDER, **_return_urls(stage)})
    stage.check("answered 201", created.status == 201, created.text)
    payment = stage.payments["creditkey"] = created.json
    stage.check("state awaiting_customer", payment["state"] == "awaiting_customer", payment["state"])
    alerts = {alert["code"]: alert["message"] for alert in payment["alerts"]}
    stage.check("an alert for the tenant's staff", "customer_will_be_notified" in alerts, alerts)
    stage.show("alert", alerts["customer_will_be_notified"])
    sent = await stage.far("creditkey", "GET", "/_sim/requests")
    stage.check("the provider received begin_standalone_checkout", "begin_standalone_checkout" in sent[-1]["path"])


async def credit_key_approve(stage: Stage) -> None:
    """Credit Key: the customer approves and comes back"""
    key = stage.payments["creditkey"]["provider_reference"]
    way_back = (await stage.far("creditkey", "POST", f"/checkout/{key}/approve"))["redirect"]
    stage.show("the customer's browser is sent to", way_back)
    returned = await stage.visit("GET", way_back)
    stage.check("answered 303", returned.status == 303, returned.status)
    target = returned.headers.get("Location", "")
    stage.check("on to the tenant's own page", target.startswith(_return_urls(stage)["return_url"]), target)
    sent = [request["path"] for request in await stage.far("creditkey", "GET", "/_sim/requests")]
    stage.check("complete_checkout was sent once", sum("complete_checkout" in path for path in sent) == 1, sent)
    await _expect_state(stage, "creditkey", "authorized", captured="0.00")


async def credit_key_capture(stage: Stage) -> None:
    """Credit Key: the order ships, the tenant captures"""
    captured = await stage.call("POST", f"/v1/payments/{stage.payments['creditkey']['id']}/capture", {})
    stage.check("answered 200", captured.status == 200, captured.text)
    await _expect_state(stage, "creditkey", "captured", captured="1067.33")


async def credit_key_webhook(stage: Stage) -> None:
    """Credit Key: the tenant is told by a signed webhook"""
    await _expect_webhook(stage, "creditkey", "payment.captured")


async def timelines(stage: Stage) -> None:
    """Both payments, version by version"""
    for payment in stage.payments.values():
        events = (await stage.call("GET", f"/v1/payments/{payment['id']}/events")).json["data"]
        versions = [event["version"] for event in events]
        _print_timeline(stage.console, payment, events)
        stage.check("versions without a gap", versions == list(range(1, payment["version"] + 1)), versions)


STEPS: tuple[Step, ...] = (
    psp_create,
    psp_pay,
    psp_webhook,
    credit_key_create,
    credit_key_approve,
    credit_key_capture,
    credit_key_webhook,
    timelines,
)


async def play() -> bool:
    """Play all steps; False after printing the one that failed."""
    console = make_console()
    async with open_stage(console) as stage:
        for number, step in enumerate(STEPS, 1):
            title = f"{number}. {step.__doc__}"
            console.print(Text(f"\n{title}", style="bold"))
            try:
                await step(stage)
            except (StepFailed, aiohttp.ClientError, TimeoutError, LookupError, ValueError) as problem:
                console.print(Text(f"  ✗ {type(problem).__name__}: {problem}", style="red"))
                console.print(Text(f"\nfailed at step {title}", style="bold red"))
                return False
    console.print(Text(f"\nall {len(STEPS)} steps as expected", style="bold green"))
    return True


def _return_urls(stage: Stage) -> dict[str, str]:
    return {"return_url": f"{stage.urls['tenant']}/paid", "cancel_url": f"{stage.urls['tenant']}/gave-up"}


async def _expect_state(stage: Stage, name: str, state: str, *, captured: str) -> None:
    payment = stage.payments[name] = (await stage.call("GET", f"/v1/payments/{stage.payments[name]['id']}")).json
    seen = (payment["state"], payment["amount_captured"])
    stage.check(f"state {state}, {captured} captured", seen == (state, captured), seen)


async def _expect_webhook(stage: Stage, name: str, kind: str) -> None:
    told = await stage.tenant.told(stage.payments[name]["id"], kind)
    stage.check(f"{kind} arrived, verified by the reference library", bool(told))
    payment = told["data"]["payment"]
    stage.check(f"it tells version {payment['version']}", payment["version"] == stage.payments[name]["version"])


def _print_timeline(console: Console, payment: dict[str, str], events: list[dict[str, str]]) -> None:
    table = Table("version", "at", "event", "state", "by", title=f"{payment['provider']} {payment['id']}", box=None)
    for event in events:
        state = f"{event['state_before'] or '-'} -> {event['state_after']}"
        table.add_row(str(event["version"]), event["at"], event["type"], state, event["cause"])
    console.print(table)
