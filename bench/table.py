"""The table: a ratio per row, against what it must reach and what it should reach."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Row(NamedTuple):
    """One figure. ``at_most``: smaller is better. Without ``must`` it is printed and not judged."""

    name: str
    value: float | None
    must: float | None = None
    aim: float | None = None
    at_most: bool = False
    unit: str = ""
    detail: str = ""
    """What the ratio was made of; for a row that could not be measured (``value`` None), why."""

    @property
    def verdict(self) -> str:
        """``aim``, ``PASS`` (the must), ``short`` or ``skipped``; nothing where nothing is asked."""
        if self.value is None:
            return "skipped"
        if self.must is None:
            return ""
        if not self._reaches(self.must):
            return "short"
        return "aim" if self.aim is not None and self._reaches(self.aim) else "PASS"

    def _reaches(self, limit: float) -> bool:
        assert self.value is not None
        return self.value <= limit if self.at_most else self.value >= limit

    def cells(self) -> list[str]:
        """The row as texts, in the order of ``HEADINGS``."""
        sign = "≤" if self.at_most else "≥"
        limits = ["" if limit is None else f"{sign} {limit:g}{self.unit}" for limit in (self.must, self.aim)]
        here = "–" if self.value is None else f"{_digits(self.value)}{self.unit}"
        return [self.name, here, *limits, self.verdict, self.detail]


HEADINGS = ("ratio, one run", "here", "must", "aim", "", "made of")


def markdown(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    lines = [list(headings), *([*row] for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _digits(value: float) -> str:
    """Three digits that mean something: 0.123, 1.03, 12.3, 1234."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3f}"
