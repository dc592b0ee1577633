"""A process that runs until a signal stops it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Callable, Coroutine, Iterable, Iterator
from types import FrameType
from typing import Any, TypeVar

COLLECT_AFTER = 20_000
"""Allocations between two young collections: a request makes thousands of objects and leaves none behind."""

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""Each of them ends the process cleanly; SIGHUP only where it has no other meaning."""

IGNORED = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO)
"""They mean nothing here, and would end the process at once if nobody took them."""

T = TypeVar("T")


@contextlib.contextmanager
def stop_signal(*, on_hangup: Callable[[], None] | None = None) -> Iterator[asyncio.Event]:
    """Give an event that the signals of ``ENDING`` set, for the time of the block. A second one changes nothing.

    Plain handlers, not the loop's: those are gone before the process is. Once the block has ended well these signals
    are ignored to the very end; after an error they end the process again. With ``on_hangup`` SIGHUP calls that and
    ends nothing; without it SIGHUP stays ignored under ``nohup``.
    """
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    is_nohup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    actions = dict.fromkeys(ENDING, stop.set)
    if on_hangup is not None:
        actions[signal.SIGHUP] = on_hangup
    elif is_nohup:
        del actions[signal.SIGHUP]

    def take(number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(actions[signal.Signals(number)])

    _handle(actions, take)
    _handle(IGNORED, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)  # a worker's are blocked until here
    try:
        yield stop
    except BaseException:
        _handle(actions, signal.SIG_DFL)
        raise
    _handle(actions, signal.SIG_IGN)


async def until_stopped(work: Coroutine[Any, Any, T]) -> T | None:
    """Do ``work``; None when a signal ended it first."""
    with stop_signal() as stop:
        working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            stopping.cancel()
            return working.result()
        working.cancel()
        await asyncio.wait((working,))
        return None


def freeze_startup_memory() -> None:
    """Exempt the objects made at start from garbage collection, and collect less often.

    They are not looked through before: that takes a tenth of a start, and finds next to nothing.
    """
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)


def _handle(
    numbers: Iterable[signal.Signals], action: Callable[[int, FrameType | None], object] | signal.Handlers
) -> None:
    for number in numbers:
        signal.signal(number, action)
