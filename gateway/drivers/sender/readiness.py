"""Tells the owners of many sockets when one can be read or written.

The event loop watches one descriptor for all of them: telling asyncio about each socket, of which a call would need
four, costs it about 20 us.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Readiness:
    """The sockets of one event loop, by descriptor. Whoever closes a socket forgets it first."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._loop: asyncio.AbstractEventLoop | None = None

    def watch(self, descriptor: int, events: int, ready: Callable[[], None]) -> None:
        """Call ``ready`` whenever the socket can be read or written, as often as that is so."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._selector, self._look)
        self._selector.register(descriptor, events, ready)

    def change(self, descriptor: int, events: int, ready: Callable[[], None]) -> None:
        """The same for one that is watched, from now on for these events."""
        self._selector.modify(descriptor, events, ready)

    def forget(self, descriptor: int) -> None:
        """Watch it no more."""
        if self._selector.get_map() is not None:  # closed
            self._selector.unregister(descriptor)

    def close(self) -> None:
        """Watch nothing any more."""
        if self._loop is not None:
            self._loop.remove_reader(self._selector)
        self._selector.close()

    def _look(self) -> None:
        for key, _ in self._selector.select(0):
            key.data()
