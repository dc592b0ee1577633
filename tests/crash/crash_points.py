"""What passes between the gateway and the others, so that a moment is chosen by traffic instead of by a clock."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Collection

TRAFFIC_WITHIN = 5.0
"""Seconds that traffic is waited for; where it stands still a story hangs, and that is found at the end."""


class CrashPoint(enum.StrEnum):
    """What passes between the gateway and the others."""

    PROVIDER_RECEIVED = "asked"
    """A far side has received something, and done nothing yet."""
    PROVIDER_EXECUTED = "done"
    """A far side has done it, and answered nothing yet."""
    CALLBACK_ANSWERED = "told"
    """The gateway has answered a provider's callback."""
    WEBHOOK_RECEIVED = "hooked"
    """A webhook has arrived and is not answered yet."""
    CLIENT_ANSWERED = "answered"
    """The gateway has answered a client or a browser, or has lost its patience."""


class CrashPoints:
    """Counts what passes, so that a moment is chosen by traffic instead of by a clock. One waits at a time."""

    def __init__(self) -> None:
        self._left = 0
        self._kinds = frozenset(CrashPoint)
        self._act: Callable[[], None] = lambda: None

    def reached(self, point: CrashPoint) -> None:
        """Something passed; at the beat somebody waits for, what they planned is done on the spot."""
        if self._left and point in self._kinds:
            self._left -= 1
            if not self._left:
                self._act()

    async def after(
        self, count: int, *, points: Collection[CrashPoint] = tuple(CrashPoint), act: Callable[[], None] = lambda: None
    ) -> None:
        """Let so many beats pass and do ``act`` at the last one, or when they did not come in time."""
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
