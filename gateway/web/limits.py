"""Token buckets, in memory: so many requests per second, and a burst."""

from __future__ import annotations

import time

from gateway.drivers.settings import Rate

FORGET_ABOVE = 10_000
"""Buckets kept before the full ones (which say nothing) are dropped."""


class Limits:
    """One bucket per name, refilled by the monotonic clock."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, float]] = {}

    def seconds_until_free(self, name: str, rate: Rate) -> float:
        """Take a token; 0.0 when there was one, else how many seconds until there is."""
        now = time.monotonic()
        tokens, since = self._buckets.get(name, (float(rate.burst), now))
        tokens = min(float(rate.burst), tokens + (now - since) * rate.per_second)
        if tokens < 1:
            self._buckets[name] = (tokens, now)
            return (1 - tokens) / rate.per_second
        if len(self._buckets) > FORGET_ABOVE:
            self._buckets.clear()
        self._buckets[name] = (tokens - 1, now)
        return 0.0
