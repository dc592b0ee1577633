"""How much of a callback is kept, by what was made of it: nobody fills the disk with what nothing will be made of.

A part that is too long is left out whole: half of it would prove nothing, and might be half of a secret. Pure.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from gateway.core.wire import Callback, Headers


class Bound(NamedTuple):
    """Bytes of each part that are kept. Headers are counted together; those that fit are kept, in their order."""

    body: int
    headers: int
    query: int
    suffix: int


KIB = 1024

PROVED = Bound(body=64 * KIB, headers=8 * KIB, query=8 * KIB, suffix=KIB)
"""What moved a payment, or will."""

REPEATED = Bound(body=8 * KIB, headers=2 * KIB, query=KIB, suffix=256)
"""What was proved and had been applied before."""

REFUSED = Bound(body=8 * KIB, headers=2 * KIB, query=KIB, suffix=256)
"""What may be proved anew when a setting was wrong."""

HINT = Bound(body=0, headers=512, query=512, suffix=256)
"""What only causes a lookup: nothing of it is ever read again, but by people."""


def bounded(callback: Callback, bound: Bound) -> Callback:
    """The parts of a callback that are kept."""
    return replace(
        callback,
        body=callback.body if len(callback.body) <= bound.body else b"",
        headers=_that_fit(callback.headers, bound.headers),
        query=callback.query if len(callback.query) <= bound.query else "",
        suffix=callback.suffix if len(callback.suffix) <= bound.suffix else "",
    )


def _that_fit(headers: Headers, room: int) -> Headers:
    kept: list[tuple[str, str]] = []
    for name, value in headers:
        if len(name) + len(value) <= room:
            room -= len(name) + len(value)
            kept.append((name, value))
    return tuple(kept)
