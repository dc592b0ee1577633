"""The worker that keeps the search index: it makes it, keeps it up, and outlives a store that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.core.errors import Unavailable
from gateway.flows import search
from gateway.flows.background.indexing import WHEN_DONE
from gateway.flows.runtime import Gateway
from tests.support.clients.psp_callbacks import new_payment
from tests.support.scenarios.inbox import inbox_stack
from tests.support.stack import GatewayStack
from tests.support.virtual_clock import VirtualClock


@pytest.fixture
async def stack_and_clock(tmp_path: Path) -> AsyncIterator[tuple[GatewayStack, VirtualClock]]:
    """A stack whose workers run by a clock that moves as told."""
    async with inbox_stack(tmp_path) as opened:
        yield opened


async def indexed(gw: Gateway, clock: VirtualClock, event_row: int) -> None:
    """Move the clock until the index has read so far."""
    async with asyncio.timeout(10):
        while True:
            progress = await gw.store.search.progress()
            if progress is not None and progress.event_row >= event_row:
                return
            await clock.advance(WHEN_DONE[False])
            await asyncio.sleep(0.01)  # the store's threads are real


async def test_new_events_are_indexed_after_a_while(stack_and_clock: tuple[GatewayStack, VirtualClock]) -> None:
    """Without anybody searching, also those that come later."""
    stack, clock = stack_and_clock
    gw = stack.gateway
    for _ in range(2):
        await new_payment(stack)
        await indexed(gw, clock, await gw.store.search.last_event_row())
    assert await search.catch_up(gw, 0) == 0


async def test_the_worker_outlives_a_fault(
    stack_and_clock: tuple[GatewayStack, VirtualClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What failed is done the next time."""
    stack, clock = stack_and_clock
    gw, catch_up, failed = stack.gateway, search.catch_up, asyncio.Event()

    async def fails_once(gw: Gateway, batches: int) -> int:
        if not failed.is_set():
            failed.set()
            raise Unavailable("the store cannot be read")
        return await catch_up(gw, batches)

    monkeypatch.setattr(search, "catch_up", fails_once)
    await new_payment(stack)
    await indexed(gw, clock, await gw.store.search.last_event_row())
    assert failed.is_set()
