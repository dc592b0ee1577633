"""How many requests of one tenant are worked on at a time: requests in work never make room for others.

One whose body is still coming is not counted: it does make room.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator

from gateway.core.errors import TenantError

RETRY_AFTER = 1.0
"""Seconds after which a request that found no place may be tried again."""


class Work:
    """Of ``places`` for callers the requests of one tenant may take half."""

    def __init__(self, places: int) -> None:
        self._most = places // 2
        self._under_way: Counter[str] = Counter()

    @contextlib.contextmanager
    def of(self, tenant: str) -> Iterator[None]:
        """Count a request for the time of the block. Raises ``rate_limited`` when there are too many."""
        if self._under_way[tenant] >= self._most:
            limit = f"at most {self._most} requests of one tenant are worked on at the same time"
            raise TenantError("rate_limited", limit, retry_after=RETRY_AFTER)
        self._under_way[tenant] += 1
        try:
            yield
        finally:
            self._under_way[tenant] -= 1
