"""Read parsed JSON as one of our types and name every member that cannot be used, in JSON's words.

``msgspec.convert`` reads what is right, fast, and stops at the first mistake; this reader is for all other bodies. It
walks the same types and goes on after a problem. Besides, it takes a whole number in any spelling (``2.0``) for an
integer, and a text of blanks for an absent one wherever the empty text is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from gateway.core.commands import MUST
from gateway.core.documents import amount_hook
from gateway.core.strictjson import JsonNumber
from gateway.core.text_checks import control_in, has_lines, is_blank
from gateway.core.wording import child_path, joined_with_or, unknown_name

MAX_UNKNOWN_NAMED = 50
"""Unknown members of one object that are named."""

MAX_POWER_OF_TEN = 18
"""Powers of ten beyond which no whole number is read."""

Problems = list[tuple[str, str]]
"""Paths and sentences."""

T = TypeVar("T", bound=msgspec.Struct)


class ProblemList(Problems):
    """The problems found so far, as (path, sentence)."""

    def add(self, path: str, sentence: str) -> Any:
        """Note a problem. Returns None, for the value that cannot be used."""
        self.append((path, sentence))


Reader = Callable[[Any, Any, str, ProblemList], Any]
"""(type, value, path, notes) -> the value, or None after noting why it cannot be used."""


def read(data: Any, wanted: type[T]) -> tuple[T | None, Problems]:
    """Read JSON as a Struct. With problems, members that cannot be used are None in it; it is None for no object."""
    notes = ProblemList()
    return _read(_info(wanted), data, "$", notes), notes


@cache
def _info(wanted: type) -> inspect.Type:
    return inspect.type_info(wanted)


def _read(info: Any, value: Any, path: str, notes: ProblemList) -> Any:
    return READERS[type(info)](info, value, path, notes)


def _struct(info: inspect.StructType, value: Any, path: str, notes: ProblemList) -> Any:
    if not isinstance(value, dict):
        return _wrong_kind("an object", value, path, notes)
    fields = {field.encode_name: field for field in info.fields}
    if info.forbid_unknown_fields:
        for name in [name for name in value if name not in fields][:MAX_UNKNOWN_NAMED]:
            notes.add(child_path(path, name), unknown_name(name, fields, otherwise="this request takes no members"))
    members = {}
    for name, field in fields.items():
        if name in value and not (_may_be_empty(field) and isinstance(value[name], str) and is_blank(value[name])):
            members[field.name] = _read(field.type, value[name], child_path(path, name), notes)
        elif field.required:
            members[field.name] = notes.add(child_path(path, name), "is required")
    return info.cls(**members)


def _may_be_empty(field: inspect.Field) -> bool:
    """Whether an optional member may be the empty text, which says the same as leaving it out."""
    text = _without_null(field.type)
    return not field.required and isinstance(text, inspect.StrType) and not text.min_length


def _without_null(info: inspect.Type) -> inspect.Type:
    while isinstance(info, inspect.UnionType | inspect.Metadata):
        options = info.types if isinstance(info, inspect.UnionType) else (info.type,)
        info = next(option for option in options if not isinstance(option, inspect.NoneType))
    return info


def _union(info: inspect.UnionType, value: Any, path: str, notes: ProblemList) -> Any:
    """Optional values: null, or what the one other type says."""
    if value is None:
        return None
    return _read(next(one for one in info.types if not isinstance(one, inspect.NoneType)), value, path, notes)


def _metadata(info: inspect.Metadata, value: Any, path: str, notes: ProblemList) -> Any:
    must = (info.extra or {}).get(MUST)
    if isinstance(info.type, inspect.StrType):
        return _text(info.type, value, path, notes, must)
    if isinstance(info.type, inspect.IntType):
        return _integer(info.type, value, path, notes, must)
    return _read(info.type, value, path, notes)


def _text(info: inspect.StrType, value: Any, path: str, notes: ProblemList, must: str | None = None) -> Any:
    if not isinstance(value, str):
        return _wrong_kind("a string", value, path, notes)
    problem = _problem_of_text(info, value, must)
    return value if problem is None else notes.add(path, problem)


def _problem_of_text(info: inspect.StrType, value: str, must: str | None = None) -> str | None:
    control = control_in(value)
    if control is not None:
        return f"must not hold control characters such as {control}"
    if info.min_length and not value:
        return "must not be empty"
    if info.min_length and is_blank(value):
        return "must not be blank"
    if info.max_length is not None and len(value) > info.max_length:
        return f"has {len(value)} characters, at most {info.max_length} are allowed"
    if info.pattern is not None and (has_lines(value) or re.search(info.pattern, value) is None):
        return must or "has characters that are not allowed here"
    return None


def _integer(info: inspect.IntType, value: Any, path: str, notes: ProblemList, must: str | None = None) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | JsonNumber):
        return _wrong_kind("a whole number", value, path, notes)
    exact = value.decimal() if isinstance(value, JsonNumber) else Decimal(value)
    if exact.adjusted() <= MAX_POWER_OF_TEN and exact % 1:
        return notes.add(path, must or "must be a whole number")
    if info.ge is not None and exact < info.ge:
        return notes.add(path, f"must be at least {info.ge}")
    if info.le is not None and exact > info.le:
        return notes.add(path, f"must be at most {info.le}")
    return int(exact) if exact.adjusted() <= MAX_POWER_OF_TEN else notes.add(path, "has too many digits")


def _boolean(_: inspect.BoolType, value: Any, path: str, notes: ProblemList) -> Any:
    return value if isinstance(value, bool) else _wrong_kind("true or false", value, path, notes)


def _choice(info: inspect.LiteralType, value: Any, path: str, notes: ProblemList) -> Any:
    return value if value in info.values else notes.add(path, f"must be {joined_with_or(info.values)}")


def _moment(info: inspect.DateTimeType, value: Any, path: str, notes: ProblemList) -> Any:
    try:
        found = msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        found = None
    if found is None or (info.tz and found.tzinfo is None):
        return notes.add(path, "must be a time with its zone such as 2026-01-31T12:00:00Z")
    return found


def _custom(info: inspect.CustomType, value: Any, path: str, notes: ProblemList) -> Any:
    try:
        return amount_hook(info.cls, value)
    except ValueError as problem:
        return notes.add(path, str(problem))


def _list(info: inspect.ListType, value: Any, path: str, notes: ProblemList) -> Any:
    if not isinstance(value, list):
        return _wrong_kind("an array", value, path, notes)
    if info.min_length is not None and len(value) < info.min_length:
        return notes.add(path, f"has {len(value)} items, at least {info.min_length} are needed")
    if info.max_length is not None and len(value) > info.max_length:
        return notes.add(path, f"has {len(value)} items, at most {info.max_length} are allowed")
    return [_read(info.item_type, item, child_path(path, number), notes) for number, item in enumerate(value)]


def _dict(info: inspect.DictType, value: Any, path: str, notes: ProblemList) -> Any:
    if not isinstance(value, dict):
        return _wrong_kind("an object", value, path, notes)
    if info.max_length is not None and len(value) > info.max_length:
        return notes.add(path, f"has {len(value)} members, at most {info.max_length} are allowed")
    for name in value:
        problem = _problem_of_text(_without_null(info.key_type), name)  # type: ignore[arg-type]  # names are texts
        if problem is not None:
            notes.add(child_path(path, name), f"the name {problem}")
    return {name: _read(info.value_type, item, child_path(path, name), notes) for name, item in value.items()}


def _wrong_kind(wanted: str, value: Any, path: str, notes: ProblemList) -> Any:
    return notes.add(path, f"must be {wanted}, not {_KINDS[type(value)]}")


_KINDS: Mapping[type, str] = {
    str: "a string",
    int: "a number",
    JsonNumber: "a number",
    bool: "a boolean",
    list: "an array",
    dict: "an object",
    type(None): "null",
}

READERS: Mapping[type[inspect.Type], Reader] = {
    inspect.StructType: _struct,
    inspect.UnionType: _union,
    inspect.Metadata: _metadata,
    inspect.StrType: _text,
    inspect.IntType: _integer,
    inspect.BoolType: _boolean,
    inspect.LiteralType: _choice,
    inspect.DateTimeType: _moment,
    inspect.CustomType: _custom,
    inspect.ListType: _list,
    inspect.DictType: _dict,
}
"""Every kind of type that a body may be made of."""
