"""Pages of lists. Rows are read and encoded in slices until the page is full, its bytes are used up, or none is left.

So a page costs as much as it shows, and between two slices the event loop serves other requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from operator import attrgetter
from typing import Any, TypeVar

import msgspec

from gateway.drivers.store.rows import PageRequest

SLICE = 20
"""Rows that are read and encoded without a pause."""

ENVELOPE = 100
"""The most bytes that a page has beside its rows."""

T = TypeVar("T")
S = TypeVar("S", bound=PageRequest)


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Rows as they are sent, and the cursor of the next page; None on the last."""

    data: list[msgspec.Raw]
    next_cursor: str | None


async def page_of(
    read: Callable[[S], Awaitable[Sequence[T]]],
    wanted: S,
    show: Callable[[T], Any],
    *,
    id_of: Callable[[T], str] = attrgetter("id"),
    most_bytes: int,
    slice_of: int = SLICE,
    pauses: bool = False,
) -> Page:
    """Read one page. It has at least one row, however large, if there is one.

    ``pauses``: showing a row takes long, so others are served after each.
    """
    data: list[msgspec.Raw] = []
    size, last = ENVELOPE, wanted.cursor
    while True:
        asked = min(slice_of, wanted.limit + 1 - len(data))  # one more than is shown, to see whether there are more
        found = await read(msgspec.structs.replace(wanted, cursor=last, limit=asked))
        for row in found:
            shown = msgspec.json.encode(show(row))
            if pauses:
                await asyncio.sleep(0)
            size += len(shown) + 1
            if len(data) == wanted.limit or (data and size > most_bytes):
                return Page(data=data, next_cursor=last)
            data.append(msgspec.Raw(shown))
            last = id_of(row)
        if len(found) < asked:
            return Page(data=data, next_cursor=None)
