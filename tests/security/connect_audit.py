"""Records every connect of this process with an audit hook of the interpreter, whatever client or thread makes it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Found = list[tuple[Any, ...]]
"""What ``getaddrinfo`` answers."""


class ConnectAudit:
    """While it is on, it records and refuses every connect to a port that is not in ``allowed``."""

    def __init__(self) -> None:
        self.is_on = False
        self.allowed: set[int] = set()
        self.targets: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Handle one audit event."""
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
    """Yield the list of addresses connected to in the block; only connects to allowed ports are let through."""
    _WATCH.allowed, _WATCH.targets, _WATCH.is_on = set(allowed), [], True
    try:
        yield _WATCH.targets
    finally:
        _WATCH.is_on = False


def answering(choose: Callable[[str], list[str]]) -> Callable[..., Found]:
    """Return a ``socket.getaddrinfo`` that reads numbers like the real one and asks ``choose`` for names."""
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
