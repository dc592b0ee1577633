"""Rate limits in memory. ``Buckets`` are token buckets by name; ``TenantLimits`` holds what one tenant may take."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import Counter
from collections.abc import Callable, Container

from gateway.core.errors import TenantError
from gateway.drivers.settings import Rate, Tenant

KEPT = 10_000
"""Buckets that one ``Buckets`` keeps. While none of them is full again, all further names share one bucket."""

SWEEP = 1.0
"""Seconds between two searches for full buckets."""

SYNC_RATE = Rate(per_second=1, burst=5)
"""How often one payment may be synced."""

RETRY_AFTER = 1.0
"""Seconds after which a request above the concurrency limit may be repeated."""

_SHARED = ""

Clock = Callable[[], float]
"""Seconds that only grow."""


class Buckets:
    """Token buckets by name. A full one holds no information and may be dropped; the others are kept."""

    def __init__(self, clock: Clock = time.monotonic, *, kept: int = KEPT) -> None:
        self._clock = clock
        self._kept = kept
        self._swept = -SWEEP
        self._buckets: dict[str, tuple[float, float, float]] = {}  # tokens, as of when, full when

    def take(self, name: str, rate: Rate, cost: float = 1.0) -> float:
        """Take tokens and return 0.0, or take none and return the seconds until there are enough."""
        now, name = self._clock(), self._place(name)
        tokens = self._tokens(name, rate, now)
        if tokens < cost:
            return (cost - tokens) / rate.per_second
        self._put(name, rate, tokens - cost, now)
        return 0.0

    def wait(self, name: str, rate: Rate, cost: float = 1.0) -> float:
        """Return the seconds until so many tokens are there if nobody else takes any. Takes none."""
        return max(0.0, (cost - self._tokens(self._place(name), rate, self._clock())) / rate.per_second)

    def charge(self, name: str, rate: Rate, cost: float = 1.0, *, debt: float = math.inf) -> None:
        """Take tokens even if there are too few: the bucket then owes at most ``debt`` of them."""
        now, name = self._clock(), self._place(name)
        self._put(name, rate, max(self._tokens(name, rate, now) - cost, -debt), now)

    def keep(self, is_wanted: Callable[[str], bool]) -> None:
        """Forget the buckets whose names are not wanted any more."""
        self._buckets = {name: bucket for name, bucket in self._buckets.items() if is_wanted(name)}

    def _put(self, name: str, rate: Rate, tokens: float, now: float) -> None:
        self._buckets[name] = (tokens, now, now + (rate.burst - tokens) / rate.per_second)

    def _tokens(self, name: str, rate: Rate, now: float) -> float:
        tokens, since, _ = self._buckets.get(name, (rate.burst, now, now))
        return min(float(rate.burst), tokens + (now - since) * rate.per_second)

    def _place(self, name: str) -> str:
        """The name itself while there is room for it, else the name of the shared bucket."""
        if name in self._buckets or len(self._buckets) < self._kept:
            return name
        now = self._clock()
        if now >= self._swept + SWEEP:
            self._swept = now
            self._buckets = {name: bucket for name, bucket in self._buckets.items() if bucket[2] > now}
        return name if len(self._buckets) < self._kept else _SHARED


class TenantLimits:
    """What one tenant may take: requests per second, syncs of one payment, requests in work at the same time.

    Connections in work are never closed to make room. So a tenant's next request is taken while it has fewer in work
    than there are free ``places``: one busy tenant gets half, each of two a third, and some are left for the others. A
    request whose body is still arriving is not in work.
    """

    def __init__(self, places: int) -> None:
        self._requests, self._syncs = Buckets(), Buckets()
        self._free = places
        self._in_work: Counter[str] = Counter()

    def keep(self, tenants: Container[str]) -> None:
        """Forget the tenants that are gone; requests that are still in work stay counted."""
        self._requests.keep(tenants.__contains__)
        for tenant in [one for one, count in self._in_work.items() if not count and one not in tenants]:
            del self._in_work[tenant]

    def take_request(self, tenant: Tenant) -> None:
        """Count one request. Raises ``rate_limited``."""
        rate = tenant.rate_limit
        wait = 0.0 if rate is None else self._requests.take(tenant.id, rate)
        if rate is not None and wait:
            limit = f"at most {rate.per_second:g} requests per second ({rate.burst} at once) for this tenant"
            raise TenantError("rate_limited", limit, retry_after=wait)

    def charge(self, tenant: Tenant, requests: int) -> None:
        """Count a large request as several more. A tenant owes one burst at most."""
        rate = tenant.rate_limit
        if requests and rate is not None:
            self._requests.charge(tenant.id, rate, requests, debt=rate.burst)

    def take_sync(self, payment_id: str) -> None:
        """Count one sync of a payment. Raises ``rate_limited``."""
        wait = self._syncs.take(payment_id, SYNC_RATE)
        if wait:
            limit = f"one payment may be synced {SYNC_RATE.per_second:g} time per second ({SYNC_RATE.burst} at once)"
            raise TenantError("rate_limited", f"{limit}: repeat after Retry-After", retry_after=wait)

    def begin_work(self, tenant: str) -> None:
        """Count a request as in work, until ``end_work``. Raises ``rate_limited``."""
        if self._in_work[tenant] >= self._free:
            limit = "too many requests of this tenant are worked on at the same time"
            raise TenantError("rate_limited", limit, retry_after=RETRY_AFTER)
        self._in_work[tenant] += 1
        self._free -= 1

    def end_work(self, tenant: str) -> None:
        """Count a request as done."""
        self._in_work[tenant] -= 1
        self._free += 1

    def may_wait(self, tenant: str) -> bool:
        """Whether a browser of its customers may be in work beside its own requests, for which most places are."""
        return 2 * self._in_work[tenant] < self._free


def part_of(rate: Rate, part: float) -> Rate:
    """A part of a rate, with a burst of at least one."""
    return Rate(per_second=rate.per_second * part, burst=max(1, round(rate.burst * part)))


def network_of(address: str | None) -> str:
    """The name of an address's bucket: an IPv4 address, or the /64 network of an IPv6 address, which has one owner."""
    if address is None or ":" not in address:
        return address or "unknown"
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    return str(parsed.ipv4_mapped or ipaddress.IPv6Network((parsed, 64), strict=False))
