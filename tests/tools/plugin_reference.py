"""The reference of the plugin API, made of the docstrings and types of its public names.

``python -m tests.tools.plugin_reference`` writes ``docs/plugin-reference.md``.
"""

from __future__ import annotations

import ast
import enum
import inspect
import re
import textwrap
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

import gateway

PAGE = Path(__file__).parents[2] / "docs/plugin-reference.md"

HEAD = """# Reference of the plugin API

Every public name of `gateway`, from A to Z, with its members and their types. It is made of the docstrings by
`python -m tests.tools.plugin_reference`. What belongs together, and why, is in [Writing a provider](providers.md).
"""


def page() -> str:
    """The whole page."""
    entries = ("\n".join(entry(name)).rstrip() for name in sorted(gateway.__all__, key=str.lower))
    return "\n\n".join([HEAD.rstrip(), *entries]) + "\n"


def entry(name: str) -> Iterator[str]:
    """The lines of one name."""
    thing = getattr(gateway, name)
    yield f"## {name}\n"
    if isinstance(thing, type):
        yield _text(thing) + "\n"
        yield from _members(thing)
    elif inspect.isfunction(thing):
        yield f"```python\n{name}{_signature(thing)}\n```\n\n{_text(thing)}\n"
    else:
        is_shown = isinstance(thing, str) or typing.get_args(thing)
        yield f"`{_plain(str(thing) if is_shown else type(thing).__name__)}`\n"


def _members(kind: type) -> Iterator[str]:
    if issubclass(kind, enum.Enum):
        yield f"Values: {', '.join(f'`{one.name}`' for one in kind)}.\n"
        return
    rows = list(_fields(kind))
    if rows:
        yield "| member | type | default |\n| --- | --- | --- |"
        yield from (f"| `{name}` | `{type_}` | {default} |" for name, type_, default in rows)
        yield ""
    for name, method in vars(kind).items():
        if name[0] != "_" and (inspect.isfunction(method) or isinstance(method, property | classmethod)):
            function = getattr(method, "fget", None) or getattr(method, "__func__", method)
            called = name if isinstance(method, property) else f"{name}{_signature(function)}"
            yield f"- `{called}`: {' '.join(_text(function).split())}"
    yield ""


def _fields(kind: type) -> Iterator[tuple[str, str, str]]:
    """The members of a class with their types as they are written, a base's first, and their defaults."""
    defaults = _defaults(kind) if issubclass(kind, msgspec.Struct) else {}
    for base in reversed(kind.__mro__):
        for name, annotation in _written(base) if base.__module__.startswith("gateway") else ():
            if name[0] != "_":
                yield name, _plain(annotation).replace("|", "\\|"), defaults.get(name, "")


def _written(kind: type) -> Iterator[tuple[str, str]]:
    """The annotations of a class's own members as its source has them; what Python keeps may be types, not texts."""
    (written,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(written, ast.ClassDef)
    for line in written.body:
        if isinstance(line, ast.AnnAssign):
            yield ast.unparse(line.target), ast.unparse(line.annotation)


def _defaults(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Only the last members of a Struct have an entry; that of a required one is a mark."""
    values = kind.__struct_defaults__
    return {name: _default(value) for name, value in zip(kind.__struct_fields__[-len(values) :], values, strict=False)}


def _default(value: object) -> str:
    if value is msgspec.NODEFAULT:
        return ""
    return "empty" if type(value).__name__ == "Factory" else f"`{_plain(repr(value))}`"


def _signature(function: Any) -> str:
    return _plain(re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(function))))


def _plain(text: str) -> str:
    """Names as an author writes them: without their modules, and without what the HTTP API says of a member."""
    short = re.sub(r"\bgateway(\.\w+)+\.(?=\w)|\btyping\.|\bcollections\.abc\.|\bmsgspec\.|<class '|'>", "", text)
    return re.sub(r"^Annotated\[(.*?), Meta\(.*\)\]$", r"\1", short)


def _text(thing: Any) -> str:
    """A docstring as Markdown; what a class only inherits is not its own."""
    own = thing.__doc__ if not isinstance(thing, type) else vars(thing).get("__doc__")
    return re.sub(r"``([^`]+)``", r"`\1`", inspect.cleandoc(own or ""))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
