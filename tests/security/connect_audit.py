"""Where this process connects to, seen by the interpreter itself: whatever client, resolver or thread does it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Found = list[tuple[Any, ...]]
"""What ``getaddrinfo`` answers."""


class ConnectAudit:
    """While it is on, every connect to another port than ``allowed`` is noted and refused before it leaves."""

    def __init__(self) -> None:
        self.is_on = False
        self.allowed: set[int] = set()
        self.targets: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Audit one event of the interpreter."""
        if not self.is_on or event != "socket.connect":
            return
        address = arguments[1]
        if isinstance(address, tuple) and address[1] not in self.allowed:
            self.targets.append(str(address[0]))
            raise ConnectionRefusedError("refused by the test")


_WATCH = ConnectAudit()
sys.addaudithook(_WATCH)


@contextmanager
def watched(*allowed: int) -> Iterator[list[str]]:
    """The addresses that are connected to in the block; none of these connections leaves, but to allowed ports."""
    _WATCH.allowed, _WATCH.targets, _WATCH.is_on = set(allowed), [], True
    try:
        yield _WATCH.targets
    finally:
        _WATCH.is_on = False


def answering(choose: Callable[[str], list[str]]) -> Callable[..., Found]:
    """A ``socket.getaddrinfo`` that reads numbers as the real one does and lets ``choose`` answer for names."""
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *_: Any, **__: Any) -> Found:
        text = host.decode() if isinstance(host, bytes) else host or ""
        try:
            return real(text, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except (OSError, UnicodeError):
            chosen = choose(text)
        if not chosen:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [one for address in chosen for one in real(address, port, type=socket.SOCK_STREAM)]

    return look_up
