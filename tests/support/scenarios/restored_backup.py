"""Clients of a gateway that loses its memory: they pay, ship, change and refund, keep a journal, and repeat it all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.support.scenarios.creditkey import total_of
from tests.support.stack import GatewayStack, Reply, creditkey_body, new_key

CHANGES = {
    "update": ("PATCH", "", total_of("1100.00")),
    "capture": ("POST", "/capture", {}),
    "cancel": ("POST", "/cancel", {}),
    "refund 10": ("POST", "/refunds", {"amount": "10.00"}),
    "refund 20": ("POST", "/refunds", {"amount": "20.00"}),
}
PLOTS: tuple[tuple[bool, tuple[str, ...]], ...] = (
    (True, ("capture", "refund 10", "refund 20")),
    (False, ()),
    (True, ("update", "capture")),
    (False, ("cancel",)),
    (True, ("capture", "refund 20")),
    (True, ("cancel",)),
)
"""Whether the customer accepts, and what the tenant asks then."""

LOOKS = 50
"""How often a client looks whether an open operation has found its outcome."""


class Asked(NamedTuple):
    """One request for a change, under its key."""

    what: str
    key: str


class JournalEntry:
    """One payment's life, as its tenant's journal tells it."""

    def __init__(self) -> None:
        self.body = creditkey_body()
        self.key = new_key()
        self.changes: list[Asked] = []


class Client:
    """A tenant's program that lives one story after the other."""

    def __init__(self, stack: GatewayStack, number: int) -> None:
        self.stack = stack
        self.number = number
        self.journal: list[JournalEntry] = []

    async def live(self, is_over: asyncio.Event) -> None:
        """Live until told to stop."""
        while not is_over.is_set():
            accepts, changes = PLOTS[(self.number + len(self.journal)) % len(PLOTS)]
            entry = JournalEntry()
            self.journal.append(entry)
            created = await self.stack.create(entry.body, key=entry.key)
            assert created.status == 201, created.text
            if accepts:
                await self.stack.visit(await self.stack.approve(created.json))
            for what in changes:
                entry.changes.append(Asked(what, new_key()))
                reply = await self.change(created.json["id"], entry.changes[-1])
                assert reply.status < 300, reply.text

    async def repeat(self) -> Counter[str]:
        """Ask for everything again under the same keys; what the answers were. Lost payments go by their new ids."""
        answers: Counter[str] = Counter()
        for entry in self.journal:
            created = await self.ask("POST", "/v1/payments", entry.body, entry.key)
            answers[f"create {created.status}"] += 1
            await self.resolved(created.json["id"])
            for asked in entry.changes:
                reply = await self.change(created.json["id"], asked)
                answers[f"{asked.what} {reply.json.get('code', reply.status)}"] += 1
        return answers

    async def change(self, payment_id: str, asked: Asked) -> Reply:
        """Ask for one change."""
        method, below, body = CHANGES[asked.what]
        return await self.ask(method, f"/v1/payments/{payment_id}{below}", body, asked.key)

    async def ask(self, method: str, path: str, body: Mapping[str, Any], key: str) -> Reply:
        """Send a request, and again where the first one still runs."""
        while (reply := await self.stack.call(method, path, body, key=key)).json.get("code") == "request_in_progress":
            pass
        return reply

    async def resolved(self, payment_id: str) -> None:
        """Give an open operation time for its lookup; one that no order fits stays open."""
        for _ in range(LOOKS):
            if (await self.stack.payment(payment_id))["pending_operation"] is None:
                break
            await asyncio.sleep(0.02)


def doubled(orders: list[Any]) -> list[str]:
    """What of a ledger happened more often than it was asked for."""
    begun = Counter(order["remote_id"] for order in orders)
    found = [f"{reference} begun {times} times" for reference, times in begun.items() if times > 1]
    for order in orders:
        effects = Counter((event["event"], event.get("amount")) for event in order["history"])
        found += [
            f"{order['id']} {effect} {times} times"
            for effect, times in effects.items()
            if times > 1 and effect[0] in ("confirmed", "canceled", "refunded", "updated", "completed")
        ]
    return found
