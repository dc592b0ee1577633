"""A process of the gateway: its tasks die with it, and no task of a dead process passes a boundary."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any

from gateway.core import ids
from tests.simulation.environment import Environment

_RUNS_IN: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)

LAG: contextvars.ContextVar[float] = contextvars.ContextVar("lag", default=0.0)
"""Maximum seconds that each read takes in this context: some requests are slow from beginning to end."""

CRASH_WEIGHTS = {"commit": 2.0, "committed": 3.0, "send": 1.0, "sent": 3.0, "sleep": 0.2, "answer": 2.0, "read": 0.1}
"""Relative probability of a crash at each boundary; highest right after something was done."""


CLOCK_ERRORS = (0, 0, 0, 0, 2, -2)
"""Seconds by which a process's clock may be wrong. Twice that is less than the slack of ``quiet_period``."""


class Process:
    """Alive until ``crash`` or ``end``; ``died`` is done from then on."""

    def __init__(self, env: Environment, number: int) -> None:
        self.env = env
        self.number = number
        self.alive = True
        self.ended_at: float | None = None
        self.died: asyncio.Future[None] = env.loop.create_future()
        self._dice = env.dice(f"process {number}")
        self._tasks: list[asyncio.Task[Any]] = []
        self._context = contextvars.Context()
        self._context.run(_RUNS_IN.set, self)

    def spawn(self, work: Coroutine[Any, Any, Any], *, lag: float = 0.0) -> asyncio.Task[Any]:
        """Run a task in this process; it and the tasks it starts die with the process. ``lag``: see ``LAG``."""
        context = self._context.copy()
        context.run(LAG.set, lag)
        return self.env.loop.create_task(work, context=context)

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Register a task of this process."""
        self._tasks.append(task)

    def boundary(self, name: str) -> None:
        """Pass a boundary, or crash here. Raises ``CancelledError`` in a dead process."""
        rates = self.env.rates
        may_crash = self.alive and self.env.figures["crashes"] < rates.crashes
        if may_crash and self._dice.random() < rates.crash * CRASH_WEIGHTS[name]:
            self.crash(f"at {name}")
        if not self.alive:
            raise asyncio.CancelledError

    def crash(self, why: str) -> None:
        """Crash: no task of this process runs any further."""
        if not self.alive:
            return
        self.env.note(f"p{self.number} dies {why}")
        self.env.figures["crashes"] += 1
        self.end()

    def end(self) -> None:
        """Mark the process as dead and cancel its tasks."""
        self.alive = False
        self.ended_at = self.ended_at or self.env.loop.time()
        if not self.died.done():
            self.died.set_result(None)
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()


def running_process() -> Process:
    """Return the process whose task runs now."""
    process = _RUNS_IN.get()
    assert process is not None
    return process


def run_tasks_in_processes(env: Environment) -> None:
    """Register every task with the process that started it."""

    def factory(loop: Any, work: Coroutine[Any, Any, Any], context: Any = None) -> asyncio.Task[Any]:
        task = asyncio.Task(work, loop=loop, context=context)
        process = _RUNS_IN.get() if context is None else context.get(_RUNS_IN)
        if process is not None:
            process.adopt(task)
            if not process.alive:
                task.cancel()
        return task

    env.loop.set_task_factory(factory)  # type: ignore[arg-type]  # the context is given since 3.11


class Clock:
    """The clock of one process. Between two processes the machine's clock may be set, even backwards."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._ahead = timedelta(seconds=process.env.dice(f"clock {process.number}").choice(CLOCK_ERRORS))

    def now(self) -> datetime:
        """Virtual time, as this process sees it."""
        return self._process.env.now() + self._ahead

    async def sleep(self, seconds: float) -> None:
        """Wait in virtual time."""
        await asyncio.sleep(seconds)
        self._process.boundary("sleep")


class Ids:
    """Ids of one process: time-ordered like the real ones, with randomness from the seed."""

    def __init__(self, clock: Clock, process: Process) -> None:
        self._clock = clock
        self._dice = process.env.dice(f"ids {process.number}")
        self._last = 0

    def new(self, prefix: str) -> str:
        """The next id."""
        milliseconds = int(self._clock.now().timestamp() * 1000)
        self._last = max(self._last + 1, milliseconds << 12)
        randomness = int.from_bytes(self._dice.randbytes(8), "big")
        return ids.time_ordered(prefix, self._last >> 12, self._last & 0xFFF, randomness)
