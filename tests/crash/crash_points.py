"""Crash points: events in the traffic at which the gateway can be killed, instead of at times of a clock."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Collection

TRAFFIC_WITHIN = 5.0
"""Seconds to wait for traffic. If none comes a workload hangs, which the final checks report."""


class CrashPoint(enum.StrEnum):
    """An event between the gateway and another party."""

    PROVIDER_RECEIVED = "provider received"
    """A provider has received a request and not executed it yet."""
    PROVIDER_EXECUTED = "provider executed"
    """A provider has executed a request and not answered it yet."""
    CALLBACK_ANSWERED = "callback answered"
    """The gateway has answered a provider's callback."""
    WEBHOOK_RECEIVED = "webhook received"
    """A webhook has arrived and is not answered yet."""
    CLIENT_ANSWERED = "client answered"
    """A client or browser has got its answer, or given up."""


class CrashPoints:
    """Counts crash points. One caller waits at a time."""

    def __init__(self) -> None:
        self._left = 0
        self._kinds = frozenset(CrashPoint)
        self._act: Callable[[], None] = lambda: None

    def reached(self, point: CrashPoint) -> None:
        """Count a crash point; at the one that is waited for, run the planned action at once."""
        if self._left and point in self._kinds:
            self._left -= 1
            if not self._left:
                self._act()

    async def after(
        self, count: int, *, points: Collection[CrashPoint] = tuple(CrashPoint), act: Callable[[], None] = lambda: None
    ) -> None:
        """Wait for ``count`` crash points and run ``act`` at the last one, or after ``TRAFFIC_WITHIN``."""
        reached = asyncio.Event()

        def at_last() -> None:
            act()
            reached.set()

        self._left, self._kinds, self._act = count, frozenset(points), at_last
        try:
            async with asyncio.timeout(TRAFFIC_WITHIN):
                await reached.wait()
        except TimeoutError:
            self._left = 0
            act()
