"""What is wrong with a map or a computed field, found when the settings are loaded: members that are nowhere.

Types stand for bodies, and an expression is followed through them as it would be through a value. What cannot be
followed, such as the result of a function, may be anything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache, partial
from typing import TypeAlias

import msgspec
from msgspec import inspect
from msgspec.structs import fields

from gateway.core.commands import Checkout, Customer, Order
from gateway.core.expressions import compile_expression, nodes_of
from gateway.core.money import Amount
from gateway.core.plain_expressions import Part
from gateway.core.request_bodies import CaptureBody, CreateBody, RefundBody, UpdateBody
from gateway.core.view_types import PaymentWithOperation, RefundWithPayment, WebhookBody, WebhookData
from gateway.core.wording import shortened, unknown_name

Shape: TypeAlias = tuple[inspect.Type, ...] | None
"""The types that a value may have; None for anything, empty for nothing."""

Follow: TypeAlias = Callable[[Part, Shape, list[str]], Shape]
"""(part of an expression, what it sees, problems so far) -> what it finds."""

REQUESTS = (CreateBody, UpdateBody, CaptureBody, RefundBody)
STANDARD = (PaymentWithOperation, RefundWithPayment, WebhookBody, WebhookData)
"""What reply maps see: answers, and webhooks, whose ``data`` they see as well."""

_INEXACT = frozenset({"avg", "to_number"})
"""Functions that make a float of an amount; all others make one of a float only."""


class PaymentSeen(msgspec.Struct):
    """What computed fields see: ``field_values.document_of``."""

    id: str
    merchant_reference: str
    amount: str
    currency: str
    customer: Customer
    order: Order
    checkout: Checkout
    fields: Mapping[str, str]
    metadata: Mapping[str, str]


def problem_of_place(member: str, members: Collection[str]) -> str | None:
    """Say why a dotted member of a map cannot be made beside the others."""
    steps = member.split(".")
    if not all(steps):
        return "must be names with one dot between two of them"
    holder = next((one for one in _holders(steps) if one in members), None)
    return None if holder is None else f"is a part of {holder}, which this map makes as a whole: leave one of them out"


def problem_of_request_member(member: str) -> str | None:
    """Say why no request has a dotted member."""
    shape, steps = _shape_of(REQUESTS), member.split(".")
    for step, holder in zip(steps, ("", *_holders(steps)), strict=True):
        found = _member(shape, step)
        if found == ():
            if _is_list(shape):
                return f'is inside a list: write {holder}: "lines[].{{{step}: …}}", with your own names on the right'
            return unknown_name(step, _names(shape), f"is not a member of {holder or 'any request'}")
        shape = found
    return None


def problem_of_amount(member: str, parsed: Part) -> str | None:
    """Say that an amount is the text of a number that may have lost digits: text hides it from the check of bodies."""
    shape = _shape_of(REQUESTS)
    for step in member.split("."):
        shape = _member(shape, step)
    is_amount = any(isinstance(one, inspect.CustomType) and one.cls is Amount for one in shape or ())
    texts = _calls(parsed, {"to_string"}) if is_amount else []
    if any(_calls(text, _INEXACT) for text in texts):
        return "is an amount, and to_number and avg may lose digits: take it as it was posted"
    return None


def _calls(part: Part, names: Collection[str]) -> list[Part]:
    """The calls of some functions in a part."""
    return [one for one, _ in nodes_of(part) if one["type"] == "function_expression" and one["value"] in names]


def missing_of_create(members: Iterable[str]) -> list[str]:
    """The mandatory members of a create that a map for creates does not make; a map for other requests needs none."""
    made = {member.partition(".")[0] for member in members}
    if made.issubset(_names(_shape_of(REQUESTS[1:]))):
        return []
    return [field.name for field in fields(CreateBody) if field.required and field.name not in made]


@cache
def problem_of_reading(text: str, kinds: tuple[type, ...] = STANDARD) -> str | None:
    """Say which member an expression, which compiles, reads although none of the bodies it sees has it."""
    problems: list[str] = []
    _found(compile_expression(text).parsed, _shape_of(kinds), problems)
    return next(iter(problems), None)


def _holders(steps: list[str]) -> list[str]:
    """``order``, ``order.charges`` for ``order.charges.total``."""
    return [".".join(steps[:count]) for count in range(1, len(steps))]


@cache
def _shape_of(kinds: tuple[type, ...]) -> Shape:
    return tuple(map(inspect.type_info, kinds))


def _kinds(info: inspect.Type) -> Iterator[inspect.Type]:
    """A type without limits and null; each of several."""
    if isinstance(info, inspect.UnionType | inspect.Metadata):
        for one in info.types if isinstance(info, inspect.UnionType) else (info.type,):
            yield from _kinds(one)
    elif not isinstance(info, inspect.NoneType):
        yield info


def _is_list(shape: Shape) -> bool:
    return bool(shape) and all(isinstance(one, inspect.ListType | inspect.VarTupleType) for one in shape or ())


def _names(shape: Shape) -> list[str]:
    structs = (one for one in shape or () if isinstance(one, inspect.StructType))
    return list(dict.fromkeys(field.encode_name for one in structs for field in one.fields))


def _member(shape: Shape, name: str) -> Shape:
    return None if shape is None else tuple(kind for one in shape for kind in _member_kinds(one, name))


def _member_kinds(info: inspect.Type, name: str) -> Iterator[inspect.Type]:
    if isinstance(info, inspect.StructType):
        for field in info.fields:
            if field.encode_name == name:
                yield from _kinds(field.type)
    elif isinstance(info, inspect.DictType):
        yield from _kinds(info.value_type)


def _elements(shape: Shape) -> Shape:
    if shape is None:
        return None
    lists = (one for one in shape if isinstance(one, inspect.ListType | inspect.VarTupleType))
    return tuple(kind for one in lists for kind in _kinds(one.item_type))


def _values(shape: Shape) -> Shape:
    found: list[inspect.Type] = []
    for one in shape or ():
        members = [field.type for field in one.fields] if isinstance(one, inspect.StructType) else []
        members += [one.value_type] if isinstance(one, inspect.DictType) else []
        found += [kind for member in members for kind in _kinds(member)]
    return None if shape is None else tuple(found)


def _list_of(shape: Shape) -> Shape:
    return None if shape is None else (inspect.ListType(inspect.UnionType(shape)),)


def _either(*shapes: Shape) -> Shape:
    """Each type once: otherwise every ``@ || @`` of a pipe would double them."""
    if None in shapes:
        return None
    return tuple({id(kind): kind for shape in shapes for kind in shape or ()}.values())


def _found(part: Part, shape: Shape, problems: list[str]) -> Shape:
    return _FOLLOW.get(part["type"], _each)(part, shape, problems)


def _field(part: Part, shape: Shape, problems: list[str]) -> Shape:
    name = part["value"]
    found = _member(shape, name)
    if found == ():
        shown = f'"{shortened(name)}"'
        if _is_list(shape):
            problems.append(f"reads {shown} of a list: write [].{shortened(name)}")
        else:
            otherwise = "what it is read of has no members"
            problems.append(
                unknown_name(name, _names(shape), f"reads {shown}, which is not there", otherwise=otherwise)
            )
        return None
    return found


def _in_turn(part: Part, shape: Shape, problems: list[str]) -> Shape:
    for child in part["children"]:
        shape = _found(child, shape, problems)
    return shape


def _same(_: Part, shape: Shape, __: list[str]) -> Shape:
    return shape


def _projected(part: Part, shape: Shape, problems: list[str], items: Callable[[Shape], Shape] = _elements) -> Shape:
    left, right, *conditions = part["children"]
    item = items(_found(left, shape, problems))
    for condition in conditions:
        _found(condition, item, problems)
    return _list_of(_found(right, item, problems))


def _flattened(part: Part, shape: Shape, problems: list[str]) -> Shape:
    items = _elements(_in_turn(part, shape, problems))
    inner = _elements(items)
    return _list_of(inner if inner else items)


def _one_of_both(part: Part, shape: Shape, problems: list[str]) -> Shape:
    return _either(*(_found(child, shape, problems) for child in part["children"]))


def _called(part: Part, shape: Shape, problems: list[str]) -> Shape:
    """A function may return anything; what stands after ``&`` sees the elements of the other arguments."""
    arguments = [_found(one, shape, problems) for one in part["children"] if one["type"] != "expref"]
    for one in part["children"]:
        if one["type"] == "expref":
            _in_turn(one, _elements(_either(*arguments)), problems)
    return None


def _each(part: Part, shape: Shape, problems: list[str]) -> Shape:
    for child in part["children"]:
        _found(child, shape, problems)
    return None


_FOLLOW: Mapping[str, Follow] = {
    "field": _field,
    "subexpression": _in_turn,
    "pipe": _in_turn,
    "index_expression": _in_turn,
    "current": _same,
    "identity": _same,
    "slice": _same,
    "index": lambda _, shape, __: _elements(shape),
    "projection": _projected,
    "filter_projection": _projected,
    "value_projection": partial(_projected, items=_values),
    "flatten": _flattened,
    "or_expression": _one_of_both,
    "and_expression": _one_of_both,
    "function_expression": _called,
}
"""How to follow each kind of part; the others find anything."""
