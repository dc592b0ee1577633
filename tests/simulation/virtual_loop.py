"""An event loop whose time is virtual: when nothing is ready it jumps to the next timer. No thread, no socket."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any

MAX_TURNS_AT_ONE_TIME = 50_000
"""Turns without time moving on after which something runs in circles."""

MAX_TURNS = 300_000
"""Turns of a whole history, which takes some ten thousand: beyond them something is busy for nothing."""


class Stuck(Exception):
    """Nothing can happen any more although somebody waits, or much happens and time stands still."""


class VirtualLoop(asyncio.BaseEventLoop):
    """``time()`` is seconds since the history began."""

    def __init__(self) -> None:
        super().__init__()
        self._seconds = 0.0
        self._clock_resolution = 1e-9
        self._selector = _VirtualSelector(self)

    def time(self) -> float:
        """Virtual seconds."""
        return self._seconds

    def reset_counters(self) -> None:
        """Forget how much happened, so that what got stuck can be ended."""
        self._selector.reset_counters()

    def advance(self) -> None:
        """Move to the next timer, exactly."""
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]  # the base class's heap
        self._seconds = max(self._seconds, timers[0].when())

    def _process_events(self, events: Any) -> None:
        """There are none: nothing outside the loop exists."""

    def _write_to_self(self) -> None:
        """Nobody waits in a selector."""


class _VirtualSelector:
    """Stands where a selector would wait for sockets."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.reset_counters()

    def reset_counters(self) -> None:
        """Begin to count at none."""
        self._turns = 0
        self._all_turns = 0

    def select(self, timeout: float | None) -> list[selectors.SelectorKey]:
        """Wait ``timeout`` seconds, which takes no time."""
        if timeout is None:
            raise Stuck("everybody waits for something that will never come")
        if timeout > 0:
            self._turns = 0
            self._loop.advance()
        self._turns += 1
        self._all_turns += 1
        if self._turns > MAX_TURNS_AT_ONE_TIME or self._all_turns > MAX_TURNS:
            raise Stuck(f"much happens and nothing comes of it at {self._loop.time():.3f}")
        return []

    def close(self) -> None:
        """Nothing was opened."""
