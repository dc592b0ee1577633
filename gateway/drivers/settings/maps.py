"""A tenant's request maps and reply maps, read -> resolved: members that there are, each made by one expression."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from yaml.nodes import Node

from gateway.core.body_maps import BodyMap, MapRule
from gateway.core.expressions import Expression
from gateway.core.map_checks import problem_of_place, problem_of_reading, problem_of_request_member
from gateway.drivers.settings.scalar_reader import LoadState
from gateway.drivers.settings.yaml_file import place

_NONE: Mapping[str, BodyMap] = MappingProxyType({})
"""Shared by thousands of tenants."""

_CHECKS: Mapping[str, Callable[[str, Expression], str | None]] = {
    "request_maps": lambda member, _: problem_of_request_member(member),
    "reply_maps": lambda _, expression: problem_of_reading(expression.text),
}
"""What may be wrong with one line of a map, beside its place in the body."""


def resolve_maps(
    tenant: str, key: str, given: Mapping[str, Mapping[str, Expression]], node: Node, state: LoadState
) -> Mapping[str, BodyMap]:
    """Resolve ``key`` of a tenant, ``request_maps`` or ``reply_maps``; ``node`` is the tenant's section."""
    if not given:
        return _NONE
    return {name: _resolve_map(tenant, (key, name), rules, node, state) for name, rules in given.items()}


def _resolve_map(
    tenant: str, path: tuple[str, str], rules: Mapping[str, Expression], node: Node, state: LoadState
) -> BodyMap:
    key, name = path
    for member, expression in rules.items():
        problem = problem_of_place(member, rules) or _CHECKS[key](member, expression)
        if problem is not None:
            state.note(("tenants", tenant, *path, member), problem)
    made = [
        MapRule(member=member, expression=expression, place=_place(node, (*path, member)))
        for member, expression in rules.items()
    ]
    return BodyMap(name=name, place=_place(node, path), rules=tuple(made))


def _place(node: Node, path: tuple[str, ...]) -> str:
    file, line = place(node, path)
    return f"{file}:{line}"
