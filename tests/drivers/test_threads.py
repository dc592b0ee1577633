"""Work on other threads is done in its order, and what comes of it comes back whatever its caller does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from gateway.drivers.threads import WorkThread, result_of


@pytest.fixture
def thread() -> Iterator[WorkThread]:
    """A thread that ends with the test."""
    made = WorkThread("worker")
    yield made
    made.close()


def test_work_is_done_in_its_order_on_one_thread() -> None:
    """What was handed over is done when the thread has ended, each piece after the one before."""
    thread, done = WorkThread("worker"), list[tuple[int, str]]()

    def work(number: int) -> None:
        done.append((number, threading.current_thread().name))

    for number in range(100):
        thread.do(partial(work, number))
    thread.close()
    assert done == [(number, "worker") for number in range(100)]


async def test_what_work_returns_comes_back(thread: WorkThread) -> None:
    """The result is that of the work, made on the thread."""
    assert (await result_of(threading.current_thread, thread.do)).name == "worker"


async def test_what_work_raises_is_raised(thread: WorkThread) -> None:
    """An error comes to who waits, and the thread does what comes after."""
    with pytest.raises(ZeroDivisionError):
        await result_of(partial(divmod, 1, 0), thread.do)
    assert await result_of(partial(divmod, 7, 2), thread.do) == (3, 1)


async def test_work_goes_on_when_its_caller_is_cancelled(thread: WorkThread) -> None:
    """A caller that goes away while its work runs, or waits, ends neither the work nor the thread."""
    may_end, done = threading.Event(), list[int]()

    def work(number: int) -> None:
        may_end.wait()
        done.append(number)

    callers = [asyncio.create_task(result_of(partial(work, number), thread.do)) for number in range(2)]
    await asyncio.sleep(0)
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)
    may_end.set()
    await result_of(int, thread.do)
    assert all(caller.cancelled() for caller in callers)
    assert done == [0, 1]
