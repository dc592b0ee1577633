"""Rows are judged, and printed as Markdown."""

from __future__ import annotations

import pytest

from bench.table import Row, markdown


@pytest.mark.parametrize(
    ("value", "at_most", "verdict"),
    [
        (0.32, False, "short"),
        (0.33, False, "PASS"),
        (0.45, False, "aim"),
        (0.46, True, "short"),
        (0.45, True, "PASS"),
        (0.33, True, "aim"),
        (None, False, "skipped"),
    ],
)
def test_a_row_is_held_against_must_and_aim(value: float | None, at_most: bool, verdict: str) -> None:
    """In both directions, the limit itself included."""
    must, aim = (0.45, 0.33) if at_most else (0.33, 0.45)
    assert Row("a", value, must, aim, at_most).verdict == verdict


def test_a_row_without_a_must_is_not_judged() -> None:
    """It is printed all the same."""
    assert Row("a", 12.34, unit=" ms").cells() == ["a", "12.3 ms", "", "", "", ""]


def test_the_table_is_markdown() -> None:
    """A line for the headings, one below it, one per row."""
    assert markdown(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
