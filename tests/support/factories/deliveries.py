"""Parts for the tests of webhooks: a clock, what became of a payment's webhooks, what arrived."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from gateway.drivers.settings import Clocks
from gateway.drivers.store.deliveries import DeliveryRow
from tests.support.stack import GatewayStack, psp_body
from tests.support.virtual_clock import VirtualClock

SCHEDULE = [pause.total_seconds() for pause in Clocks().webhook_retry]
LATE = 1.21
"""The part of a pause after which the next try is due, however it was spread."""
DAY = 86400.0


def a_clock() -> VirtualClock:
    """A clock that starts now, as the reference library compares with the real time."""
    return VirtualClock(datetime.now(UTC))


async def rows_when(
    stack: GatewayStack, payment_id: str, holds: Callable[[list[DeliveryRow]], bool]
) -> list[DeliveryRow]:
    """The payment's webhooks, as soon as they are so."""
    async with asyncio.timeout(10):
        while True:
            rows = await stack.gateway.store.deliveries.of_payment("acme", payment_id)
            if holds(rows):
                return rows
            await look(stack)


async def look(stack: GatewayStack) -> None:
    """Let the worker look at the clock, which a test may have moved while it was reading, and do what is due."""
    stack.gateway.webhook_timers["acme"].no_later_than(0)
    for _ in range(3):
        await stack.gateway.store.prove_writable(datetime.now(UTC))  # a write waits for those before it


async def first_tried(stack: GatewayStack, payment_id: str, times: int = 1) -> DeliveryRow:
    """The webhook of the payment's creation, once it was tried so often."""
    rows = await rows_when(stack, payment_id, lambda rows: bool(rows) and len(rows[0].attempts) >= times)
    assert len(rows[0].attempts) == times
    return rows[0]


def tries_of(stack: GatewayStack, event_id: str) -> list[tuple[str, bytes]]:
    """(webhook-id, body) of every try of one event that arrived."""
    return [
        (headers["webhook-id"], body)
        for _, headers, body in stack.webhook_attempts
        if headers["webhook-id"] == event_id
    ]


def pause_of(row: DeliveryRow) -> float:
    """Seconds between the last try and the next."""
    assert row.next_attempt_at is not None
    last = datetime.fromisoformat(row.attempts[-1]["at"])
    return row.next_attempt_at / 1000 - last.timestamp()


def seconds_until(clock: VirtualClock, row: DeliveryRow) -> float:
    """How long it is until the next try is due."""
    assert row.next_attempt_at is not None
    return row.next_attempt_at / 1000 - clock.now().timestamp()


async def created(stack: GatewayStack) -> Any:
    return (await stack.create(psp_body())).json


class Held:
    """An endpoint that keeps what arrives waiting: (payment id, version) of each, until ``release``."""

    def __init__(self, holds: Callable[[Any], bool] = lambda _: True) -> None:
        self.arrived: list[tuple[str, int]] = []
        self.at_once = self.most_at_once = 0
        self._holds = holds
        self._released = asyncio.Event()

    async def answer(self, request: web.Request) -> int:
        payment = json.loads(await request.read())["data"]["payment"]
        self.arrived.append((payment["id"], payment["version"]))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        if self._holds(payment):
            await self._released.wait()
        self.at_once -= 1
        return 204

    def release(self) -> None:
        self._released.set()


async def until(stack: GatewayStack, holds: Callable[[], bool]) -> None:
    """Let the gateway work until it is so."""
    async with asyncio.timeout(10):
        while not holds():
            await look(stack)
