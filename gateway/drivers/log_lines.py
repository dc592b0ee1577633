"""Log lines that every request has, written a batch at a time: made and written together they cost a request little.

The first line of a batch starts a timer, which writes all that came since. A process that is killed loses at most the
lines of its last ``FLUSH_SECONDS``; one that ends by itself, even by a fault, loses none.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TextIO

FLUSH_SECONDS = 0.05
"""How long a line may wait for others."""

Line = Callable[[], str]


class BatchedLines(logging.StreamHandler[TextIO]):
    """Writes lines to a stream in the order they came.

    A record is written at once, with all that waits before it. So is everything where no event loop runs. ``logging``
    flushes what is left when the process ends.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._waiting: list[Line] = []
        self.turn: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext
        """Entered for each write; where several processes write to the stream it is ``taking_turns``."""

    def take(self, line: Line) -> None:
        """Let a line wait for others; ``line`` makes its text when it is written, and nothing filters it."""
        self.acquire()  # another thread may be writing what waits
        self._waiting.append(line)
        self.release()
        if not self._is_flushed_later():
            self.flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record. ``handle``, which calls this, holds the lock."""
        self._waiting.append(functools.partial(self.format, record))
        self.flush()

    def flush(self) -> None:
        """Write every line that waits. What cannot be written is gone: a full disk must not fill the memory."""
        self.acquire()
        try:
            waiting, self._waiting = self._waiting, []
            with contextlib.suppress(OSError, ValueError), self.turn():  # ValueError: the stream is closed
                self.stream.write("".join(map(_text, waiting)))
                self.stream.flush()
        finally:
            self.release()

    def _is_flushed_later(self) -> bool:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        if len(self._waiting) == 1:
            loop.call_later(FLUSH_SECONDS, self.flush)
        return True


@contextlib.contextmanager
def taking_turns(lock: int) -> Iterator[None]:
    """Hold a lock that one process has at a time: a write of more bytes than a pipe has room for is not one piece.

    ``lock``: an open file, inherited by all of them. A process that is killed gives it back.
    """
    fcntl.lockf(lock, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.lockf(lock, fcntl.LOCK_UN)


def _text(line: Line) -> str:
    try:
        return f"{line()}\n"
    except Exception:  # as with every handler: a line that cannot be made breaks nothing else
        return ""
