"""Payments and callbacks against what bare aiohttp does with the same requests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial

from bench.contestant import PAYMENTS
from bench.effort import Effort
from bench.gateway import gateway
from bench.table import Row
from bench.windows import Measured, in_words, interleaved, median, ratio
from bench.yardsticks import provider, yardstick


def rows(effort: Effort) -> Iterator[Row]:
    """Everybody is up at once and loaded in turn; callbacks come after payments, which leave them enough to capture."""
    with contextlib.ExitStack() as up:
        port = up.enter_context(provider())
        forward = up.enter_context(yardstick("forward", port))
        echo = up.enter_context(yardstick("echo"))
        ours = up.enter_context(gateway(port))
        paying = {"forward": partial(forward.pay, 1, PAYMENTS), "gateway": partial(ours.pay, 2)}
        paid = interleaved(paying, effort.rounds)
        ours.prepare_callbacks(1)
        calling = {"echo": partial(echo.call_back, 1, ours.callbacks_file), "gateway": partial(ours.call_back, 1)}
        called = interleaved(calling, effort.rounds)
        ours.check()
    yield from _pair("payment", paid, (0.33, 0.45), (3.0, 2.2))
    yield from _pair("callback", called, (0.14, 0.25), (7.0, 5.0))
    spread = median(paid["gateway"], lambda window: window.spread)
    latency = f"p50 {median(paid['gateway'], lambda window: window.p50_ms):.1f} ms"
    yield Row("payments: p99 : p50 at saturation", spread, 2.5, 1.7, at_most=True, detail=latency)


def _pair(what: str, seen: Measured, throughput: tuple[float, float], cpu: tuple[float, float]) -> Iterator[Row]:
    """Throughput and CPU of one kind of request against the yardstick's, each with its must and aim."""
    (yard, theirs), (name, ours) = seen.items()
    detail = f"{in_words(name, ours)}; {in_words(yard, theirs)}"
    per_second = ratio(ours, theirs, lambda window: window.per_second)
    cpu_us = ratio(ours, theirs, lambda window: window.cpu_us)
    yield Row(f"{what}s/s : {yard}", per_second, *throughput, detail=detail)
    yield Row(f"CPU per {what} : {yard}", cpu_us, *cpu, at_most=True, detail=detail)
