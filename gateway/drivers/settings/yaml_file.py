"""YAML as a tree of nodes that still know their file, line and exact text; no value is guessed here.

YAML's own guesses (``0123`` is 83, ``no`` is false, ``1e3`` is a float) never happen: who reads a node knows the wanted
type and gets the text as it was written. Mappings must have text keys, each once.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway.drivers.settings.problems import Path, Problem

TEXT = "tag:yaml.org,2002:str"
NULL = "tag:yaml.org,2002:null"
_MAPPING = "tag:yaml.org,2002:map"
_SEQUENCE = "tag:yaml.org,2002:seq"
_NULL_TEXTS = frozenset({"", "~", "null", "Null", "NULL"})
_TAGS: dict[type[Node], str] = {MappingNode: _MAPPING, SequenceNode: _SEQUENCE}
_OWN_TAGS = (TEXT, NULL, _MAPPING, _SEQUENCE)
"""What ``guess_nothing`` returns: a tag that was written may equal one of these objects, but is never one of them."""
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is five times as fast, but not everywhere


def guess_nothing(_: object, kind: type[Node], value: str | None, implicit: Any) -> str:
    """Tag a node that has no tag of its own. ``implicit[0]``: the scalar is plain, not quoted."""
    return _TAGS.get(kind) or (NULL if implicit[0] and value in _NULL_TEXTS else TEXT)


class _Loader(_Base):  # type: ignore[misc]  # the base is chosen at run time
    """A loader that guesses nothing: every scalar is text, but for the plain forms of null."""

    resolve = guess_nothing

    def descend_resolver(self, *_: object) -> None:
        """Nothing depends on where a node stands."""

    def ascend_resolver(self) -> None:
        """Nothing depends on where a node stands."""


class _Named(io.BytesIO):
    """Bytes with the name PyYAML puts into every mark."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


def compose(data: bytes, name: str) -> MappingNode | Problem:
    """Read one YAML document that is a mapping (or empty). ``name`` is what problems call the file."""
    try:
        node = yaml.compose(_Named(data, name), Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        return Problem(name, *_unreadable(error, data))
    except yaml.YAMLError as error:
        return Problem(name, 1, (), f"is not readable YAML: {getattr(error, 'reason', 'unknown characters')}")
    if node is None or is_null(node):
        return nothing(name)
    return node if isinstance(node, MappingNode) else Problem(name, 1, (), "must be a mapping of keys")


def _unreadable(error: yaml.MarkedYAMLError, data: bytes) -> tuple[int, Path, str]:
    """The line of a mistake, no path, and the parser's words; those about a tab are of little help."""
    line = error.problem_mark.line if error.problem_mark else 0
    text = data.splitlines()[line] if data.count(b"\n") > line else b""
    if text[: len(text) - len(text.lstrip())].count(b"\t"):
        return line + 1, (), "is indented with a tab: YAML is indented with blanks"
    begun = error.context_mark.line if error.context_mark else line
    where = f" (begun in line {begun + 1})" if begun != line else ""
    said = " ".join(part for part in (f"{error.context or ''}{where}", error.problem) if part)
    return (
        line + 1,
        (),
        f"is not readable YAML: {said}; look at indentation, colons and quotes here and in the line before",
    )


def tagged(root: Node) -> Iterator[Problem]:
    """The tags that were written, on values and keys of every kind."""
    waiting: list[tuple[Path, Node]] = [((), root)]
    seen: set[int] = set()  # an alias stands for the node itself, which may even hold it
    while waiting:
        path, node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if not any(node.tag is own for own in _OWN_TAGS):
            yield Problem(*place_of(node), path, "has a YAML tag; tags are not supported")
        if isinstance(node, SequenceNode):
            waiting += (((*path, index), item) for index, item in enumerate(node.value))
        for name, key, value in pairs(node):
            below = path if name is None else (*path, name)
            waiting += ((below, key), (below, value))


def nothing(name: str) -> MappingNode:
    """An empty mapping at the top of a file."""
    mark = yaml.Mark(name, 0, 0, 0, None, 0)
    return MappingNode(_MAPPING, [], mark, mark)


def is_null(node: Node) -> bool:
    """Whether a node is ``null``, ``~`` or nothing at all, unquoted."""
    return isinstance(node, ScalarNode) and node.tag == NULL


def pairs(node: Node) -> Iterator[tuple[str | None, Node, Node]]:
    """The members of a mapping: key text (None for another node), key node, value node. Other nodes have no members."""
    for key, value in node.value if isinstance(node, MappingNode) else ():
        yield (key.value if isinstance(key, ScalarNode) else None), key, value


def member(node: Node | None, step: str | int) -> tuple[Node, Node] | None:
    """The (place, value) nodes of one step down a path; the place of a mapping's member is its key."""
    if isinstance(node, MappingNode):
        return next((pair for pair in node.value if pair[0].value == step), None)
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None


def place(root: Node, path: Path) -> tuple[str, int]:
    """File and line of a path, or of the nearest thing above it that exists."""
    at, node = root, root
    for step in path:
        found = member(node, step)
        if found is None:
            break
        at, node = found
    return place_of(at)


def place_of(node: Node) -> tuple[str, int]:
    """File and line (from 1) where a node begins."""
    return node.start_mark.name, node.start_mark.line + 1


def value_at(root: Node, path: Path) -> Node | None:
    """The node at a path, or None."""
    node: Node | None = root
    for step in path:
        found = member(node, step)
        node = found[1] if found else None
    return node


def text_at(root: Node, path: Path) -> str | None:
    """The text at a path, or None when there is no text."""
    node = value_at(root, path)
    return node.value if isinstance(node, ScalarNode) else None


def names_at(root: Node, path: Path) -> list[str]:
    """The keys of the mapping at a path; empty without one."""
    node = value_at(root, path)
    return [name for name, _, _ in pairs(node) if name is not None] if node else []


def content(node: Node, depth: int = 4) -> Any:
    """What a node says, wherever it stands, to be compared. What is deeper than ``depth`` is equal to nothing."""
    if isinstance(node, ScalarNode):
        return None if is_null(node) else node.value
    if not depth:
        return object()
    if isinstance(node, MappingNode):
        return tuple([(content(key, depth - 1), content(value, depth - 1)) for key, value in node.value])
    return SequenceNode, *(content(item, depth - 1) for item in node.value)


def as_data(node: Node) -> Any:
    """A node as dicts, lists, texts and None."""
    if isinstance(node, MappingNode):
        return {key: as_data(value) for key, _, value in pairs(node)}
    if isinstance(node, SequenceNode):
        return [as_data(item) for item in node.value]
    return None if is_null(node) else node.value
