"""JSON as trees: the leaves of a value with their paths, and a value with one leaf changed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from gateway.core.strictjson import JsonNumber, NotStrictJson, loads
from gateway.core.wire import HttpRequest

Path = tuple[str | int, ...]
GONE = object()
"""In place of a leaf: its member is left out."""


def read(body: bytes) -> Any:
    """A body as JSON with numbers as they are written; None for anything else."""
    try:
        return loads(body)
    except NotStrictJson:
        return None


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value that is not an object or a list, with its path."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, (*path, number))
    else:
        yield path, value


def changed(value: Any, path: Path, new: Any) -> Any:
    """The value with another leaf at a path; without it, if that is ``GONE``."""
    if not path:
        return new
    step, rest = path[0], path[1:]
    if isinstance(value, Mapping):
        inner = {name: changed(one, rest, new) if name == step else one for name, one in value.items()}
        return {name: one for name, one in inner.items() if one is not GONE}
    return [changed(one, rest, new) if number == step else one for number, one in enumerate(value)]


def dotted(path: Path) -> str:
    """A path as people write it."""
    return ".".join(map(str, path))


def members_of(request: HttpRequest) -> list[tuple[Path, Any]]:
    """What a request says, wherever it says it: in a JSON or form body, and in the query."""
    tree = read(request.body)
    found = list(leaves(tree)) if tree is not None else []
    if tree is None and request.body:
        found += [((name,), value) for name, value in parse_qsl(request.body.decode(errors="replace"))]
    return found + [((name,), value) for name, value in parse_qsl(request.url.partition("?")[2])]


def texts_of(request: HttpRequest) -> set[str]:
    """Every text of a request, decoded."""
    values = {text(value) for _, value in members_of(request)} | {value for _, value in request.headers}
    return values | {unquote(part) for part in request.url.split("/")}


def text(value: Any) -> str:
    """A leaf as text, a number as it is written."""
    return value.text if isinstance(value, JsonNumber) else str(value)
