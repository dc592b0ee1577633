"""How data is printed: JSON for programs, aligned lines and tables for people."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, TypeVar

import click
import msgspec
from rich.console import Console

from gateway.cli.table import Table, lay_out

T = TypeVar("T")

PIPED_WIDTH = 240
"""Columns of the demo's output in a pipe."""

limit_option = click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    metavar="N",
    help="Maximum number of rows.",
)
wide_option = click.option("--wide", is_flag=True, help="Print every column in full, even if the window is too narrow.")


def console() -> Console:
    """A console on stdout as wide as the window."""
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)


def harmless(text: str) -> str:
    """Escape what a terminal would obey, and line ends: callbacks are written by strangers."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def as_cell(value: object) -> str:
    """A value as people read it: ``-`` for none, ``yes`` and ``no``, and any text harmless."""
    if value is None:
        return "-"
    return ("no", "yes")[value] if isinstance(value, bool) else harmless(str(value))


def as_line(value: object) -> str | bool | None:
    """A member as one line; lists, mappings and numbers become JSON."""
    return value if value is None or isinstance(value, (str, bool)) else msgspec.json.encode(value).decode()


def print_json(data: Any) -> None:
    """Print one JSON document; a ``Secret`` does not encode and must have been revealed or masked before."""
    click.echo(msgspec.json.format(msgspec.json.encode(data), indent=2))


def members_of(row: msgspec.Struct) -> dict[str, str | bool | None]:
    """All members by name, each as one line."""
    return {name: as_line(getattr(row, name)) for name in row.__struct_fields__}


def print_one(made: msgspec.Struct | Mapping[str, object], *, as_json: bool) -> None:
    """Print one result as JSON, or its members as names and values."""
    if as_json:
        print_json(made)
    else:
        print_pairs(members_of(made) if isinstance(made, msgspec.Struct) else made)


def print_list(
    rows: Sequence[T],
    columns: Sequence[str],
    cells: Callable[[T], Sequence[object]] | None = None,
    *,
    as_json: bool,
    wide: bool = False,
) -> None:
    """Print rows as JSON, or as a table of their members of these names, or of the cells that ``cells`` makes."""
    if as_json:
        print_json({"data": rows})
    else:
        print_table(columns, map(cells or attrgetter(*columns), rows), wide=wide)


def print_pairs(pairs: Mapping[str, object], *, indent: str = "") -> None:
    """Print names and values in two columns, never wrapped: values are copied from here."""
    width = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        click.echo(f"{indent}{name:<{width}}  {as_cell(value)}")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, wide: bool = False) -> None:
    """Print a table that fits the window: see ``table.py``. ``wide``, and a pipe: all of it, a line for each row."""
    texts = [[as_cell(cell) for cell in row] for row in rows]
    is_bounded = sys.stdout.isatty() and not wide
    width = shutil.get_terminal_size().columns if is_bounded else None
    for line in lay_out(Table(columns, texts), width):
        click.echo(line)
