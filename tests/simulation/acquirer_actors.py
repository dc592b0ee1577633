"""The actors at the acquirer: customers, the decision about each refund, and the sender of events."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import msgspec

from gateway.core.wire import Callback
from gateway.drivers.settings import AccountEntry
from tests.simulation.cluster import Cluster
from tests.simulation.environment import Environment
from tests.simulation.fake_acquirer import KEY, CardPayment, Entry, FakeAcquirer
from tests.simulation.network import JSON

MAX_TRIES = 120
"""Maximum attempts to deliver an event."""


class AcquirerActors:
    """``happened`` is called for each operation; ``visit`` sends a customer to a page."""

    def __init__(self, env: Environment, entry: AccountEntry) -> None:
        self._env = env
        self._entry = entry
        self._events = 0
        self._seen: set[str] = set()
        self.deployment: Cluster
        self.ledger: FakeAcquirer

    def happened(self, payment: CardPayment, entry: Entry) -> None:
        """Report an operation, before or after its reply arrives; decide later about a refund."""
        dice = self._env.dice(f"entry {entry.key}")
        if entry.kind == "refund":
            self._env.spawn(self._decide(payment, entry, dice))
        elif entry.kind != "create" and dice.random() < 0.5:
            self._tell(payment, entry, dice)

    def visit(self, url: str) -> None:
        """Send the customer to a page."""
        payment = next(one for one in self.ledger.payments.values() if one.url == url)
        if url not in self._seen:
            self._seen.add(url)
            self._env.spawn(self._pay(payment, self._env.dice(f"cardholder {payment.reference}")))

    async def _pay(self, payment: CardPayment, dice: Random) -> None:
        await asyncio.sleep(dice.uniform(0, 60))
        if payment.stage == "awaiting_customer" and dice.random() < 0.95:
            payment.stage = "authorized" if dice.random() < 0.95 else "failed"
            self._env.note(f"{payment.payment_id} is {payment.stage}")
            self._send(payment, self.ledger.shown(payment), dice)

    async def _decide(self, payment: CardPayment, entry: Entry, dice: Random) -> None:
        """A refund succeeds or fails; one that succeeded may fail after all."""
        await asyncio.sleep(dice.choice((0.0, 0.0, dice.uniform(0, 5), dice.uniform(5, 60))))
        self._move(payment, entry, "done" if dice.random() < 0.85 else "failed", dice)
        if entry.status == "done" and dice.random() < 0.2:
            await asyncio.sleep(dice.uniform(0, 100))
            self._move(payment, entry, "reversed", dice)

    def _move(self, payment: CardPayment, entry: Entry, status: str, dice: Random) -> None:
        self._env.note(f"refund {entry.key} is {status}")
        self._env.figures[f"acquirer {status}"] += 1
        entry.status = status
        if status == "reversed" or dice.random() < 0.7:
            self._tell(payment, entry, dice)

    def _tell(self, payment: CardPayment, entry: Entry, dice: Random) -> None:
        """Report an operation: by our id or by the acquirer's alone; a part with its total or without."""
        said = self.ledger.shown_operation(payment, entry)
        if entry.status != "reversed" and dice.random() < 0.3:
            del said["operation"]
        if entry.kind == "capture" and dice.random() < 0.5:
            said = {**self.ledger.shown(payment), **said}
        self._send(payment, said, dice, told=(entry.key, entry.status))

    def _send(
        self, payment: CardPayment, said: dict[str, Any], dice: Random, *, told: tuple[str, str] | None = None
    ) -> None:
        self._events += 1
        body = msgspec.json.encode({"event": f"ev-{self._events}", **said})
        copies = 2 if dice.random() < 0.3 else 1
        for _ in range(copies):
            self._env.spawn(self._deliver(payment, self._posted(body, KEY), dice, told))
        if dice.random() < self._env.rates.misuse / 2:
            forged = msgspec.json.encode({"event": "FORGED", **said, "stage": "captured"})
            self._env.spawn(self._forge(self._posted(forged, "another key")))

    async def _deliver(self, payment: CardPayment, event: Callback, dice: Random, told: tuple[str, str] | None) -> None:
        """Send an event until it is taken: at once, or so late that others overtake it."""
        await asyncio.sleep(dice.choice((0.0, 0.0, 0.1, 2.0, dice.uniform(5, 60))))
        for number in range(MAX_TRIES):
            answer = await self.deployment.send_callback(self._path, event)
            if answer is not None and answer.status == 200:
                payment.told |= {told} if told is not None else set()
                return
            await asyncio.sleep(dice.uniform(0.5, 1.5) * min(2**number, 60))
        self._env.violated(f"promise 4: an event of {payment.payment_id} was never taken")

    async def _forge(self, event: Callback) -> None:
        answer = await self.deployment.send_callback(self._path, event)
        if answer is not None and answer.status < 300:
            self._env.violated(f"promise 5: a forged event was answered {answer.status}")

    @property
    def _path(self) -> str:
        return f"{self._entry.endpoint_id}/events"

    def _posted(self, body: bytes, key: str) -> Callback:
        return Callback(
            method="POST",
            suffix="events",
            query="",
            headers=(*JSON, ("authorization", key)),
            body=body,
            remote="192.0.2.9",
            received_at=self._env.now(),
        )
