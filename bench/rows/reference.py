"""Payments and callbacks against the same job in FastAPI, SQLAlchemy and httpx, as documented and tuned."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from bench.effort import Effort
from bench.gateway import gateway
from bench.table import Row
from bench.windows import Window, in_words, interleaved, ratio
from bench.yardsticks import provider, reference

LIMITS = {"usual": (12.0, 20.0), "tuned": (8.0, 14.0)}
"""Variant -> must and aim, for payments and for callbacks."""


def rows(effort: Effort) -> Iterator[Row]:
    """All three are up at once. The reference is slow: its windows are as long as the gateway's all the same."""
    with contextlib.ExitStack() as up:
        port = up.enter_context(provider())
        contestants = {"gateway": up.enter_context(gateway(port))}
        for variant in LIMITS:
            contestants[variant] = up.enter_context(reference(variant, port))
        paid = interleaved({name: partial(one.pay, 2) for name, one in contestants.items()}, effort.rounds)
        called = interleaved({name: partial(one.call_back, 1) for name, one in contestants.items()}, effort.rounds)
        for one in contestants.values():
            one.check()
    yield from _ratios("payments", paid)
    yield from _ratios("callbacks", called)


def _ratios(what: str, seen: Mapping[str, Sequence[Window]]) -> Iterator[Row]:
    for variant, (must, aim) in LIMITS.items():
        detail = f"{in_words('gateway', seen['gateway'])}; {in_words(variant, seen[variant])}"
        value = ratio(seen["gateway"], seen[variant], lambda window: window.per_second)
        yield Row(f"{what}/s : reference, {variant}", value, must, aim, detail=detail)
