"""The clock, and ids that sort by time. Nothing else asks for the time or for randomness of ids."""

from __future__ import annotations

import asyncio
import os
import struct
from datetime import UTC, datetime
from typing import Protocol

from gateway.core import ids

_COUNTER_LIMIT = 0x1000
_START = 0x7FF  # a millisecond begins below its half, so that its counter seldom runs out
_NUMBERS_PER_URANDOM = 64  # of eight bytes: each system call releases the interpreter lock
_NUMBERS = struct.Struct(f"{_NUMBERS_PER_URANDOM}Q")


EPOCH = datetime.fromtimestamp(0, UTC)


class Clock(Protocol):
    """Time as flows and workers see it; tests pass one that they move themselves."""

    def now(self) -> datetime:
        """The time, aware, in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The time, aware, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait on the event loop."""
        await asyncio.sleep(seconds)


class Ids:
    """Make ids, each greater than the one before in this process, also when the clock stands still or steps back.

    The 12 bits below the millisecond count within it, from a random start in the lower half; when they are used up
    the id borrows the next millisecond. Source: RFC 9562, 6.2, method 1.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._milliseconds = 0
        self._counter = 0
        self._drawn: list[int] = []

    def new(self, prefix: str) -> str:
        """Make the next id under a prefix such as ``pay``: the prefix, ``_``, 32 hex digits."""
        now = milliseconds(self._clock.now())
        self._counter += 1
        if now > self._milliseconds:
            self._begin(now)
        elif self._counter == _COUNTER_LIMIT:
            self._begin(self._milliseconds + 1)
        number = self._drawn.pop() if self._drawn else self._random()
        return ids.time_ordered(prefix, self._milliseconds, self._counter, number)

    def _begin(self, millisecond: int) -> None:
        self._milliseconds, self._counter = millisecond, self._random() & _START

    def _random(self) -> int:
        if not self._drawn:
            self._drawn.extend(_NUMBERS.unpack(os.urandom(_NUMBERS.size)))
        return self._drawn.pop()


def milliseconds(at: datetime) -> int:
    """Unix milliseconds, as every time column holds them."""
    since = at - EPOCH  # written out: to divide one time by another costs more
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def optional_milliseconds(at: datetime | None) -> int | None:
    """The same for a time that may be absent."""
    return None if at is None else milliseconds(at)
