"""Log lines that every request has, written a batch at a time: one system call for many costs a request little.

The first line of a batch starts a timer, which writes all that came since. A process that is killed loses at most the
lines of its last ``FLUSH_SECONDS``; one that ends by itself, even by a fault, loses none.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TextIO

FLUSH_SECONDS = 0.05
"""How long a line may wait for others."""


class FrequentRecord(logging.LogRecord):
    """A record whose line may wait for others."""


class BatchedLines(logging.StreamHandler[TextIO]):
    """Writes lines to a stream in the order they came.

    All but a ``FrequentRecord`` are written at once, with those that wait before them, and so is everything where no
    event loop runs. ``logging`` flushes what is left when the process ends.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._waiting: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take one record. ``handle``, which calls this, holds the lock."""
        self._waiting.append(record)
        if not isinstance(record, FrequentRecord) or not self._is_flushed_later():
            self.flush()

    def flush(self) -> None:
        """Write a line for every record that waits: made together, they cost a fraction of what one alone does.

        What cannot be written is gone: a full disk must not fill the memory.
        """
        self.acquire()  # the store's threads log too
        try:
            records, self._waiting = self._waiting, []
            with contextlib.suppress(OSError, ValueError):  # ValueError: the stream is closed
                self.stream.write("".join(map(self._line, records)))
                self.stream.flush()
        finally:
            self.release()

    def _line(self, record: logging.LogRecord) -> str:
        try:
            return f"{self.format(record)}\n"
        except Exception:  # as every handler: a line that cannot be made breaks nothing else
            self.handleError(record)
            return ""

    def _is_flushed_later(self) -> bool:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        if len(self._waiting) == 1:
            loop.call_later(FLUSH_SECONDS, self.flush)
        return True
