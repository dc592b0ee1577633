"""An event loop whose time is virtual: when nothing is ready it jumps to the next timer. No thread, no socket."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any

MAX_TURNS_AT_ONE_TIME = 50_000
"""Turns of the loop without time passing, after which something is spinning."""

MAX_TURNS = 300_000
"""Turns of a whole history, which normally takes ten thousand: beyond them something is spinning."""


class Stuck(Exception):
    """A deadlock (tasks wait and no timer is set) or a livelock (the loop turns and time stands still)."""


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
        """Reset the counters, so that a stuck history can be cleaned up."""
        self._selector.reset_counters()

    def advance(self) -> None:
        """Move to the next timer, exactly."""
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]  # the base class's heap
        self._seconds = max(self._seconds, timers[0].when())

    def _process_events(self, events: Any) -> None:
        """Do nothing: no sockets exist."""

    def _write_to_self(self) -> None:
        """Do nothing: no selector waits."""


class _VirtualSelector:
    """Replaces the selector: instead of waiting it advances the time."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.reset_counters()

    def reset_counters(self) -> None:
        """Reset both counters."""
        self._turns = 0
        self._all_turns = 0

    def select(self, timeout: float | None) -> list[selectors.SelectorKey]:
        """Wait ``timeout`` virtual seconds, which takes no real time."""
        if timeout is None:
            raise Stuck("deadlock: every task waits for something that will never happen")
        if timeout > 0:
            self._turns = 0
            self._loop.advance()
        self._turns += 1
        self._all_turns += 1
        if self._turns > MAX_TURNS_AT_ONE_TIME or self._all_turns > MAX_TURNS:
            raise Stuck(f"livelock: the loop turns without progress at {self._loop.time():.3f}")
        return []

    def close(self) -> None:
        """Do nothing: nothing was opened."""
