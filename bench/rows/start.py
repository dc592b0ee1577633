"""Start and idle memory against an aiohttp server that does nothing."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence

from bench.effort import Effort
from bench.gateway import gateway
from bench.machine import Process
from bench.table import Row
from bench.yardsticks import provider, yardstick

Pairs = Sequence[tuple[Process, Process]]
"""Gateway and bare server, started one after the other."""


def rows(effort: Effort) -> Iterator[Row]:
    """Started in turn; the first pair, which reads the files from the disk, is dropped."""
    pairs = [_pair() for _ in range(effort.rounds + 1)][1:]
    yield _row("start to listening", pairs, lambda one: one.start_seconds * 1000, "ms", (2.0, 1.25))
    yield _row("idle memory", pairs, lambda one: one.start_memory / 2**20, "MiB", (1.5, 1.15))


def _row(name: str, pairs: Pairs, figure: Callable[[Process], float], unit: str, limits: tuple[float, float]) -> Row:
    value = statistics.median(figure(ours) / figure(bare) for ours, bare in pairs)
    each = (statistics.median(figure(one) for one in ones) for ones in zip(*pairs, strict=True))
    detail = "gateway {:.0f} {unit}; bare {:.0f} {unit}".format(*each, unit=unit)
    return Row(f"{name} : bare aiohttp", value, *limits, at_most=True, detail=detail)


def _pair() -> tuple[Process, Process]:
    with yardstick("bare") as bare, provider() as port, gateway(port) as ours:
        return ours.server, bare.server
