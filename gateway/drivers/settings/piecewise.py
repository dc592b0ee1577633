"""Build and free large structures without blocking other threads."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def let_go(parts: list[Any]) -> None:
    """Empty a list one by one: freed all at once, ten thousand tenants would stop every other thread for 100 ms."""
    while parts:
        parts.pop()


@contextmanager
def without_collector(*, exempt: bool) -> Iterator[None]:
    """Work without garbage collection: hundreds of thousands of nodes without a cycle are only walked for nothing.

    What was made counts as old, or the next collection would walk it. ``exempt``: from all collections for good, or
    one of them would hold up a running server. Else what the process had exempted counts as old again.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if not exempt:
            gc.unfreeze()  # to the oldest generation
        if was_on:
            gc.enable()
