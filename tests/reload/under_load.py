"""Reload again and again while clients create payments: two valid versions, and now and then a broken file."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.scenarios.inbox import admin
from tests.support.settings_file import config, rewrite, with_operator
from tests.support.stack import GatewayStack, psp_body, running_stack

VERSIONS = ("one", "two")
CLIENTS = 4


@dataclass
class Figures:
    """What happened. ``findings`` are what must not."""

    loaded: int = 0
    refused: int = 0
    payments: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        made = ", ".join(f"{count} by version {name}" for name, count in sorted(self.payments.items()))
        return f"{self.loaded} reloads, {self.refused} broken files refused; payments: {made}"


def under(version: str, settings: dict[str, Any]) -> None:
    """One version: the amount has a key of its own, and so has a constant its value."""
    fields = settings["tenants"]["acme"]["accounts"]["psp-main"]["fields"]
    fields |= {"amount": {"key": f"sum_{version}"}, "channel": {"value": version}}


def broken(settings: dict[str, Any]) -> None:
    """A third version with a mistake far from what it changes."""
    under("broken", settings)
    settings["tenants"]["globex"]["accounts"]["psp-main"]["provider"] = "psp_opan_api"


def mended(settings: dict[str, Any]) -> None:
    """Undo the mistake."""
    settings["tenants"]["globex"]["accounts"]["psp-main"]["provider"] = "psp_open_api"


async def reload_under_load(folder: Path, reloads: int) -> Figures:
    """Run the gateway, the load and so many reloads; every third file is broken."""

    def change(settings: dict[str, Any]) -> None:
        with_operator(settings)
        under(VERSIONS[0], settings)

    figures = Figures()
    async with running_stack(folder, change=change) as stack:
        done = asyncio.Event()
        clients = [asyncio.create_task(_pay(stack, done, figures)) for _ in range(CLIENTS)]
        for number, version in zip(range(reloads), itertools.cycle([*reversed(VERSIONS), None]), strict=False):
            await _pay_once(stack, figures)
            await (_load(stack, version, figures) if version else _refuse(stack, number, figures))
        done.set()
        await asyncio.gather(*clients)
        for sent in await stack.provider_requests("psp"):
            _judge(json.loads(sent["body"]), figures)
    return figures


async def _pay(stack: GatewayStack, done: asyncio.Event, figures: Figures) -> None:
    while not done.is_set():
        await _pay_once(stack, figures)


async def _pay_once(stack: GatewayStack, figures: Figures) -> None:
    reply = await stack.create(psp_body())
    if reply.status != 201:
        figures.findings.append(f"a create was answered {reply.status}: {reply.text}")


async def _load(stack: GatewayStack, version: str, figures: Figures) -> None:
    await asyncio.to_thread(rewrite, stack.folder, lambda settings: (mended(settings), under(version, settings)))
    answer = await admin(stack, "POST", "/admin/v1/reload")
    now = await config(stack)
    if answer.status != 200 or now != {**answer.json, "problems": []}:
        figures.findings.append(f"a good file: {answer.status} {answer.text}, status {now}")
    figures.loaded += 1


async def _refuse(stack: GatewayStack, number: int, figures: Figures) -> None:
    before = await config(stack)
    await asyncio.to_thread(rewrite, stack.folder, broken)
    answer = await admin(stack, "POST", "/admin/v1/reload")
    now = await config(stack)
    said = answer.json["errors"][0]["message"] if answer.status == 422 else ""
    is_told = said.startswith("settings.yaml:") and "tenant globex: accounts.psp-main.provider" in said
    if not is_told or now != {**before, "problems": [said]}:
        figures.findings.append(f"broken file {number}: {answer.status} {answer.text}, status {now}")
    figures.refused += 1


def _judge(body: dict[str, Any], figures: Figures) -> None:
    """Both what a version renames and what it adds are in the body, and nothing of another version."""
    made_by = {name.removeprefix("sum_") for name in body if name.startswith("sum_")} | {body.get("channel")}
    if len(made_by) != 1 or not made_by <= set(VERSIONS):
        figures.findings.append(f"a payment was made by {made_by}: {body}")
    figures.payments.update(made_by & set(VERSIONS))
