"""Token buckets, in memory: a rate refills a bucket, a burst is its size. One ``Buckets`` for each kind of name."""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Callable

from gateway.drivers.settings import Rate

KEPT = 10_000
"""Buckets of one kind that are kept. While none of them is full again, all further names share one."""

SWEEP = 1.0
"""Seconds between two searches for full buckets."""

_SHARED = ""

Clock = Callable[[], float]
"""Seconds that only grow."""


class Buckets:
    """Buckets of one kind, by name. One that is full again says nothing and may be dropped; no other ever is."""

    def __init__(self, clock: Clock = time.monotonic, *, kept: int = KEPT) -> None:
        self._clock = clock
        self._kept = kept
        self._swept = -SWEEP
        self._buckets: dict[str, tuple[float, float, float]] = {}  # tokens, as of when, full when

    def take(self, name: str, rate: Rate, cost: float = 1.0) -> float:
        """Take tokens; 0.0 when there were enough, else none is taken: how many seconds until there are."""
        wait = self.wait(name, rate, cost)
        if not wait:
            self.charge(name, rate, cost)
        return wait

    def wait(self, name: str, rate: Rate, cost: float = 1.0) -> float:
        """How many seconds until so many tokens are there, when nobody else takes any; takes none."""
        return max(0.0, (cost - self._tokens(self._place(name), rate, self._clock())) / rate.per_second)

    def charge(self, name: str, rate: Rate, cost: float = 1.0, *, debt: float = math.inf) -> None:
        """Take tokens, also ones that are not there: they are missing later, at most ``debt`` of them."""
        now, name = self._clock(), self._place(name)
        tokens = max(self._tokens(name, rate, now) - cost, -debt)
        self._buckets[name] = (tokens, now, now + (rate.burst - tokens) / rate.per_second)

    def _tokens(self, name: str, rate: Rate, now: float) -> float:
        tokens, since, _ = self._buckets.get(name, (rate.burst, now, now))
        return min(float(rate.burst), tokens + (now - since) * rate.per_second)

    def _place(self, name: str) -> str:
        """The name itself while there is room for it."""
        if name in self._buckets or len(self._buckets) < self._kept:
            return name
        now = self._clock()
        if now >= self._swept + SWEEP:
            self._swept = now
            self._buckets = {name: bucket for name, bucket in self._buckets.items() if bucket[2] > now}
        return name if len(self._buckets) < self._kept else _SHARED


class Limits:
    """The buckets of callers with a key: of tenants, and of the payments they sync."""

    def __init__(self) -> None:
        self.tenants = Buckets()
        self.syncs = Buckets()


def part_of(rate: Rate, part: float) -> Rate:
    """A part of a rate, with a burst of at least one."""
    return Rate(per_second=rate.per_second * part, burst=max(1, round(rate.burst * part)))


def network_of(address: str | None) -> str:
    """Whose address it is, for a bucket: one of IPv4 is one caller, of IPv6 everybody has 2^64 of the same network."""
    if address is None or ":" not in address:
        return address or "unknown"
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    return str(parsed.ipv4_mapped or ipaddress.IPv6Network((parsed, 64), strict=False))
