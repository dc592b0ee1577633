"""How data is printed: JSON for programs, aligned lines and tables for people."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPED_WIDTH = 240
"""Columns when nobody looks: a file or another program must not get cut ids."""


def console() -> Console:
    """A console on stdout as wide as the window."""
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)


def harmless(text: str) -> str:
    """A text with escapes for what a terminal would obey: strangers write callbacks, and their line stays a line."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def as_line(value: object) -> str | None:
    """A member as one line: what is no text as JSON."""
    return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()


def print_json(data: Any) -> None:
    """Print one JSON document; a ``Secret`` does not encode and must have been revealed or masked before."""
    click.echo(msgspec.json.format(msgspec.json.encode(data), indent=2))


def print_pairs(pairs: Mapping[str, object], *, indent: str = "") -> None:
    """Print names and values in two columns, never wrapped: values are copied from here."""
    width = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        click.echo(f"{indent}{name:<{width}}  {'-' if value is None else harmless(str(value))}")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table without frame. Cells are text, never markup."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text("-" if cell is None else harmless(str(cell)), overflow="fold") for cell in row))
    console().print(table)
