"""Which connection is closed when there are too many: bookkeeping only, without sockets, clock or waiting.

A connection is *proved* once a request on it carried a valid credential. Unproved connections are closed before proved
ones, so nobody without a credential can push a caller out. While proved connections hold more than half of all places
they are closed first, so callers with a credential cannot keep new ones out either. Within each group the oldest
connection of the phase that holds most places is closed: a flood fills one phase, so it loses its own connections.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from gateway.web.limits import network_of

T = TypeVar("T")


class Phase(enum.IntEnum):
    """What a connection is doing. Of two phases with equally many places, the lower one loses a connection."""

    IDLE = 0
    """It is open without a request."""
    HEAD = 1
    """It is still sending a request's head."""
    UNREAD = 2
    """Its client does not read the answer."""
    BODY = 3
    """It is still sending a request's body."""
    WORK = 4
    """Its request is in work: it is never closed to make room."""


class Capacity(Generic[T]):
    """At most ``most`` connections, and at most ``per_address`` from one address (None: any number).

    ``is_shared`` knows the addresses of trusted proxies: the connections from there are those of many callers.
    """

    def __init__(
        self, most: int, per_address: int | None = None, is_shared: Callable[[str | None], bool] = lambda _: False
    ) -> None:
        self.most = most
        self.turned_away = 0  # connections closed or refused since the last warning
        self._per_address = per_address
        self._is_shared = is_shared
        self._addresses: dict[T, str] = {}
        self._of_address: Counter[str] = Counter()
        # A dict keeps the order in which its keys came: the first one has been in its phase for longest.
        self._queues: dict[bool, list[dict[T, None]]] = {is_proved: [{} for _ in Phase] for is_proved in (False, True)}
        self._queue_of: dict[T, dict[T, None]] = {}

    def __len__(self) -> int:
        return len(self._queue_of)

    def __iter__(self) -> Iterator[T]:
        return iter(tuple(self._queue_of))

    @property
    def is_full(self) -> bool:
        """Whether one has to be closed before the next may be opened."""
        return len(self._queue_of) >= self.most

    def takes_from(self, address: str | None) -> bool:
        """Whether this address may have one more connection."""
        if self._per_address is None or self._is_shared(address):
            return True
        return self._of_address[network_of(address)] < self._per_address

    def enter(self, one: T, address: str | None) -> None:
        """Count a new connection."""
        if self._per_address is not None:
            self._addresses[one] = network_of(address)
            self._of_address[self._addresses[one]] += 1
        self._put(one, Phase.HEAD, is_proved=False)

    def move(self, one: T, phase: Phase, *, is_proved: bool) -> None:
        """Count a connection in another phase, unless it has left."""
        if one in self._queue_of:
            del self._queue_of[one][one]
            self._put(one, phase, is_proved=is_proved)

    def leave(self, one: T) -> None:
        """Stop counting a connection; calling it again changes nothing."""
        queue = self._queue_of.pop(one, None)
        if queue is None:
            return
        del queue[one]
        host = self._addresses.pop(one, None)
        if host is not None:
            self._of_address[host] -= 1
            if not self._of_address[host]:
                del self._of_address[host]

    def next_to_go(self) -> T | None:
        """The connection to close first; None where every request is in work."""
        proved = sum(map(len, self._queues[True]))
        proved_first = 2 * proved > self.most
        for is_proved in (proved_first, not proved_first):
            fullest = max(self._queues[is_proved][: Phase.WORK], key=len)
            if fullest:
                return next(iter(fullest))
        return None

    def _put(self, one: T, phase: Phase, *, is_proved: bool) -> None:
        queue = self._queues[is_proved][phase]
        queue[one] = None
        self._queue_of[one] = queue
