"""One load of the settings, and the readers of single values: a node's text -> a value, or a problem at its path."""

from __future__ import annotations

import enum
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_origin

import msgspec
from yaml.nodes import Node, ScalarNode

from gateway.core.secret import Secret
from gateway.drivers.settings.load_context import LoadContext, Make
from gateway.drivers.settings.problems import Path, Problem
from gateway.drivers.settings.values import PARSERS
from gateway.drivers.settings.yaml_file import as_data, is_null, place


class Invalid(enum.Enum):
    """What a reader returns after it noted a problem."""

    INVALID = enum.auto()


INVALID = Invalid.INVALID


class Raw(msgspec.Struct, frozen=True):
    """A member that is kept as its node, to be read later when its type is known."""

    node: Node


class NotSupported:
    """Marks a key of the contract whose feature is not built: an error, never ignored."""


class LoadState:
    """One load: the tree, what values depend on, the problems found so far, and every secret by its path.

    ``alike``: what was read of nodes that may be in many places, by reader and content.
    """

    def __init__(self, root: Node, context: LoadContext, problems: list[Problem]) -> None:
        self.root = root
        self.context = context
        self.problems = problems
        self.secrets: dict[Path, Secret] = {}
        self.alike: dict[Any, Any] = {}
        self._texts: dict[str, str] = {}
        self._made: defaultdict[Make, dict[str, Any]] = defaultdict(dict)

    def note(self, path: Path, message: str) -> Invalid:
        """Add a problem at a path of the tree (or at the nearest thing above it that exists)."""
        self.problems.append(Problem(*place(self.root, path), path, message))
        return INVALID

    def is_noted(self, path: Path) -> bool:
        """Whether a problem was noted at this very path: what stands for its value is a default, not what was meant."""
        return any(problem.path == path for problem in self.problems)

    def text(self, node: ScalarNode) -> str:
        """A node's text, once for all nodes that have it, and apart from the tree.

        A text that lay among the nodes would keep their memory when the tree is gone: 10 KiB for each tenant.
        """
        known = self._texts.get(node.value)
        if known is None:
            copied = node.value.encode().decode()
            self._texts[copied] = known = copied
        return known

    def made_of(self, node: ScalarNode, make: Make) -> Any:
        """What ``make`` makes of a node's text, once for all nodes that have it. Raises its ``ValueError``."""
        made = self._made[make]
        value = made.get(node.value)
        if value is None:
            text = self.text(node)
            made[text] = value = make(text, self.context)
        return value


Read = Callable[[Node, Path, LoadState], Any]
"""(node, path, state) -> a value, or ``INVALID`` after noting why."""


def choices_of(wanted: Any, arguments: tuple[Any, ...]) -> dict[str, Any]:
    """The texts a ``Literal`` or an enum may be written as, with their values; empty for other types."""
    if get_origin(wanted) is Literal:
        return {str(value): value for value in arguments}
    items: list[enum.Enum] = list(wanted) if isinstance(wanted, enum.EnumType) else []
    return {str(item.value): item for item in items}


def choice(choices: Mapping[str, Any]) -> Read:
    """Read one of a few texts."""

    def read(node: Node, path: Path, state: LoadState) -> Any:
        one = _single(node, path, state)
        if one is INVALID or one.value in choices:
            return INVALID if one is INVALID else choices[one.value]
        return state.note(path, "must be one of " + ", ".join(choices))

    return read


def from_text(make: Make) -> Read:
    """Read a single value and make something of its text."""

    def read(node: Node, path: Path, state: LoadState) -> Any:
        one = _single(node, path, state)
        if one is INVALID:
            return INVALID
        try:
            value = state.made_of(one, make)
        except ValueError as problem:
            return state.note(path, str(problem))
        if isinstance(value, Secret):
            state.secrets[path] = value
        return value

    return read


def _single(node: Node, path: Path, state: LoadState) -> ScalarNode | Invalid:
    if not isinstance(node, ScalarNode):
        return state.note(path, "must be a single value, not a list or mapping")
    return state.note(path, "must not be empty") if is_null(node) else node


def scalar(wanted: Any) -> Read:
    """Read a value of any other type: by ``values.LEAVES``, else by msgspec from the text as it was written."""
    if wanted in PARSERS:
        return from_text(PARSERS[wanted])

    def read(node: Node, path: Path, state: LoadState) -> Any:
        try:
            return msgspec.convert(as_data(node), wanted, strict=False)
        except msgspec.ValidationError as problem:
            return state.note(path, _translated(str(problem)))

    return read


_WORDS = (
    ("Expected `int`", "must be a whole number"),
    ("Expected `float`", "must be a number"),
    ("Expected `bool`", "must be true or false"),
    ("Expected `str`", "must be a text"),
    ("Expected", "must be"),
)


def _translated(message: str) -> str:
    text = re.sub(r", got `[^`]*`| - at `[^`]*`", "", message)
    for theirs, ours in _WORDS:
        text = text.replace(theirs, ours)
    return text.replace("`", "")
