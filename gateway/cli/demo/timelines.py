"""The end: the timeline of every payment, each version of which the tenant has received as a webhook."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from gateway.cli.demo.environment import Environment


async def timelines(env: Environment) -> None:
    """All payments, version by version"""
    for payment in env.payments.values():
        events = (await env.call("GET", f"/v1/payments/{payment['id']}/events")).json["data"]
        _print(env.console, payment, events)
        versions = [event["version"] for event in events]
        env.check("versions without a gap", versions == list(range(1, payment["version"] + 1)), versions)
        received = [(await env.tenant.webhook(payment["id"], version))["type"] for version in versions]
        env.check("the tenant received a webhook for each", received == [event["type"] for event in events], received)


def _print(console: Console, payment: Any, events: Any) -> None:
    title = f"{payment['provider']} {payment['merchant_reference']} {payment['id']}"
    table = Table("version", "at", "event", "state", "by", title=title, box=None)
    for event in events:
        state = f"{event['state_before'] or '-'} -> {event['state_after']}"
        table.add_row(str(event["version"]), event["at"], event["type"], state, event["cause"])
    console.print(table)
