"""Log lines that every request has, written a batch at a time: made and written together they cost a request little.

The first line of a batch starts a timer, which writes all that came since. A process that is killed loses at most the
lines of its last ``FLUSH_SECONDS``; one that ends by itself, even by a fault, loses none.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TextIO

from gateway.drivers.log_throttle import GATEWAY_LOGGER

FLUSH_SECONDS = 0.05
"""How long a line may wait for others."""


class _Waiting(NamedTuple):
    """What a line will say. ``at``: Unix seconds."""

    at: float
    message: str
    fields: Mapping[str, object]


class BatchedLines(logging.StreamHandler[TextIO]):
    """Writes lines to a stream in the order they came.

    A record is written at once, with all that waits before it. So is everything where no event loop runs. ``logging``
    flushes what is left when the process ends.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._waiting: list[_Waiting] = []

    def take(self, message: str, fields: Mapping[str, object]) -> None:
        """Let a line of the gateway at level info wait for others."""
        self.acquire()  # another thread may be writing what waits
        self._waiting.append(_Waiting(time.time(), message, fields))
        self.release()
        if not self._is_flushed_later():
            self.flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record. ``handle``, which calls this, holds the lock."""
        self.flush()
        self._write([record])

    def flush(self) -> None:
        """Write every line that waits."""
        self.acquire()
        try:
            waiting, self._waiting = self._waiting, []
            self._write(record for record in map(_record, waiting) if self.filter(record))
        finally:
            self.release()

    def _write(self, records: Iterable[logging.LogRecord]) -> None:
        """Write records. What cannot be written is gone: a full disk must not fill the memory."""
        with contextlib.suppress(OSError, ValueError):  # ValueError: the stream is closed
            self.stream.write("".join(map(self._line, records)))
            self.stream.flush()

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


def _record(line: _Waiting) -> logging.LogRecord:
    record = logging.LogRecord(GATEWAY_LOGGER, logging.INFO, "", 0, line.message, (), None)
    record.created = line.at
    vars(record).update(line.fields)
    return record
