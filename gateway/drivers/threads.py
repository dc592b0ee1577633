"""Work on other threads than the event loop's, and how its result comes back."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")

Work = Callable[[], None]


class WorkThread:
    """Does what it is given, in the order in which it came.

    An executor of one thread would do, but makes a future, takes two locks and counts idle threads for each piece: a
    commit that wakes an idle thread is answered 50 us earlier without.
    """

    def __init__(self, name: str) -> None:
        self._work: SimpleQueue[Work | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def do(self, work: Work) -> None:
        """Do this when all before it is done. It must not raise."""
        self._work.put(work)

    def close(self) -> None:
        """Wait until all is done, and end."""
        self._work.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()


async def result_of(work: Callable[[], T], start: Callable[[Work], None]) -> T:
    """Have ``start`` do work on another thread; return what it returns, or raise what it raises.

    A caller that is cancelled waits no longer; the work goes on.
    """
    done: concurrent.futures.Future[T] = concurrent.futures.Future()
    done.set_running_or_notify_cancel()  # else it could be cancelled, and could not be settled then
    start(partial(_settle, done, work))
    return await asyncio.wrap_future(done)


def _settle(done: concurrent.futures.Future[T], work: Callable[[], T]) -> None:
    try:
        done.set_result(work())
    except Exception as problem:  # an error that is not set on the future would leave its caller waiting
        done.set_exception(problem)
