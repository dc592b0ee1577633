"""Mappings and lists -> typed values, driven by the wanted type; mistakes are noted with their path.

One reader is compiled per type and kept. A Struct (ours or a plugin's) is read member by member: secrets, durations and
amounts are read too, at any depth; ``scalar_reader.py`` reads the single values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway.core.masking import Mask, line, secrets_in
from gateway.drivers.settings.load_context import Alike, Check, Parse
from gateway.drivers.settings.problems import Path, Problem, unknown_entry
from gateway.drivers.settings.scalar_reader import (
    INVALID,
    Invalid,
    LoadState,
    NotSupported,
    Raw,
    Read,
    choice,
    choices_of,
    from_text,
    scalar,
)
from gateway.drivers.settings.values import PublicText, TargetUrl
from gateway.drivers.settings.yaml_file import TEXT, content, is_null, place, place_of

A_MAPPING = "must be a mapping of keys"
MERGE_KEY = "is a merge key, which is not supported: write the members out, or use an alias for the whole value"

MAX_MESSAGE_CHARACTERS = 500
"""Characters of what a Struct says of itself."""


@cache
def reader_of(wanted: Any) -> Read:
    """Compile the reader of a type: (node, path, state) -> a value, or ``INVALID`` after noting why."""
    origin, arguments = get_origin(wanted), get_args(wanted)
    if wanted in _MARKERS:
        return _MARKERS[wanted]
    if origin is Annotated:
        return _annotated(wanted, arguments)
    if origin in (Union, UnionType):
        return _union(arguments)
    if origin in LISTS and (origin is not tuple or arguments[1:] == (...,)):
        return _items(reader_of(arguments[0]), LISTS[origin])
    if origin in (dict, Mapping):
        return _table(reader_of(arguments[0]), reader_of(arguments[1]))
    if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
        return _struct(wanted, {})
    choices = choices_of(wanted, arguments)
    return choice(choices) if choices else scalar(wanted)


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
    members = {key: (field.name, reader_of(retyped.get(field.name, field.type))) for key, field in fields.items()}
    names = {key: field.name for key, field in fields.items()}
    required = {field.name: key for key, field in fields.items() if field.required}

    def read(node: Node, path: Path, state: LoadState) -> Any:
        values: dict[str, Any] = {}
        before = len(state.problems)
        entries = _entries(node, path, state)
        if entries is INVALID:
            return INVALID
        for key, value_node in entries.items():
            if key not in members:
                state.note((*path, key), unknown_entry("key", key, members))
                continue
            name, read_member = members[key]
            if (value := read_member(value_node, (*path, key), state)) is not INVALID:
                values[name] = value
        if not required.keys() <= values.keys():
            for key in required.values():
                if key not in entries:
                    state.note((*path, key), "is missing")
            return INVALID
        try:
            return wanted(**values)
        except (ValueError, TypeError) as problem:
            # Beside other problems it is believed only about a member that was read: else it may be about a default.
            if len(state.problems) == before or str(problem).partition(" ")[0] in values:
                note_struct_error(masked_message(problem, values), names, path, state)
            return INVALID

    return read


def masked_message(problem: Exception, values: object) -> str:
    """Return the text of an error about ``values`` without the secrets among them."""
    return line(str(problem), Mask(secret.reveal() for _, secret in secrets_in(values)), MAX_MESSAGE_CHARACTERS)


def note_struct_error(message: str, members: Collection[str], path: Path, state: LoadState) -> Invalid:
    """Note what a Struct (or its plugin) said of it; ``app_url must be …`` is said of that member."""
    member, _, rest = message.partition(" ")
    return state.note((*path, member), rest) if member in members else state.note(path, message)


def _entries(node: Node, path: Path, state: LoadState, wanted: str = A_MAPPING) -> dict[str, Node] | Invalid:
    """The members of a mapping by key, duplicates noted. Null is an empty mapping."""
    if not isinstance(node, MappingNode):
        return {} if is_null(node) else state.note(path, wanted)
    found: dict[str, Node] = {}
    for key, value in node.value:
        if not isinstance(key, ScalarNode):
            state.note(path, "has a key that is not text")
        elif key.value == "<<":
            state.problems.append(Problem(*place_of(key), (*path, "<<"), MERGE_KEY))
        elif key.value in found:
            _note_duplicate(key, node, path, state)
        else:
            found[key.value] = value
    return found


def _note_duplicate(second: ScalarNode, node: MappingNode, path: Path, state: LoadState) -> None:
    (file, line), (first_file, first_line) = place_of(second), place(node, (second.value,))
    first = f"in line {first_line}" if first_file == file else f"in {first_file}:{first_line}"
    state.problems.append(Problem(file, line, (*path, second.value), f"is written twice, first {first}"))


def _table(key_reader: Read, value_reader: Read, wanted: str = A_MAPPING) -> Read:
    def read(node: Node, path: Path, state: LoadState) -> Any:
        entries = _entries(node, path, state, wanted)
        if entries is INVALID:
            return INVALID
        found = {}
        for key, value_node in entries.items():
            name = key_reader(ScalarNode(TEXT, key), (*path, key), state)
            value = value_reader(value_node, (*path, key), state)
            if name is not INVALID and value is not INVALID:
                found[name] = value
        return found

    return read


def _items(item_reader: Read, collect: Callable[[list[Any]], Any]) -> Read:
    def read(node: Node, path: Path, state: LoadState) -> Any:
        if is_null(node):
            return collect([])
        if not isinstance(node, SequenceNode):
            return state.note(path, "must be a list: write [ and ] around it, or a line with - for each")
        found = [item_reader(item, (*path, number), state) for number, item in enumerate(node.value)]
        return collect([item for item in found if item is not INVALID])

    return read


LISTS: dict[Any, Callable[[list[Any]], Any]] = {
    list: list,
    tuple: tuple,
    Sequence: tuple,
    set: set,
    frozenset: frozenset,
}


def _annotated(wanted: Any, arguments: tuple[Any, ...]) -> Read:
    base, *notes = arguments
    if Alike() in notes:
        return _alike(reader_of(base))
    made = next((note for note in notes if isinstance(note, Parse)), None)
    then = next((note for note in notes if isinstance(note, Check)), None)
    if made is not None:
        return from_text(made.make)
    if get_origin(base) is Mapping:
        key_reader, value_reader = map(reader_of, get_args(base))
        return _table(key_reader, value_reader, _expected_mapping(notes))
    if then is None:
        return scalar(wanted)
    read_base, check = reader_of(base), then.check

    def read(node: Node, path: Path, state: LoadState) -> Any:
        before = len(state.problems)
        value = read_base(node, path, state)
        if value is INVALID or len(state.problems) > before:
            return INVALID
        try:
            return check(value, state.context)
        except ValueError as problem:
            return state.note(path, str(problem))

    return read


def _alike(read_one: Read) -> Read:
    def read(node: Node, path: Path, state: LoadState) -> Any:
        said = (read_one, content(node))
        if said in state.alike:
            return state.alike[said]
        before = len(state.problems)
        value = read_one(node, path, state)
        if len(state.problems) == before:
            state.alike[said] = value
        return value

    return read


def _expected_mapping(notes: Sequence[Any]) -> str:
    """What a mapping must be, in the words of its annotation."""
    [meta] = notes
    return f"must be a mapping of {meta.title}, such as {meta.examples[0]}"


def _union(arguments: tuple[Any, ...]) -> Read:
    options = [(_shape(option), reader_of(option)) for option in arguments if option is not type(None)]
    may_be_null = type(None) in arguments
    only = options[0][1] if len(options) == 1 else None

    def read(node: Node, path: Path, state: LoadState) -> Any:
        if may_be_null and is_null(node):
            return None
        before = len(state.problems)
        if only is not None:  # most unions are of a type and None
            value = only(node, path, state)
            return value if len(state.problems) == before else INVALID
        fitting = [option for shape, option in options if isinstance(node, shape)] or [options[0][1]]
        for option in fitting:
            del state.problems[before:]
            if (value := option(node, path, state)) is not INVALID and len(state.problems) == before:
                return value
        return INVALID

    return read


def _shape(wanted: Any) -> type[Node]:
    kind = get_origin(wanted) or wanted
    if kind is Annotated:
        return _shape(get_args(wanted)[0])
    if kind in (dict, Mapping) or (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return MappingNode
    return SequenceNode if kind in LISTS else Node if wanted in _MARKERS else ScalarNode


_MARKERS: dict[Any, Read] = {
    Raw: lambda node, path, state: Raw(node),  # noqa: ARG005
    NotSupported: lambda node, path, state: state.note(path, "not supported yet"),  # noqa: ARG005
}
