"""The end: every payment's timeline, and that the tenant was told all of it."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from gateway.cli.stage import Stage


async def timelines(stage: Stage) -> None:
    """All payments, version by version"""
    for payment in stage.payments.values():
        events = (await stage.call("GET", f"/v1/payments/{payment['id']}/events")).json["data"]
        _print(stage.console, payment, events)
        versions = [event["version"] for event in events]
        stage.check("versions without a gap", versions == list(range(1, payment["version"] + 1)), versions)
        told = [(await stage.tenant.told(payment["id"], version))["type"] for version in versions]
        stage.check("the tenant was told each of them", told == [event["type"] for event in events], told)


def _print(console: Console, payment: Any, events: Any) -> None:
    title = f"{payment['provider']} {payment['merchant_reference']} {payment['id']}"
    table = Table("version", "at", "event", "state", "by", title=title, box=None)
    for event in events:
        state = f"{event['state_before'] or '-'} -> {event['state_after']}"
        table.add_row(str(event["version"]), event["at"], event["type"], state, event["cause"])
    console.print(table)
