"""Deadlines of one length: they end in the order in which they began, so one timer of the event loop serves all.

Nearly all are canceled before they end. A timer for each would be made, sorted into the loop's heap and discarded
again, which costs a payment more than some of its writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T", bound=Hashable)


class Deadlines(Generic[T]):
    """Calls ``passed`` with whatever has been here for ``seconds``. Used in one event loop."""

    def __init__(self, seconds: float, passed: Callable[[T], None]) -> None:
        self._seconds, self._passed = seconds, passed
        self._until: dict[T, float] = {}  # in the order of time
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._until)

    def enter(self, one: T) -> None:
        """Begin a deadline. What is here already must leave first."""
        loop = asyncio.get_running_loop()
        self._until[one] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._look)

    def leave(self, one: T) -> None:
        """End a deadline before it passes; no matter if it has."""
        self._until.pop(one, None)

    def oldest(self) -> T:
        """What has been here the longest."""
        return next(iter(self._until))

    def close(self) -> None:
        """Let all pass now."""
        while self._until:
            self._pass(self.oldest())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """Let those pass whose time is over; come back when the next one's is."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        try:
            while self._until and self._until[self.oldest()] <= now:
                self._pass(self.oldest())
        finally:  # one that fails keeps no other from passing
            self._timer = loop.call_at(self._until[self.oldest()], self._look) if self._until else None

    def _pass(self, one: T) -> None:
        self.leave(one)
        self._passed(one)


class DeadlinesByLength(dict[float, Deadlines[T]]):
    """Deadlines of any length: ``deadlines[seconds]``. For the few lengths that settings know."""

    def __init__(self, passed: Callable[[T], None]) -> None:
        super().__init__()
        self._passed = passed

    def __missing__(self, seconds: float) -> Deadlines[T]:
        made = self[seconds] = Deadlines(seconds, self._passed)
        return made


class TimeLimit:
    """``with TimeLimit() as limit``: ``limit.pass_by()`` ends what the task awaits there, with ``TimeoutError``.

    As ``asyncio.timeout`` does, which has a timer of its own and costs each call five times as much.
    """

    __slots__ = ("_cancelled_before", "_has_passed", "_task")

    def __init__(self) -> None:
        self._task: asyncio.Task[object] | None = None
        self._has_passed = False

    def pass_by(self) -> None:
        """End it, unless it has ended."""
        if self._task is not None and not self._has_passed:
            self._has_passed = True
            self._task.cancel()

    def __enter__(self) -> Self:
        self._task = task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline can be set only in a task")
        self._cancelled_before = task.cancelling()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        task, self._task = self._task, None
        if self._has_passed and task is not None:
            is_ours = task.uncancel() <= self._cancelled_before  # else somebody else has cancelled the task as well
            if is_ours and kind is asyncio.CancelledError:
                raise TimeoutError from error
