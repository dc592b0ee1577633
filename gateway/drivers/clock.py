"""The clock, and ids that sort by time. Nothing else asks for the time or for randomness of ids."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from typing import Protocol

from gateway.core import ids

_COUNTER_LIMIT = 0x1000
_RANDOM_BYTES = 10
_IDS_PER_URANDOM = 64  # one system call for this many ids: each call releases the interpreter lock


EPOCH = datetime.fromtimestamp(0, UTC)
_MILLISECOND = timedelta(milliseconds=1)


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
        self._drawn: list[bytes] = []

    def new(self, prefix: str) -> str:
        """Make the next id under a prefix such as ``pay``: the prefix, ``_``, 32 hex digits."""
        random = self._random()
        self._step(int(self._clock.now().timestamp() * 1000), start=int.from_bytes(random[:2], "big") & 0x7FF)
        return ids.with_prefix(prefix, ids.uuid7(self._milliseconds, self._counter.to_bytes(2, "big") + random[2:]))

    def _random(self) -> bytes:
        if not self._drawn:
            drawn = os.urandom(_RANDOM_BYTES * _IDS_PER_URANDOM)
            self._drawn = [drawn[at : at + _RANDOM_BYTES] for at in range(0, len(drawn), _RANDOM_BYTES)]
        return self._drawn.pop()

    def _step(self, milliseconds: int, *, start: int) -> None:
        if milliseconds > self._milliseconds:
            self._milliseconds, self._counter = milliseconds, start
            return
        self._counter += 1
        if self._counter == _COUNTER_LIMIT:
            self._milliseconds, self._counter = self._milliseconds + 1, start


def milliseconds(at: datetime) -> int:
    """Unix milliseconds, as every time column holds them."""
    return (at - EPOCH) // _MILLISECOND


def optional_milliseconds(at: datetime | None) -> int | None:
    """The same for a time that may be absent."""
    return None if at is None else milliseconds(at)
