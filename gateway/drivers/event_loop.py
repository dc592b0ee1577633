"""The event loop of a server: asyncio's own, with a shorter way for what each request does many times.

asyncio asks for its debug mode, by a method in Python, whenever it makes a future or hands a callback to the loop, and
once more on the way: a payment calls it fifteen times. This loop has no debug mode.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class EventLoop(asyncio.SelectorEventLoop):
    """asyncio's loop over a selector. What is handed to it by its own thread after it was closed is never run."""

    get_debug = staticmethod(bool)  # False, like ``time`` without a frame of Python
    time = staticmethod(time.monotonic)
    _ready: Any

    def __init__(self) -> None:
        super().__init__()
        self.create_future = functools.partial(asyncio.Future, loop=self)  # type: ignore[method-assign]

    def call_soon(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Run a callback in the loop's next turn."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle


def run(main: Coroutine[Any, Any, T]) -> T:
    """As ``asyncio.run``, on this loop."""
    with asyncio.Runner(loop_factory=EventLoop) as runner:
        return runner.run(main)
