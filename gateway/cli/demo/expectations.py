"""Checks that several scenarios share: at the gateway, at the provider's simulator, at the tenant."""

from __future__ import annotations

from typing import Any

from gateway.cli.demo.environment import Environment

LOOKUPS = ("find_order", "find_order_by_merchant_order_id")


async def expect_state(env: Environment, name: str, state: str, **members: str) -> None:
    """Read a payment again, and check its state and these members."""
    payment = env.payments[name] = (await env.call("GET", f"/v1/payments/{env.payments[name]['id']}")).json
    wanted = {"state": state, **members}
    seen = {member: payment[member] for member in wanted}
    env.check(", ".join(f"{member} {value}" for member, value in wanted.items()), seen == wanted, seen)


async def expect_webhook(env: Environment, name: str, kind: str) -> None:
    """Check that a webhook has brought the tenant the payment as it was last read."""
    payment = env.payments[name]
    webhook = await env.tenant.webhook(payment["id"], payment["version"])
    env.check(f"{kind} arrived, verified by the reference library", webhook["type"] == kind, webhook["type"])
    shown = webhook["data"]["payment"]
    env.check(f"it shows version {payment['version']} as the API does", shown == payment, shown)


def expect_alert(env: Environment, answer: Any, code: str) -> None:
    """Check that an answer has this alert, and print its message."""
    alerts = {alert["code"]: alert["message"] for alert in answer["alerts"]}
    env.check(f"an alert for the tenant's staff, {code}", code in alerts, alerts)
    env.show("alert", alerts[code])


async def credit_key_order(env: Environment, name: str) -> Any:
    """A payment's order in the ledger of Credit Key's simulator."""
    orders = {order["id"]: order for order in await env.simulator("creditkey", "GET", "/_sim/orders")}
    return orders[env.payments[name]["provider_reference"]]


async def credit_key_calls(env: Environment) -> list[str]:
    """The changing operations that Credit Key has received, in order."""
    requests = await env.simulator("creditkey", "GET", "/_sim/requests")
    called = [request["path"].partition("/ecomm/")[2].partition("?")[0] for request in requests]
    return [operation for operation in called if operation not in LOOKUPS]


def messages_to_customer(order: Any) -> list[str]:
    """The kinds of messages that Credit Key sent to the customer of an order, in order."""
    return [message["kind"] for message in order["notifications"]]
