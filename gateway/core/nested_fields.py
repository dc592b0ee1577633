"""An account's changes to the objects inside a body: an order's items, charges and addresses.

The plugin writes each object under the provider's own names, and ``fill_nested`` renames, replaces and leaves out what
the account changes. It serves every command that sends such an object, not only the create.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.field_values import REQUIRED, FieldMap, FieldProblem, Origin, Step

Objects = Mapping[str, Any]
"""By place (``order.items[]``, ``order.charges``): an object, a list of objects, or None where the order has none."""


def fill_nested(fields: FieldMap, objects: Objects) -> Objects:
    """The objects as the account sends them; those it does not change are the same ones.

    Constants that are not the provider's own come first, so that none replaces a member. What is not text (numbers)
    only changes its key. Raises ``FieldProblem`` with every problem.
    """
    if not fields.nested:
        return objects
    problems: list[tuple[str, str]] = []
    filled = {
        place: _filled(place, given, fields.nested[place], problems) if place in fields.nested else given
        for place, given in objects.items()
    }
    if problems:
        raise FieldProblem(problems)
    return filled


def _filled(place: str, given: Any, fields: FieldMap, problems: list[tuple[str, str]]) -> Any:
    path = f"$.{place}"
    if given is None:
        lacking = (field for field in fields.fields if field.required and field.origin is Origin.PAYMENT)
        problems += [(field.path, REQUIRED) for field in lacking]
        return None
    if isinstance(given, list):
        path = path.removesuffix("[]")
        return [_object(f"{path}[{number}]", members, fields, problems) for number, members in enumerate(given)]
    return _object(path, given, fields, problems)


def _object(path: str, given: dict[str, Any], fields: FieldMap, problems: list[tuple[str, str]]) -> dict[str, Any]:
    constants: dict[str, Any] = dict.fromkeys(field.name for field in fields.fields if not field.source)
    filled = {}
    for name, value in (constants | given).items():
        step = fields.steps_by_name.get(name)
        if step is not None:
            filled[step.field.key], problem = _member(step, value)
            problems += [(f"{path}.{name}", problem)] if problem else []
        elif name not in fields.off:
            filled[name] = value
    return filled


def _member(step: Step, given: Any) -> tuple[Any, str | None]:
    """What is sent, and what is wrong with it; None stays None, which providers write as null."""
    value = given if step.field.value is None else step.field.value
    if value is not None and not isinstance(value, str):
        return value, None
    value = step.field.values.get(value or "", value)
    return value, step.problem_of(value or "")
