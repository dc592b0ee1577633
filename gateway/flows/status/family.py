"""One metric as plain data."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

Labels = tuple[str, ...]
Sample = tuple[Labels, tuple[Any, ...]]


class Family(NamedTuple):
    """One metric. A sample is its labels' values, and a number or the buckets and the sum of a histogram."""

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    help: str
    samples: list[Sample]
    labels: Labels = ()
