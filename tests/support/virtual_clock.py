"""A clock that moves only when a test says so."""

from __future__ import annotations

import asyncio
import heapq
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TURNS = 10
"""Of the event loop, in which a task that was woken does what needs no I/O."""


class VirtualClock:
    """``now()`` is what was set; ``sleep()`` ends when the clock is advanced past its date. No real time passes."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> datetime:
        """The time that was set."""
        return self._now

    def set(self, now: datetime) -> None:
        """Set the time, also backwards, and wake nobody."""
        self._now = now

    @property
    def sleeping(self) -> int:
        """How many sleeps are waiting."""
        return sum(not future.done() for _, _, future in self._sleepers)

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock stands at or after now + ``seconds``."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._now + timedelta(seconds=seconds), self._count, future))
        await future

    async def advance(self, seconds: float) -> None:
        """Move to now + ``seconds`` by way of every date somebody sleeps to, earliest first.

        Each woken task gets a few turns of the loop, so a sleep that it begins inside the window is kept as well;
        what waits for real I/O in between has to be awaited by the test.
        """
        end = self._now + timedelta(seconds=seconds)
        await _let_others_run()
        while self._sleepers and self._sleepers[0][0] <= end:
            date, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                self._now = max(self._now, date)
                future.set_result(None)
                await _let_others_run()
        self._now = end


async def _let_others_run() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)
