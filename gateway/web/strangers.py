"""Callers who prove nothing and fail: how many of their requests are answered, and what the log says of them.

Whoever has a good key or proof is never counted here, so an address that many share locks nobody out.
"""

from __future__ import annotations

import time

from gateway.drivers.settings import Rate
from gateway.flows.runtime import log
from gateway.web.limits import Buckets, Clock, network_of

FAILURES = Rate(per_second=10, burst=1000)
"""Failing requests of one address with one status, before they are too many."""

EVERY = 60.0
"""Seconds between two lines about one address."""

MOST_LINES = 20
"""Addresses that have a line of their own within ``EVERY``; all further ones share another."""

OTHERS = "others"


class Strangers:
    """Counts the failures of callers without proof, by address and status."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._buckets = Buckets(clock)
        self._began = clock()
        self._unwritten: dict[tuple[str, int], int] = {}

    def failed(self, address: str | None, status: int) -> float:
        """Count a failure; 0.0 while there are not too many, else how many seconds until there is room for one."""
        network = network_of(address)
        wait = self._buckets.take(f"{status} {network}", FAILURES)
        if wait:
            self._note(network, status)
        return wait

    def _note(self, network: str, status: int) -> None:
        """Write the first one too many of an address at once, then once a minute how many there were since."""
        if self._clock() >= self._began + EVERY:
            self._write_the_rest()
        if (network, status) not in self._unwritten and len(self._unwritten) >= MOST_LINES:
            network = OTHERS
        if (network, status) in self._unwritten:
            self._unwritten[network, status] += 1
        else:
            self._unwritten[network, status] = 0
            _write(network, status, 1)

    def _write_the_rest(self) -> None:
        unwritten, self._unwritten, self._began = self._unwritten, {}, self._clock()
        for (network, status), count in unwritten.items():
            if count:
                _write(network, status, count)


def _write(network: str, status: int, count: int) -> None:
    extra = {"address": network, "status": status, "repeated": count}
    log.warning("too many failing requests without key or proof", extra=extra)
