"""A tenant's request maps and reply maps, read -> resolved: members that there are, each made by one expression."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from yaml.nodes import Node

from gateway.core.body_maps import BodyMap, MapRule
from gateway.core.expressions import Expression
from gateway.core.map_checks import problem_of_amount, problem_of_place, problem_of_reading, problem_of_request_member
from gateway.drivers.settings.problems import unknown_entry
from gateway.drivers.settings.scalar_reader import LoadState
from gateway.drivers.settings.yaml_file import names_at, place

_NONE: Mapping[str, BodyMap] = MappingProxyType({})
"""Shared by thousands of tenants."""

_CHECKS: Mapping[str, Callable[[str, Expression, Node], str | None]] = {
    "request_maps": lambda *line: (
        problem_of_request_member(line[0]) or _problem_of_name(*line) or problem_of_amount(line[0], line[1].parsed)
    ),
    "reply_maps": lambda _, expression, __: problem_of_reading(expression.text),
}
"""What may be wrong with one line of a map, beside its place in the body: member, expression, the tenant's section."""

_NAMED = {"account": "accounts", "deposit_method": "deposit_methods"}
"""Members that name something in the tenant's section, and where."""


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
        problem = problem_of_place(member, rules) or _CHECKS[key](member, expression, node)
        if problem is not None:
            state.note(("tenants", tenant, *path, member), problem)
    made = [
        MapRule(member=member, expression=expression, place=_place(node, (*path, member)))
        for member, expression in rules.items()
    ]
    return BodyMap(name=name, place=_place(node, path), rules=tuple(made))


def _problem_of_name(member: str, expression: Expression, node: Node) -> str | None:
    """Say that a name which is written out, such as ``'psp-main'``, does not exist."""
    written, section = expression.parsed, _NAMED.get(member)
    if section is None or written["type"] != "literal":
        return None
    known = names_at(node, (section,))
    return None if written["value"] in known else unknown_entry(member.replace("_", " "), str(written["value"]), known)


def _place(node: Node, path: tuple[str, ...]) -> str:
    file, line = place(node, path)
    return f"{file}:{line}"
