"""A clock that runs like the machine's and can be moved ahead, so that days can be tried in a second."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta

from gateway.drivers.clock import SystemClock


class MovableClock(SystemClock):
    """The machine's clock, ``ahead`` of it by what it was moved. A sleep ends at once if the clock is moved past it."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)
        self._moved = asyncio.Event()

    def now(self) -> datetime:
        """The time, aware, in UTC."""
        return super().now() + self.ahead

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock shows ``seconds`` more, by itself or because it was moved."""
        until = self.now() + timedelta(seconds=seconds)
        await asyncio.sleep(0)
        while (left := (until - self.now()).total_seconds()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), left)

    def advance(self, by: timedelta) -> None:
        """Move the clock ahead. Raises ``ValueError`` for a step back: stored times may not lie in the future."""
        if by < timedelta(0):
            raise ValueError("the clock is only moved ahead")
        self.ahead += by
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
