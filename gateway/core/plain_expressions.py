"""JMESPath that needs no interpreter: paths, ``||`` and literals, as functions.

Nearly every computed field is such: ``metadata.branch || 'none'``. Each part is evaluated at most once, so a search
takes no more steps than the expression has parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Part = Mapping[str, Any]
"""A part of a parsed expression as ``jmespath`` has it: its ``type``, its ``children``, and often a ``value``."""

Search = Callable[[Any], Any]


def plain_search(part: Part) -> Search | None:
    """A function that finds what the interpreter finds; None for what needs the interpreter."""
    make = _PLAIN.get(part["type"])
    if make is None:
        return None
    below = [plain_search(child) for child in part["children"]]
    return None if None in below else make(part, *below)


def _field(part: Part) -> Search:
    name = part["value"]
    return lambda value: value.get(name) if isinstance(value, dict) else None


def _literal(part: Part) -> Search:
    found = part["value"]
    return lambda _: found


def _path(_: Part, *steps: Search) -> Search:
    def search(value: Any) -> Any:
        for step in steps:
            value = step(value)
        return value

    return search


def _either(_: Part, left: Search, right: Search) -> Search:
    def search(value: Any) -> Any:
        found = left(value)
        return right(value) if found is None or found is False or found in _EMPTY else found

    return search


_EMPTY: tuple[object, ...] = ("", [], {})
"""What JMESPath takes for false, beside null and false; 0 it takes for true."""

_PLAIN: Mapping[str, Callable[..., Search]] = {
    "field": _field,
    "literal": _literal,
    "subexpression": _path,
    "pipe": _path,
    "or_expression": _either,
}
