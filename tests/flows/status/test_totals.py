"""What several processes have counted and measured, as if one had."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from gateway.flows.status.family import Family
from gateway.flows.status.totals import only_counts, total


def family(kind: Literal["counter", "gauge", "histogram"], *values: Any, name: str = "one") -> Family:
    """A metric with these values, for the labels a, b …"""
    return Family(
        kind, name, "Text.", [((label,), value) for label, value in zip("abc", values, strict=False)], ("of",)
    )


BUCKETS = [("1", 2), ("+Inf", 3)]


@pytest.mark.parametrize(
    ("here", "there", "all_together"),
    [
        (family("counter", (1,), (2,)), family("counter", (10,)), family("counter", (11,), (2,))),
        (family("gauge", (1,), (2,)), family("gauge", (10,), (1,)), family("gauge", (10,), (2,))),
        (
            family("gauge", (1,), name="gateway_settings_version"),
            family("gauge", (10,), name="gateway_settings_version"),
            family("gauge", (1,), name="gateway_settings_version"),
        ),
        (
            family("histogram", (BUCKETS, 0.5)),
            family("histogram", (BUCKETS, 1.5), (BUCKETS, 1.0)),
            family("histogram", ([("1", 4), ("+Inf", 6)], 2.0), (BUCKETS, 1.0)),
        ),
    ],
    ids=["counter", "gauge", "how far the last one is", "histogram"],
)
def test_each_kind_has_its_total(here: Family, there: Family, all_together: Family) -> None:
    """Also of labels that only one process has."""
    assert total([[here], [there]]) == [all_together]


def test_what_is_measured_ends_with_its_process() -> None:
    """Its counts do not."""
    counter, histogram = family("counter", (1,)), family("histogram", (BUCKETS, 1.0))
    assert only_counts([counter, family("gauge", (1,)), histogram]) == [counter, histogram]
