"""Deadlines of a call that pass in the very turn of the event loop in which it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from gateway.core.errors import OutcomeUnknown
from gateway.core.wire import HttpRequest, HttpResponse
from gateway.drivers.sender.connection_slots import ConnectionSlots
from gateway.drivers.sender.request import Target
from gateway.drivers.sender.sender import Progress, Sender

REQUEST = HttpRequest(method="GET", url="http://127.0.0.1/")
ANSWER = HttpResponse(status=200)


class Steps:
    """A transport whose connection and answer come when the test says so."""

    def __init__(self) -> None:
        self.connected, self.answered = asyncio.Event(), asyncio.Event()
        self.progress: Progress

    async def exchange(self, _: HttpRequest, __: Target, progress: Progress, ___: object = None) -> HttpResponse:
        self.progress = progress
        await self.connected.wait()
        progress.written()
        await self.answered.wait()
        return ANSWER

    async def close(self) -> None:
        pass


async def begun() -> tuple[Steps, asyncio.Task[HttpResponse]]:
    """A call that waits for its connection."""
    steps = Steps()
    sender = Sender(steps, ConnectionSlots(10), allow_private=True)
    call = asyncio.create_task(sender.send(REQUEST, total=60, connect=30, owner="shop/psp"))
    await asyncio.sleep(0)
    return steps, call


async def test_a_connection_made_in_its_last_moment_is_used() -> None:
    """The request goes out in the turn in which the time to connect ends: it is not cut off after it went out."""
    steps, call = await begun()
    steps.connected.set()
    steps.progress.late_to_connect()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    steps.answered.set()
    assert await call == ANSWER


async def test_an_answer_in_its_last_moment_counts() -> None:
    """It is known what became of the call."""
    steps, call = await begun()
    steps.connected.set()
    await asyncio.sleep(0)
    steps.answered.set()
    steps.progress.late()
    assert await call == ANSWER


@pytest.mark.parametrize(
    "order", [(Progress.late, Progress.late_to_connect), (Progress.late_to_connect, Progress.late)]
)
async def test_a_call_ends_although_both_deadlines_pass_while_it_goes_out(
    order: tuple[Callable[[Progress], None], ...],
) -> None:
    """An event loop that was held up sees all of it in one turn."""
    steps, call = await begun()
    steps.connected.set()
    for passes in order:
        passes(steps.progress)
    with pytest.raises(OutcomeUnknown, match="timeout"):
        await asyncio.wait_for(call, 3)
