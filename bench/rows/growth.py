"""A store with a million payments against one with ten thousand: what grows with the data is seen here."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.effort import Effort
from bench.fill import filled, originals
from bench.gateway import gateway
from bench.table import Row
from bench.windows import in_words, interleaved, median, ratio
from bench.yardsticks import provider

SMALL = 10_000


def rows(effort: Effort) -> Iterator[Row]:
    """Both are up at once, loaded in turn."""
    large = effort.stored_payments
    with tempfile.TemporaryDirectory(prefix="bench-") as name, contextlib.ExitStack() as up:
        folder = Path(name)
        source = originals(folder)
        port = up.enter_context(provider())
        both = {}
        for title, payments in (("large", large), ("small", SMALL)):
            both[title] = up.enter_context(gateway(port, store=filled(folder, source, payments)))
            both[title].payments = both[title].callbacks = payments
        paid = interleaved({title: partial(one.pay, 2) for title, one in both.items()}, effort.rounds)
        called = interleaved({title: partial(one.call_back, 1) for title, one in both.items()}, effort.rounds)
        for one in both.values():
            one.check()
        starts = {title: one.server.start_seconds for title, one in both.items()}
    sizes = f"{large:,} : {SMALL:,} stored"
    for what, seen, must, aim in (("payments", paid, 0.85, 0.95), ("callbacks", called, 0.75, 0.85)):
        value = ratio(seen["large"], seen["small"], lambda window: window.per_second)
        detail = "; ".join(in_words(title, windows) for title, windows in seen.items())
        yield Row(f"{what}/s, {sizes}", value, must, aim, detail=detail)
    slow = ratio(called["large"], called["small"], lambda window: window.p99_ms)
    detail = "; ".join(
        f"{title} {median(windows, lambda window: window.p99_ms):.1f} ms" for title, windows in called.items()
    )
    yield Row(f"callback p99, {sizes}", slow, 5.0, 2.0, at_most=True, detail=detail)
    detail = "; ".join(f"{title} {seconds:.1f} s" for title, seconds in starts.items())
    yield Row(f"start to listening, {sizes}", starts["large"] / starts["small"], at_most=True, detail=detail)
