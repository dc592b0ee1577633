"""What several processes have counted and measured, as if one had."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

from gateway.flows.status.family import Family, Labels

LEAST = frozenset({"gateway_settings_version", "gateway_settings_loaded_timestamp_seconds"})
"""Gauges that say how far the last process is; of all others the highest value says most."""


def total(parts: Sequence[Iterable[Family]]) -> list[Family]:
    """Counters and histograms added up; of a gauge the value that an operator must hear of."""
    by_name: dict[str, list[Family]] = defaultdict(list)
    for part in parts:
        for family in part:
            by_name[family.name].append(family)
    return [_total_of(alike) for alike in by_name.values()]


def only_counts(families: Iterable[Family]) -> list[Family]:
    """Those that only ever rise."""
    return [one for one in families if one.kind != "gauge"]


def _total_of(alike: Sequence[Family]) -> Family:
    first = alike[0]
    values: dict[Labels, list[tuple[Any, ...]]] = defaultdict(list)
    for family in alike:
        for labels, value in family.samples:
            values[labels].append(value)
    add = {"counter": _sum, "histogram": _sum_of_buckets}.get(first.kind, min if first.name in LEAST else max)
    return first._replace(samples=[(labels, add(given)) for labels, given in values.items()])


def _sum(values: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    return (sum(map(itemgetter(0), values)),)


def _sum_of_buckets(values: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Each is (buckets, sum), and all have the same bounds."""
    bounds = [bound for bound, _ in values[0][0]]
    counts = (sum(count for _, count in places) for places in zip(*(buckets for buckets, _ in values), strict=True))
    return list(zip(bounds, counts, strict=True)), sum(seconds for _, seconds in values)
