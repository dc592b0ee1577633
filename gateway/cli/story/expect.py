"""What steps of several chapters expect, and where they look: at the gateway, at the simulators, at the tenant."""

from __future__ import annotations

from typing import Any

from gateway.cli.stage import Stage

LOOKUPS = ("find_order", "find_order_by_merchant_order_id")


async def expect_state(stage: Stage, name: str, state: str, **members: str) -> None:
    """Read a payment anew; it is in this state and has these members."""
    payment = stage.payments[name] = (await stage.call("GET", f"/v1/payments/{stage.payments[name]['id']}")).json
    wanted = {"state": state, **members}
    seen = {member: payment[member] for member in wanted}
    stage.check(", ".join(f"{member} {value}" for member, value in wanted.items()), seen == wanted, seen)


async def expect_webhook(stage: Stage, name: str, kind: str) -> None:
    """The tenant is told of the payment as it was last read."""
    payment = stage.payments[name]
    told = await stage.tenant.told(payment["id"], payment["version"])
    stage.check(f"{kind} arrived, verified by the reference library", told["type"] == kind, told["type"])
    shown = told["data"]["payment"]
    stage.check(f"it shows version {payment['version']} as the API does", shown == payment, shown)


def expect_alert(stage: Stage, answer: Any, code: str) -> None:
    """An answer has this alert; print its sentence."""
    alerts = {alert["code"]: alert["message"] for alert in answer["alerts"]}
    stage.check(f"an alert for the tenant's staff, {code}", code in alerts, alerts)
    stage.show("alert", alerts[code])


async def credit_key_order(stage: Stage, name: str) -> Any:
    """A payment's order in Credit Key's own ledger."""
    orders = {order["id"]: order for order in await stage.far("creditkey", "GET", "/_sim/orders")}
    return orders[stage.payments[name]["provider_reference"]]


async def credit_key_calls(stage: Stage) -> list[str]:
    """The changing operations that Credit Key has received, in order."""
    requests = await stage.far("creditkey", "GET", "/_sim/requests")
    called = [request["path"].partition("/ecomm/")[2].partition("?")[0] for request in requests]
    return [operation for operation in called if operation not in LOOKUPS]


def messages_to_customer(order: Any) -> list[str]:
    """What Credit Key told the customer about an order, in order."""
    return [message["kind"] for message in order["notifications"]]
