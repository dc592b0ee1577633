"""A tenant's own names for what it sends and reads: members, each found by an expression in another body.

A request map makes the standard body of the tenant's, a reply map the tenant's of the standard one. A member whose
expression finds null is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import msgspec

from gateway.core.errors import FieldError, TenantError
from gateway.core.expressions import STEPS, Budget, DoesNotFit, Expression, TooManySteps, size_of
from gateway.core.strictjson import JsonNumber
from gateway.core.wording import child_path

MAX_EXPRESSION_SHOWN = 500
"""Characters of an expression that an error shows."""

NOT_EXACT = "was calculated and may have lost digits: take a number as it was posted"

Problems = list[tuple[str, str]]
"""Paths of members that could not be made, and sentences."""


class MapRule(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One line of a map. ``member`` is dotted, such as ``order.items``; ``place`` is its ``FILE:LINE``."""

    member: str
    expression: Expression
    place: str

    @cached_property
    def steps(self) -> tuple[str, ...]:
        """The names on the way to the member."""
        return tuple(self.member.split("."))

    @cached_property
    def path(self) -> str:
        """The member as errors name it: ``$.order.items``."""
        path = "$"
        for step in self.steps:
            path = child_path(path, step)
        return path

    def __str__(self) -> str:
        """``settings.yaml:41: totals.grand``."""
        return f"{self.place}: {self.expression.text[:MAX_EXPRESSION_SHOWN]}"


class BodyMap(msgspec.Struct, frozen=True, kw_only=True):
    """One map of a tenant; none of its members is part of another."""

    name: str
    place: str
    rules: tuple[MapRule, ...]


def mapped_request(body_map: BodyMap, posted: Any, budget: Budget) -> tuple[dict[str, Any], Problems]:
    """Make our body of what a tenant posted, without the members that have problems."""
    body = without_fractions(posted)
    return _made(body_map, lambda expression: _exact(_bounded(expression.find(body, budget), budget)))


def mapped_reply(body_map: BodyMap, body: Any, budget: Budget) -> tuple[bytes, Problems]:
    """Write the tenant's body of a standard one. With problems it must not be used."""
    made, problems = _made(body_map, lambda expression: _bounded(expression.search(body, budget), budget))
    try:
        return msgspec.json.encode(made), problems
    except (TypeError, ValueError, RecursionError):
        return b"", [*problems, ("$", "cannot be written as JSON")]


def without_fractions(value: Any) -> Any:
    """What was posted, with every number other than an ``int`` as its text: nothing makes a float of it unasked."""
    if isinstance(value, dict):
        return {name: without_fractions(member) for name, member in value.items()}
    if isinstance(value, list):
        return [without_fractions(item) for item in value]
    return value.text if isinstance(value, JsonNumber) else value


def explained(body_map: BodyMap, refusal: TenantError) -> TenantError:
    """The refusal of a body that a map made: each member with the expressions it comes from."""
    errors = [
        FieldError(field=one.field, message=f"{one.message} ({_origin_of(body_map, one.field)})")
        if one.field.startswith("$.")
        else one
        for one in refusal.errors
    ]
    return TenantError(refusal.code, refusal.detail, errors=errors, **refusal.extra)


def _made(body_map: BodyMap, search: Callable[[Expression], Any]) -> tuple[dict[str, Any], Problems]:
    made: dict[str, Any] = {}
    problems = []
    for rule in body_map.rules:
        try:
            found = search(rule.expression)
        except (DoesNotFit, TooManySteps) as problem:
            problems.append((rule.path, str(problem)))
        else:
            if found is not None:
                _put(made, rule.steps, found)
    return made, problems


def _put(made: dict[str, Any], steps: tuple[str, ...], value: Any) -> None:
    *before, last = steps
    for step in before:
        made = made.setdefault(step, {})
    made[last] = value


def _bounded(found: Any, budget: Budget) -> Any:
    """What was found, unless it is too large: a few steps can name one part very often."""
    size = size_of(found, STEPS)
    budget.take(min(size, STEPS))
    if size > STEPS:
        raise TooManySteps
    return found


def _exact(found: Any) -> Any:
    """What was found, unless it holds a float, or what is not JSON at all."""
    if isinstance(found, dict | list):
        for one in found.values() if isinstance(found, dict) else found:
            _exact(one)
    elif found is not None and not isinstance(found, str | int):
        raise DoesNotFit(NOT_EXACT)
    return found


def _origin_of(body_map: BodyMap, field: str) -> str:
    """The rule that makes a field or what holds it, else those that make its parts."""
    around = [rule for rule in body_map.rules if _holds(rule.path, field)]
    rules = around or [rule for rule in body_map.rules if _holds(field, rule.path)]
    nothing = f"{body_map.place}: request map {body_map.name} has no expression for it"
    return "; ".join(map(str, rules)) or nothing


def _holds(path: str, part: str) -> bool:
    return part == path or part.startswith((f"{path}.", f"{path}["))
