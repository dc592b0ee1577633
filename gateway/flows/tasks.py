"""Work that runs beside its caller, timers that workers wait for, and how often something is tried again."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from gateway.core.errors import InDoubt, Unavailable
from gateway.drivers.clock import Clock, milliseconds
from gateway.drivers.deadlines import Deadlines, DeadlinesByLength
from gateway.drivers.store.engine import answering, stuck

MAX_CONFLICTS = 100
"""Attempts against other writers. Each lost one means that another writer made progress, so more point to a
fault that a further attempt does not mend."""

T = TypeVar("T")

log = logging.getLogger("gateway")


class Timer:
    """When a worker runs next, in Unix milliseconds."""

    def __init__(self) -> None:
        self.at = 0
        self.moved = asyncio.Event()

    def reset(self, at: int) -> None:
        """Set the next run before the worker reads the store: what it reads may lack what is added from now on."""
        self.moved.clear()
        self.at = at

    def no_later_than(self, at: int) -> None:
        """Bring the next run forward; an earlier one stays."""
        if at < self.at:
            self.at = at
            self.moved.set()


class Timers(defaultdict[str, Timer]):
    """Timers by name. ``added``: set when there is one that was not there before."""

    def __init__(self) -> None:
        super().__init__(Timer)
        self.added = asyncio.Event()

    def __missing__(self, name: str) -> Timer:
        self.added.set()
        return super().__missing__(name)


class Tasks:
    """The work of this process by name. Work that was started ends even when its caller goes away."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._running: dict[str, asyncio.Task[Any]] = {}
        self._waiting: defaultdict[asyncio.Task[Any], list[asyncio.Future[None]]] = defaultdict(list)
        self._deadlines = DeadlinesByLength[asyncio.Future[None]](_resolve)

    def start(self, name: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start work that must end even when its caller goes away; ``drain`` waits for it."""
        task = asyncio.create_task(work, name=name)
        self._running[name] = task
        task.add_done_callback(self._ended)
        return task

    async def finish(self, name: str, work: Coroutine[Any, Any, T]) -> T:
        """Do such work and return its result. In a request ``InDoubt``: the store fails, or keeps it waiting."""
        if answering.get() is not asyncio.current_task():
            return await self.start(name, work)
        over = asyncio.Event()
        stuck.set(over)
        task = self.start(name, work)
        task.add_done_callback(lambda _: over.set())
        await over.wait()
        if not task.done() or isinstance(task.exception(), Unavailable):
            raise InDoubt(task)  # what it had begun may have its effect
        return await task

    def is_running(self, name: str) -> bool:
        """Whether the named work runs in this process."""
        return name in self._running

    async def wait_for(self, name: str, seconds: float) -> None:
        """Wait until the named work has ended, for at most ``seconds``."""
        task = self._running.get(name)
        if task is not None:
            await self.result_of(task, seconds)

    async def result_of(self, task: asyncio.Task[T], seconds: float) -> T | None:
        """What work returns within ``seconds``; None where it is not done by then, or failed."""
        if self._running.get(task.get_name()) is task:
            await self._end_of(task, self._deadlines[seconds])
        return task.result() if task.done() and not task.cancelled() and task.exception() is None else None

    async def _end_of(self, task: asyncio.Task[Any], deadline: Deadlines[asyncio.Future[None]]) -> None:
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[task].append(ended)
        deadline.enter(ended)
        try:
            await ended  # every payment waits here: a future is all it needs
        finally:
            deadline.leave(ended)

    async def until(self, event: asyncio.Event, seconds: float) -> None:
        """Wait for an event, for at most ``seconds`` of the gateway's clock."""
        await first_of(event.wait(), self._clock.sleep(seconds))

    async def rest(self, timer: Timer, at: int | None) -> None:
        """Wait for a timer, or until ``at`` (Unix milliseconds) if that is earlier; a timer brought forward ends it."""
        timer.at = timer.at if at is None else min(timer.at, at)
        await self.until(timer.moved, max(0, timer.at - milliseconds(self._clock.now())) / 1000)

    async def drain(self, seconds: float) -> None:
        """Wait for what runs, and for what that starts, for at most ``seconds``."""
        deadline = asyncio.get_running_loop().time() + seconds
        while self._running and (left := deadline - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(set(self._running.values()), timeout=left)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        name = task.get_name()
        if self._running.get(name) is task:
            del self._running[name]
        for waiting in self._waiting.pop(task, ()):
            _resolve(waiting)
        if not task.cancelled() and task.exception() is not None:
            log.error("background work failed", extra={"work": name}, exc_info=task.exception())


def _resolve(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


async def first_of(*waits: Coroutine[Any, Any, Any]) -> None:
    """Wait for one of several things."""
    tasks = [asyncio.ensure_future(one) for one in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def described(fault: Exception) -> dict[str, str]:
    """What the log says of an error that a worker's loop outlives: of a store that is not available why, too."""
    why = {"problem": str(fault)} if isinstance(fault, Unavailable) else {}
    return {"kind": type(fault).__name__, **why}


def backoff(max_seconds: float) -> Iterator[float]:
    """Seconds between attempts at something that fails: one, then twice the last, up to ``max_seconds``."""
    pause = 1.0
    while True:
        yield pause
        pause = min(2 * pause, max_seconds)


class ConflictRetry:
    """Counts how often another writer was first: the loser tries again, but not indefinitely."""

    def __init__(self) -> None:
        self._lost = 0

    def lost(self) -> None:
        """Try again. Raises ``Unavailable``, which is safe to retry, after too many conflicts."""
        self._lost += 1
        if self._lost == MAX_CONFLICTS:
            raise Unavailable("other writers changed the same rows at every attempt")
