"""What every part of a history shares: virtual time, seeded randomness, fault rates, the trace and the violations."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
from collections import Counter
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.simulation.faults import NO_FAULTS, FaultRates, draw_rates
from tests.simulation.virtual_loop import VirtualLoop

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Environment:
    """The environment of one history.

    ``dice`` has a random generator per purpose, so that one more draw in one place changes nothing elsewhere.
    """

    def __init__(self, seed: int, loop: VirtualLoop) -> None:
        self.seed = seed
        self.loop = loop
        self.rates: FaultRates = draw_rates(self.dice("weather"))
        self.trace: list[str] = []
        self.violations: list[str] = []
        self.figures: Counter[str] = Counter()
        self.outages: list[tuple[float, float]] = []
        self._context = contextvars.Context()
        self._tasks: list[asyncio.Task[Any]] = []

    def dice(self, purpose: str) -> Random:
        """Return a random generator for one purpose."""
        return Random(f"{self.seed} {purpose}")

    def now(self) -> datetime:
        """Return the virtual time."""
        return START + timedelta(seconds=self.loop.time())

    def end_faults(self) -> None:
        """End all faults."""
        self.note("faults end")
        self.rates = NO_FAULTS

    def note(self, text: str) -> None:
        """Add a line to the trace."""
        self.trace.append(f"{self.loop.time():10.3f} {text}")

    def violated(self, promise: str) -> None:
        """Record a broken invariant."""
        self.note(f"VIOLATION {promise}")
        self.violations.append(f"{self.loop.time():.3f} {promise}")

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something outside the gateway's process: it outlives every crash."""
        task = self.loop.create_task(work, context=self._context.copy())
        self._tasks.append(task)
        return task

    async def idle(self) -> None:
        """Wait until everything spawned has ended, including what it spawned in turn."""
        while left := [task for task in self._tasks if not task.done()]:
            await asyncio.wait(left)
        for task in self._tasks:
            if not task.cancelled() and task.exception() is not None:
                raise task.exception()  # type: ignore[misc]  # a mistake in the simulation itself

    def fingerprint(self) -> str:
        """Return a hash of the trace: equal for equal histories."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()[:16]
