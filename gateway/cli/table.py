"""How rows become lines: pure. An id, a reference or an amount is never cut, and never broken over two lines.

Where the window is too narrow, ``details`` move to a line of their own, less important columns are left out, and other
sentences are shortened. What then still does not fit is a block of lines for each row. A pipe has no width: everything
is there, a line for each row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

LEFT_OUT = ("created_at", "received_at", "since", "tenant", "account", "version", "detail", "note")
"""Columns that may be left out, the first one first."""

SHORTENED = frozenset({"detail", "note"})
"""Columns whose texts may be shortened."""

SHORTEST = 12
"""Characters that a shortened text keeps at least, with the dots at its end."""

BENEATH = "details"
"""A last column that may be shown on a line of its own, under its row."""

GAP, INDENT = "  ", "    "

Rows = Sequence[Sequence[str]]


class Table(NamedTuple):
    """Columns by name and rows of texts; ``left_out`` names the columns that were taken away."""

    columns: Sequence[str]
    rows: Rows
    left_out: Sequence[str] = ()

    @property
    def widths(self) -> list[int]:
        """How wide each column is, its name included."""
        return [max(map(cell_len, cells)) for cells in zip(self.columns, *self.rows, strict=True)]

    def without(self, name: str) -> Table:
        """The table without one column."""
        at = self.columns.index(name)
        rows = [[*row[:at], *row[at + 1 :]] for row in self.rows]
        return Table([one for one in self.columns if one != name], rows, [*self.left_out, name])


def lay_out(table: Table, width: int | None) -> Iterator[str]:
    """The lines of a table in a window of ``width`` characters; None: any number."""
    for narrower in _narrower(table):
        widths = _fitted(narrower, width)
        if widths is not None:
            return _lines(narrower, widths, beneath=[row[-1] for row in table.rows])
    return _blocks(table) if table.rows else iter([GAP.join(table.columns)])


def _narrower(table: Table) -> Iterator[Table]:
    """The table, and what is left of it after each column that may go has gone."""
    yield table
    for name in (BENEATH, *LEFT_OUT):
        if name in table.columns:
            table = table.without(name)
            yield table


def _fitted(table: Table, width: int | None) -> list[int] | None:
    """The widths of the columns in a window: the widest text is shortened first. None: they do not fit."""
    widths = table.widths
    excess = 0 if width is None else sum(widths) + len(GAP) * (len(widths) - 1) - width
    while excess > 0:
        able = [at for at, name in enumerate(table.columns) if name in SHORTENED and widths[at] > SHORTEST]
        able = [at for at in able if widths[at] > cell_len(table.columns[at])]
        if not able:
            return None
        widths[max(able, key=widths.__getitem__)] -= 1
        excess -= 1
    return widths


def _lines(table: Table, widths: Sequence[int], *, beneath: Sequence[str]) -> Iterator[str]:
    """The header, the rows, and what was left out. ``beneath``: the last text of each row, where it did not fit."""
    yield _line(table.columns, widths)
    for row, details in zip(table.rows, beneath, strict=True):
        yield _line(row, widths)
        if BENEATH in table.left_out:
            yield INDENT + details
    left_out = [name for name in table.left_out if name != BENEATH]
    if left_out:
        yield f"(left out: {', '.join(left_out)}; --wide shows all)"


def _line(texts: Sequence[str], widths: Sequence[int]) -> str:
    return GAP.join(_cell(text, width) for text, width in zip(texts, widths, strict=True)).rstrip()


def _cell(text: str, width: int) -> str:
    return set_cell_size(text, width) if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


def _blocks(table: Table) -> Iterator[str]:
    """Each row as lines of name and value, with an empty line between."""
    width = max(map(len, table.columns))
    for number, row in enumerate(table.rows):
        if number:
            yield ""
        for name, text in zip(table.columns, row, strict=True):
            yield f"{name:<{width}}{GAP}{text}".rstrip()
