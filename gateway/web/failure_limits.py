"""How many failing requests without a valid key or proof are answered, and how often the log mentions them.

Callers with a valid key or proof are never counted, so an address that many callers share locks nobody out.
"""

from __future__ import annotations

import time

from gateway.drivers.settings import Rate
from gateway.flows.runtime import log
from gateway.web.limits import Buckets, Clock, network_of

FAILURE_RATE = Rate(per_second=10, burst=1000)
"""Failing requests of one address with one status, before they are too many."""

LOG_INTERVAL = 60.0
"""Seconds between two log lines about one address."""

MAX_ADDRESSES = 20
"""Addresses that have log lines of their own within ``LOG_INTERVAL``; all further ones share one."""

OTHERS = "others"


class FailureLimits:
    """Counts the failures of unauthenticated callers by address and status."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._buckets = Buckets(clock)
        self._began = clock()
        self._unwritten: dict[tuple[str, int], int] = {}

    def count(self, address: str | None, status: int) -> float:
        """Count a failure and return 0.0, or the seconds to wait where the address had too many."""
        network = network_of(address)
        wait = self._buckets.take(f"{status} {network}", FAILURE_RATE)
        if wait:
            self._note(network, status)
        return wait

    def _note(self, network: str, status: int) -> None:
        """Log the first failure above the limit at once, then once a minute how many more there were."""
        if self._clock() >= self._began + LOG_INTERVAL:
            self._write_counts()
        if (network, status) not in self._unwritten and len(self._unwritten) >= MAX_ADDRESSES:
            network = OTHERS
        if (network, status) in self._unwritten:
            self._unwritten[network, status] += 1
        else:
            self._unwritten[network, status] = 0
            _write(network, status, 1)

    def _write_counts(self) -> None:
        unwritten, self._unwritten, self._began = self._unwritten, {}, self._clock()
        for (network, status), count in unwritten.items():
            if count:
                _write(network, status, count)


def _write(network: str, status: int, count: int) -> None:
    extra = {"address": network, "status": status, "repeated": count}
    log.warning("too many failing requests without key or proof", extra=extra)
