"""Mappings and lists -> typed values, driven by the wanted type; mistakes are noted with their path.

One reader is compiled per type and kept. A Struct (ours or a plugin's) is read member by member: secrets, durations
and amounts are read too, at any depth; ``reading.py`` reads the single values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway.core.masking import Mask, line, secrets_in
from gateway.drivers.settings.around import FromText, Then
from gateway.drivers.settings.problems import Path, Problem, unknown
from gateway.drivers.settings.reading import BAD, Bad, NotYet, Raw, Read, Reading, choice, choices_of, from_text, leaf
from gateway.drivers.settings.values import PublicText, TargetUrl
from gateway.drivers.settings.yaml_file import TEXT, is_null, place, place_of

A_MAPPING = "must be a mapping of keys"

LONGEST_JUDGEMENT = 500
"""Characters of what a Struct says of itself."""


@cache
def reader_of(wanted: Any) -> Read:
    """Compile the reader of a type: (node, path, reading) -> a value, or ``BAD`` after noting why."""
    origin, arguments = get_origin(wanted), get_args(wanted)
    if wanted in _MARKERS:
        return _MARKERS[wanted]
    if origin is Annotated:
        return _annotated(wanted, arguments)
    if origin in (Union, UnionType):
        return _union(arguments)
    if origin in _ITEMS and (origin is not tuple or arguments[1:] == (...,)):
        return _items(reader_of(arguments[0]), _ITEMS[origin])
    if origin in (dict, Mapping):
        return _table(reader_of(arguments[0]), reader_of(arguments[1]))
    if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
        return _struct(wanted, {})
    choices = choices_of(wanted, arguments)
    return choice(choices) if choices else leaf(wanted)


@cache
def config_reader(account_type: type[msgspec.Struct]) -> Read:
    """Compile the reader of a plugin's account config: its text members named ``…url`` are addresses we send to."""
    retyped = {}
    for field in msgspec.structs.fields(account_type):
        options = set(get_args(field.type)) or {field.type}
        if options <= {str, type(None)} and str in options:
            text = TargetUrl if field.name.endswith("url") else PublicText
            retyped[field.name] = text | None if type(None) in options else text
    return _struct(account_type, retyped)


def _struct(wanted: type[msgspec.Struct], retyped: Mapping[str, Any]) -> Read:
    fields = {field.encode_name: field for field in msgspec.structs.fields(wanted)}
    readers = {key: reader_of(retyped.get(field.name, field.type)) for key, field in fields.items()}
    names = {key: field.name for key, field in fields.items()}
    required = {key: field.name for key, field in fields.items() if field.required}

    def read(node: Node, path: Path, reading: Reading) -> Any:
        values: dict[str, Any] = {}
        before = len(reading.problems)
        entries = _entries(node, path, reading)
        if entries is None:
            return BAD
        for key, value_node in entries.items():
            if key not in readers:
                reading.note((*path, key), unknown("key", key, readers))
            elif (value := readers[key](value_node, (*path, key), reading)) is not BAD:
                values[names[key]] = value
        for key in (key for key in required if key not in entries):
            reading.note((*path, key), "is missing")
        if required.values() - values.keys():
            return BAD
        try:
            return wanted(**values)
        except (ValueError, TypeError) as problem:
            # Beside other problems it is believed only about a member that was read: else it may judge a default.
            if len(reading.problems) == before or str(problem).partition(" ")[0] in values:
                note_judgement(clean_judgement(problem, values), names, path, reading)
            return BAD

    return read


def clean_judgement(problem: Exception, judged: object) -> str:
    """What is said of values, without the secrets among them."""
    return line(str(problem), Mask(secret.reveal() for _, secret in secrets_in(judged)), LONGEST_JUDGEMENT)


def note_judgement(message: str, members: Collection[str], path: Path, reading: Reading) -> Bad:
    """Note what a Struct (or its plugin) said of it; ``app_url must be …`` is said of that member."""
    member, _, rest = message.partition(" ")
    return reading.note((*path, member), rest) if member in members else reading.note(path, message)


def _entries(node: Node, path: Path, reading: Reading, wanted: str = A_MAPPING) -> dict[str, Node] | None:
    """The members of a mapping by key, doubles noted. Nothing is an empty mapping; None when it is no mapping."""
    if is_null(node):
        return {}
    if not isinstance(node, MappingNode):
        reading.note(path, wanted)
        return None
    found: dict[str, Node] = {}
    for key, value in node.value:
        if not isinstance(key, ScalarNode):
            reading.note(path, "has a key that is no text")
        elif key.value in found:
            _note_double(key, node, path, reading)
        else:
            found[key.value] = value
    return found


def _note_double(second: ScalarNode, node: MappingNode, path: Path, reading: Reading) -> None:
    (file, line), (first_file, first_line) = place_of(second), place(node, (second.value,))
    first = f"in line {first_line}" if first_file == file else f"in {first_file}:{first_line}"
    reading.problems.append(Problem(file, line, (*path, second.value), f"is written twice, first {first}"))


def _table(key_reader: Read, value_reader: Read, wanted: str = A_MAPPING) -> Read:
    def read(node: Node, path: Path, reading: Reading) -> Any:
        entries = _entries(node, path, reading, wanted)
        if entries is None:
            return BAD
        found = {}
        for key, value_node in entries.items():
            name = key_reader(_text_node(key), (*path, key), reading)
            value = value_reader(value_node, (*path, key), reading)
            if name is not BAD and value is not BAD:
                found[name] = value
        return found

    return read


def _text_node(text: str) -> ScalarNode:
    return ScalarNode(TEXT, text)


def _items(item_reader: Read, collect: Callable[[list[Any]], Any]) -> Read:
    def read(node: Node, path: Path, reading: Reading) -> Any:
        if is_null(node):
            return collect([])
        if not isinstance(node, SequenceNode):
            return reading.note(path, "must be a list")
        found = [item_reader(item, (*path, number), reading) for number, item in enumerate(node.value)]
        return collect([item for item in found if item is not BAD])

    return read


_ITEMS: dict[Any, Callable[[list[Any]], Any]] = {
    list: list,
    tuple: tuple,
    Sequence: tuple,
    set: set,
    frozenset: frozenset,
}


def _annotated(wanted: Any, arguments: tuple[Any, ...]) -> Read:
    base, *notes = arguments
    made = next((note for note in notes if isinstance(note, FromText)), None)
    then = next((note for note in notes if isinstance(note, Then)), None)
    if made is not None:
        return from_text(made.make)
    if get_origin(base) is Mapping:
        key_reader, value_reader = map(reader_of, get_args(base))
        return _table(key_reader, value_reader, _titled(notes))
    if then is None:
        return leaf(wanted)
    read_base, check = reader_of(base), then.check

    def read(node: Node, path: Path, reading: Reading) -> Any:
        before = len(reading.problems)
        value = read_base(node, path, reading)
        if value is BAD or len(reading.problems) > before:
            return BAD
        try:
            return check(value, reading.around)
        except ValueError as problem:
            return reading.note(path, str(problem))

    return read


def _titled(notes: Sequence[Any]) -> str:
    """What a mapping must be, in the words of its annotation."""
    [meta] = notes
    return f"must be a mapping of {meta.title}, such as {meta.examples[0]}"


def _union(arguments: tuple[Any, ...]) -> Read:
    options = [(_shape(option), reader_of(option)) for option in arguments if option is not type(None)]
    may_be_null = type(None) in arguments

    def read(node: Node, path: Path, reading: Reading) -> Any:
        if may_be_null and is_null(node):
            return None
        fitting = [option for shape, option in options if isinstance(node, shape)] or [options[0][1]]
        before = len(reading.problems)
        for option in fitting:
            del reading.problems[before:]
            if (value := option(node, path, reading)) is not BAD and len(reading.problems) == before:
                return value
        return BAD

    return read


def _shape(wanted: Any) -> type[Node]:
    kind = get_origin(wanted) or wanted
    if kind is Annotated:
        return _shape(get_args(wanted)[0])
    if kind in (dict, Mapping) or (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return MappingNode
    return SequenceNode if kind in _ITEMS else Node if wanted in _MARKERS else ScalarNode


_MARKERS: dict[Any, Read] = {
    Raw: lambda node, path, reading: Raw(node),  # noqa: ARG005
    NotYet: lambda node, path, reading: reading.note(path, "not supported yet"),  # noqa: ARG005
}
