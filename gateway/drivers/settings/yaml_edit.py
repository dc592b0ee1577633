"""Put entries into the text of a YAML file, or take one out, and change nothing else: comments, quotes and blanks stay.

The nodes know where they end in the text, so what is new is written there, in the style of what is around it.
"""

from __future__ import annotations

import textwrap
from typing import Any

import yaml
from yaml.nodes import CollectionNode, MappingNode, Node, SequenceNode

from gateway.drivers.settings.problems import Path, Problem, dotted
from gateway.drivers.settings.yaml_file import as_data, compose, guess_nothing, is_null, member

INDENT = 2


class _Dumper(yaml.SafeDumper):
    """Writes text as the settings read it: plain, without quotes against guesses that are never made."""

    resolve = guess_nothing

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002  # PyYAML's form
        """Indent the items of a list too."""
        super().increase_indent(flow, False)


def extended(text: str, path: Path, more: dict[str, Any] | list[Any]) -> str:
    """Return a file's text with ``more`` at the end of the mapping or list at ``path``, which is made where missing.

    Raises ``ValueError`` where the result would not be just that, as where the place is an alias of another one.
    """
    root = _composed(text)
    at, node, rest = _deepest(root, path)
    for step in reversed(rest):
        more = {str(step): more}
    if isinstance(node, CollectionNode) or is_null(node):
        new = _written(text, at, node, more)
        if _is(new, _merged(as_data(root), path[: len(path) - len(rest)], more)):
            return new
    raise ValueError(f"{dotted(path)} cannot be edited here: write the entry by hand")


def without(text: str, path: Path) -> str:
    """Return a file's text without the item or member at ``path``, which is not the only one of its list or mapping.

    Raises ``ValueError`` where the result would not be just that.
    """
    root = _composed(text)
    _, holder, missing = _deepest(root, path[:-1])
    if not missing and isinstance(holder, CollectionNode):
        items = [item if isinstance(item, tuple) else (item, item) for item in holder.value]
        found = member(holder, path[-1])
        if found in items and len(items) > 1:
            start, end = _span(text, holder, items, items.index(found))
            new = text[:start] + text[end:]
            if _is(new, _lacking(as_data(root), path)):
                return new
    raise ValueError(f"{dotted(path)} cannot be edited here: remove the entry by hand")


def replaced(text: str, path: Path, value: str) -> str:
    """Return a file's text with another value for the member at ``path``, or with its first. Raises as ``extended``."""
    _, _, missing = _deepest(_composed(text), path)
    return extended(text if missing else without(text, path), path[:-1], {str(path[-1]): value})


def _composed(text: str) -> MappingNode:
    root = compose(text.encode(), "")
    if isinstance(root, Problem):
        raise ValueError(root.message)
    return root


def _is(text: str, wanted: Any) -> bool:
    found = compose(text.encode(), "")
    return isinstance(found, Node) and as_data(found) == wanted


def _span(text: str, holder: CollectionNode, items: list[tuple[Node, Node]], index: int) -> tuple[int, int]:
    """Where an item is in the text, with the comma or the lines that go with it."""
    at, value = items[index]
    if not holder.flow_style:
        dash = "-" if isinstance(holder, SequenceNode) else ""
        start = text.rfind(f"\n{' ' * holder.start_mark.column}{dash}", 0, at.start_mark.index + 1) + 1
        return start, _end_of(text, value)
    if index:
        return items[index - 1][1].end_mark.index, value.end_mark.index
    return at.start_mark.index, items[1][0].start_mark.index


def _lacking(data: Any, path: Path) -> Any:
    """What the data are meant to be without one entry."""
    step, *below = path
    if below:
        return _at(data, step, _lacking(data[step], tuple(below)))
    if isinstance(data, list):
        return [one for number, one in enumerate(data) if number != step]
    return {key: one for key, one in data.items() if key != step}


def _at(data: Any, step: str | int, value: Any) -> Any:
    if isinstance(data, list):
        return [value if number == step else one for number, one in enumerate(data)]
    return {**data, step: value}


def block(data: dict[str, Any] | list[Any], indent: int = 0) -> str:
    """Write data as YAML, one member a line."""
    return textwrap.indent(_dumped(data, flow=False), " " * indent)


def _dumped(data: dict[str, Any] | list[Any], *, flow: bool) -> str:
    form: dict[str, Any] = {
        "default_flow_style": flow,
        "sort_keys": False,
        "allow_unicode": True,
        "width": float("inf"),
    }
    return str(yaml.dump(data, Dumper=_Dumper, **form))


def _deepest(root: MappingNode, path: Path) -> tuple[Node, Node, Path]:
    """The (key, value) nodes of the longest part of a path that exists, and the steps that are missing."""
    at: Node = root
    node: Node = root
    for number, step in enumerate(path):
        found = member(node, step)
        if found is None:
            return at, node, path[number:]
        at, node = found
    return at, node, ()


def _written(text: str, at: Node, node: Any, more: dict[str, Any] | list[Any]) -> str:
    if is_null(node):  # "accounts:", perhaps with a written null
        empty = text[: node.start_mark.index] + text[node.end_mark.index :]
        return _inserted(empty, _next_line(empty, node.start_mark.index), block(more, at.start_mark.column + INDENT))
    if node.flow_style:
        inner = _dumped(more, flow=True).strip()[1:-1]
        return _inserted(text, node.end_mark.index - 1, f", {inner}" if node.value else inner)
    is_whole = node is at and not node.start_mark.column
    if is_whole and node.value:  # a new key of the whole file comes first, as "include" does
        return _inserted(text, node.start_mark.index, block(more))
    if node.value:
        return _inserted(text, _end_of(text, node), block(more, node.start_mark.column))
    return _inserted(text, len(text), block(more))  # an empty file


def _inserted(text: str, index: int, new: str) -> str:
    lacks_break = new.endswith("\n") and index and text[index - 1] != "\n"
    added = ("\n" if lacks_break else "") + new
    if text.partition("\n")[0].endswith("\r"):
        added = added.replace("\n", "\r\n")
    return text[:index] + added + text[index:]


def _end_of(text: str, node: Node) -> int:
    """Where the line after a node begins. A block's own end is that of what follows its comments."""
    while isinstance(node, MappingNode | SequenceNode) and not node.flow_style and node.value:
        node = node.value[-1][1] if isinstance(node, MappingNode) else node.value[-1]
    end = node.end_mark
    return int(end.index) if end.column == 0 else _next_line(text, end.index)


def _next_line(text: str, index: int) -> int:
    return (text.find("\n", index) + 1) or len(text)


def _merged(data: Any, path: Path, more: dict[str, Any] | list[Any]) -> Any:
    """What the data are meant to be afterwards."""
    if path:
        return _at(data, path[0], _merged(data[path[0]], path[1:], more))
    return [*(data or []), *more] if isinstance(more, list) else {**(data or {}), **more}
