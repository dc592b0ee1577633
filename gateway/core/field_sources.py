"""The places in ``CreatePayment`` that a declared field may take its value from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from gateway.core.commands import CreatePayment
from gateway.core.payment_urls import Urls


@cache
def source_paths() -> frozenset[str]:
    """Every path that leads to a single value, such as ``customer.email``; lists and mappings have none."""
    return frozenset(_paths(CreatePayment))


def _paths(kind: type, *before: str) -> Iterator[str]:
    for name, wanted in _members(kind):
        held, path = _held(wanted), (*before, name)
        if isinstance(held, type) and issubclass(held, msgspec.Struct | Urls):
            yield from _paths(held, *path)
        elif isinstance(held, type) or get_origin(held) not in (list, Mapping):
            yield ".".join(path)


def _members(kind: type) -> Iterator[tuple[str, Any]]:
    if kind is Urls:
        return ((name, str) for name, member in vars(Urls).items() if isinstance(member, property))
    return ((field.name, field.type) for field in msgspec.structs.fields(kind))


def _held(wanted: Any) -> Any:
    """A member's type without ``None`` and without limits."""
    if get_origin(wanted) is Annotated:
        return _held(get_args(wanted)[0])
    if get_origin(wanted) in (Union, UnionType):
        return _held(next(option for option in get_args(wanted) if option is not type(None)))
    return wanted
