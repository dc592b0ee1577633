"""A process that runs until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Callable, Iterator
from types import FrameType

COLLECT_AFTER = 20_000
"""Allocations between two young collections: a request makes thousands of objects and leaves none behind."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def stop_signal() -> Iterator[asyncio.Event]:
    """Give an event that SIGTERM and SIGINT set, for the time of the block. A second one during the stop is harmless.

    Plain handlers, not the loop's: those are gone before the process is. Once the block has ended well both signals
    are ignored to the very end; after an error they end the process again.
    """
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def told(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop.set)

    _handle(told)
    try:
        yield stop
    except BaseException:
        _handle(signal.SIG_DFL)
        raise
    _handle(signal.SIG_IGN)


def settle_memory() -> None:
    """Take what was loaded at start out of every later collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)


def _handle(action: Callable[[int, FrameType | None], object] | signal.Handlers) -> None:
    for number in _SIGNALS:
        signal.signal(number, action)
