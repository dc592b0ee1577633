"""How much of a callback is kept, by its verdict: nobody fills the disk with what has no effect.

A part that is too long is left out whole: half of it would prove nothing, and might be half of a secret. Pure.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from gateway.core.wire import Callback, Headers


class SizeLimits(NamedTuple):
    """Bytes of each part that are kept. Headers are counted together; those that fit are kept, in their order."""

    body: int
    headers: int
    query: int
    suffix: int


KIB = 1024

PROVED = SizeLimits(body=64 * KIB, headers=8 * KIB, query=8 * KIB, suffix=KIB)
"""What moved a payment, or will."""

REPEATED = SizeLimits(body=8 * KIB, headers=2 * KIB, query=KIB, suffix=256)
"""What was proved and had been applied before."""

REFUSED = SizeLimits(body=8 * KIB, headers=2 * KIB, query=KIB, suffix=256)
"""What an operator may verify anew after a wrong setting was mended."""

HINT = SizeLimits(body=0, headers=512, query=512, suffix=256)
"""What only causes a lookup: only people ever read it again."""


def bounded(callback: Callback, limits: SizeLimits) -> Callback:
    """The parts of a callback that are kept."""
    return replace(
        callback,
        body=callback.body if len(callback.body) <= limits.body else b"",
        headers=_that_fit(callback.headers, limits.headers),
        query=callback.query if len(callback.query) <= limits.query else "",
        suffix=callback.suffix if len(callback.suffix) <= limits.suffix else "",
    )


def _that_fit(headers: Headers, room: int) -> Headers:
    kept: list[tuple[str, str]] = []
    for name, value in headers:
        if len(name) + len(value) <= room:
            room -= len(name) + len(value)
            kept.append((name, value))
    return tuple(kept)
