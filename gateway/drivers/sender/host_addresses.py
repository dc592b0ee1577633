"""The addresses of a host. They are cached for some seconds, and one look-up serves all callers that ask meanwhile.

Every look-up has a daemon thread of its own: a name server that never answers delays neither the look-ups of other
names nor the end of the process, as it would in asyncio's few shared threads.
"""

from __future__ import annotations

import asyncio
import functools
import math
import socket
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from aiohappyeyeballs import AddrInfoType as Address

from gateway.drivers.threads import Work, result_of

LookUp = Callable[[str, int], Coroutine[Any, Any, list[Address]]]

CACHE_SECONDS = 10.0
"""Seconds from the beginning of a look-up. One that failed is not remembered."""

MAX_CACHED_HOSTS = 1000


class HostAddresses:
    """The addresses of hosts, by host and port."""

    def __init__(self, ask: LookUp | None = None) -> None:
        self._ask = ask or look_up
        self._known: dict[tuple[str, int], tuple[float, asyncio.Future[list[Address]]]] = {}

    async def addresses(self, host: str, port: int) -> list[Address]:
        """Look a host up, unless it is remembered. Raises ``OSError``, or ``ValueError`` for what cannot be a name."""
        now = asyncio.get_running_loop().time()
        until, found = self._known.get((host, port), (-math.inf, None))
        if found is None or until <= now:
            found = self._begin(host, port, now)
        return found.result() if found.done() else await asyncio.shield(found)

    def close(self) -> None:
        """Wait for no look-up any more."""
        for _, found in self._known.values():
            found.cancel()

    def _begin(self, host: str, port: int, now: float) -> asyncio.Future[list[Address]]:
        if len(self._known) >= MAX_CACHED_HOSTS:
            self._known.clear()
        found = asyncio.ensure_future(self._ask(host, port))
        self._known[host, port] = (now + CACHE_SECONDS, found)
        found.add_done_callback(functools.partial(self._forget_failure, (host, port)))
        return found

    def _forget_failure(self, key: tuple[str, int], found: asyncio.Future[list[Address]]) -> None:
        has_failed = found.cancelled() or found.exception() is not None
        if has_failed and self._known.get(key, (0, None))[1] is found:
            del self._known[key]


async def look_up(host: str, port: int) -> list[Address]:
    """Ask the system's resolver. Raises ``OSError``, or ``ValueError`` for what cannot be a name."""
    ask = functools.partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    return list(await result_of(ask, _in_new_thread))


def _in_new_thread(work: Work) -> None:
    threading.Thread(target=work, name="look-up", daemon=True).start()
