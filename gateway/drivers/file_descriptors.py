"""Who may have how many of the process's open files: callers, operators, calls to providers, and the gateway itself.

Nobody waits for a descriptor that somebody else holds: each share is counted by who spends it, and together they stay
below the process's limit. So ``accept`` and ``open`` do not fail for want of one.
"""

from __future__ import annotations

import contextlib
import resource

import msgspec

from gateway.core.errors import SettingsError

RESERVED_FOR_GATEWAY = 32
"""Store, log, listeners and event loop: 18 were counted, the rest is for files that are open for a moment."""

RESERVED_FOR_OPERATORS = 16
"""Connections to the operators' listener."""

RESERVED_FOR_ACCEPT = 24
"""Connections that both listeners may have accepted before the ones that make room for them are closed."""

MAX_CALLERS = 2000
"""What ``auto`` gives callers at most: each connection may hold about 200 KiB for some seconds."""

MIN_OUTGOING, MAX_OUTGOING = 16, 1024
MIN_CALLERS = 8
UNLIMITED = 1 << 20


class Shares(msgspec.Struct, frozen=True, kw_only=True):
    """How many descriptors there are, and for whom.

    ``outgoing``: connections to providers and webhook receivers; ``leaving``: those of them that have their answer and
    wait for the other side to close.
    """

    descriptors: int
    callers: int
    operators: int
    outgoing: int
    leaving: int


def raised_limit() -> int:
    """Raise the soft limit of open files as far as the hard one allows; the limit that holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # some systems have a lower bound that is not shown
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return limit()


def limit() -> int:
    """How many files the process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return UNLIMITED if soft == resource.RLIM_INFINITY else soft


def descriptor_shares(descriptors: int, connections: int | None = None) -> Shares:
    """Divide the descriptors among their users. ``connections``: what callers get at most; None = ``MAX_CALLERS``.

    Raises ``SettingsError`` where too few are left for callers.
    """
    outgoing = max(MIN_OUTGOING, min(MAX_OUTGOING, descriptors // 4))
    leaving = outgoing // 4
    left = descriptors - RESERVED_FOR_GATEWAY - RESERVED_FOR_OPERATORS - RESERVED_FOR_ACCEPT - outgoing - leaving
    if left < MIN_CALLERS:
        raise SettingsError(
            [f"the process may open {descriptors} files only: raise its limit (ulimit -n) to 128 or more"]
        )
    return Shares(
        descriptors=descriptors,
        callers=min(left, connections if connections is not None else MAX_CALLERS),
        operators=RESERVED_FOR_OPERATORS,
        outgoing=outgoing,
        leaving=leaving,
    )
