"""Field mapping: our names -> the wire keys one account wants. One engine for every provider.

A provider declares its canonical fields (``FieldRule``); a tenant's account changes them (``FieldChange``): rename,
switch off, require, rename values, constant, computed, closed list, additional parameter. Own fields are merged last,
so an extra can never replace one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any

import msgspec
from msgspec.structs import replace

from gateway.core.expressions import compile_expression
from gateway.core.field_values import Field, FieldMap, Origin, step_of
from gateway.core.patterns import compile_pattern
from gateway.core.text_checks import trimmed
from gateway.core.wording import shortened, unknown_name

WIRE_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


class FieldRule(msgspec.Struct, frozen=True, kw_only=True):
    """One canonical field of a provider.

    ``type``: JSON type on the wire. ``mandatory`` ones cannot be switched off. ``locked`` ones may only be renamed.
    ``source``: where its value is in ``CreatePayment`` (``customer.email``); empty = the plugin fills it.
    ``inside`` makes it nested: the object on the wire that holds it (``cart_items[]``). Its name is then its place in
    the order (``order.items[].sku``).
    """

    type: str = "string"
    mandatory: bool = False
    locked: bool = False
    source: str = ""
    meaning: str = ""
    inside: str = ""


Labels = Annotated[Mapping[str, str], msgspec.Meta(title="languages", examples=["{en: Card}"])]
"""A text by language."""

Choices = Annotated[Mapping[str, Labels], msgspec.Meta(title="choices", examples=["{gold: {en: Gold}}"])]
"""The values of a closed list, ours, each with its label."""


class FieldChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"computed": "from"}):
    """One entry under an account's ``fields`` in the settings.

    ``value`` makes it a constant, ``computed`` (``from``) a JMESPath expression over the payment; ``values`` renames
    values: ours on the left, the provider's on the right.
    """

    key: str | None = None
    enabled: bool = True
    required: bool = False
    value: str | None = None
    values: Mapping[str, str] = msgspec.field(default_factory=dict)
    computed: str | None = None
    label: Labels = msgspec.field(default_factory=dict)
    max_length: int | None = None
    pattern: str | None = None
    choices: Choices = msgspec.field(default_factory=dict)


def compile_map(
    declared: Mapping[str, FieldRule], changes: Mapping[str, FieldChange]
) -> tuple[FieldMap, list[tuple[str, str]]]:
    """Combine a provider's fields with an account's changes. Returns the map and (name, problem) pairs."""
    rules = _by_object(declared)
    changed: dict[str, dict[str, FieldChange]] = {"": {}}
    problems: list[tuple[str, str]] = []
    roots = {place.partition(".")[0] for place in rules if place}
    for name, change in changes.items():
        place, _, member = name.rpartition(".")
        if place and place in rules:
            changed.setdefault(place, {})[member] = change
        elif "[]." in name or (place and name.partition(".")[0] in roots):
            nested = [known for known, rule in declared.items() if rule.inside]
            problems.append((name, unknown_name(name, nested, "is not a field of this provider")))
        else:
            changed[""][name] = change
    maps = {place: _compile(place, rules[place], those, problems) for place, those in changed.items()}
    return replace(maps.pop(""), nested=maps), problems


def nested_on_wire(declared: Mapping[str, FieldRule], fields: FieldMap) -> Mapping[str, Field]:
    """Every nested field that an account sends, by its path on the wire (``cart_items[].sku``), with its whole name."""
    inside = {name.rpartition(".")[0]: rule.inside for name, rule in declared.items() if rule.inside}
    untouched, _ = compile_map(declared, {name: FieldChange() for name, rule in declared.items() if rule.inside})
    return {
        f"{inside[place]}.{field.key}": replace(field, name=f"{place}.{field.name}")
        for place, members in {**untouched.nested, **fields.nested}.items()
        for field in members.fields
    }


def _by_object(declared: Mapping[str, FieldRule]) -> dict[str, dict[str, FieldRule]]:
    """The rules of each object by the last step of their names; those of flat fields, under "", by the whole name."""
    objects: dict[str, dict[str, FieldRule]] = {"": {}}
    for name, rule in declared.items():
        if rule.inside:
            place, _, member = name.rpartition(".")
            objects.setdefault(place, {})[member] = rule
        else:
            objects[""][name] = rule
    return objects


def _compile(
    place: str,
    declared: Mapping[str, FieldRule],
    changes: Mapping[str, FieldChange],
    problems: list[tuple[str, str]],
) -> FieldMap:
    """The fields of one object, or the flat ones, which have no place."""
    fields: list[Field] = []
    found: list[tuple[str, str]] = []
    for name, rule in declared.items():
        rule = replace(rule, source=f"{place}.{name}") if place else rule
        change = changes.get(name)
        if change is None:
            fields.append(_unchanged(name, rule))
            continue
        found += [(name, problem) for problem in _problems_of(rule, change)]
        if change.enabled:
            fields.append(_own(name, rule, _compilable(change)))
    for name, change in changes.items():
        if name not in declared:
            if change.enabled:
                fields.append(_additional(name, _compilable(change)))
            found += [(name, problem) for problem in _problems_of_limits(change)]
        if place:
            found += [(name, problem) for problem in _problems_of_nested(declared.get(name), change)]
    found += _problems_of_keys(fields)
    problems += [(f"{place}.{name}" if place else name, problem) for name, problem in found]
    off = frozenset(name for name, change in changes.items() if not change.enabled)
    return FieldMap(fields=tuple(fields), off=off)


@cache
def _unchanged(name: str, rule: FieldRule) -> Field:
    """A field as its provider declares it: one for all accounts that leave it so."""
    return _own(name, rule, FieldChange())


def _own(name: str, rule: FieldRule, change: FieldChange) -> Field:
    origin = _origin(change, Origin.PAYMENT if rule.source else Origin.PROVIDER)
    return Field(
        source=rule.source,
        required=change.required or rule.mandatory,
        is_asked=change.required and origin is Origin.PAYMENT and rule.source.startswith("customer."),
        label={"en": rule.meaning, **change.label} if rule.meaning else change.label,
        **_changed(name, change, origin),
    )


def _additional(name: str, change: FieldChange) -> Field:
    origin = _origin(change, Origin.CUSTOMER)
    return Field(
        required=change.required,
        is_asked=origin is Origin.CUSTOMER,
        label=change.label,
        **_changed(name, change, origin),
    )


def _origin(change: FieldChange, otherwise: Origin) -> Origin:
    if change.computed is not None:
        return Origin.COMPUTED
    return otherwise if change.value is None else Origin.CONSTANT


def _changed(name: str, change: FieldChange, origin: Origin) -> dict[str, Any]:
    """What a change says of any field. Its expression was compiled before, so it compiles."""
    return {
        "name": name,
        "key": name if change.key is None else change.key,
        "origin": origin,
        "value": change.value,
        "values": change.values,
        "computed": None if change.computed is None else compile_expression(change.computed),
        "max_length": change.max_length or 255,
        "pattern": change.pattern,
        "choices": change.choices,
    }


def _problems_of(rule: FieldRule, change: FieldChange) -> list[str]:
    problems = _problems_of_limits(change)
    if not change.enabled and (rule.mandatory or rule.locked):
        problems.append("is mandatory and cannot be switched off")
    elif rule.locked and change != FieldChange(key=change.key):
        problems.append("is locked: only its key can be changed")
    return problems


def _problems_of_nested(rule: FieldRule | None, change: FieldChange) -> list[str]:
    """What a nested field cannot be: nobody is asked for it, and expressions see the payment, not its object."""
    problems = []
    if change.computed is not None:
        problems.append("from: cannot be used in a nested field: write value, or leave it out")
    if change.label or change.choices:
        problems.append("is nested and not asked of the customer: leave out label and choices")
    if rule is None and change.enabled and change.value is None and change.computed is None:
        problems.append("needs a value: an additional nested field is a constant")
    if rule is not None and rule.type != "string" and not rule.locked and change != _of_number(change):
        problems.append(f"is a {rule.type}: only key, enabled and required can be changed")
    return problems


def _of_number(change: FieldChange) -> FieldChange:
    return FieldChange(key=change.key, enabled=change.enabled, required=change.required)


def _compilable(change: FieldChange) -> FieldChange:
    """The change without an expression that does not compile (which is a problem of its own)."""
    return replace(change, computed=None) if _expression_problem(change) else change


def _expression_problem(change: FieldChange) -> str | None:
    if change.computed is None:
        return None
    try:
        compile_expression(change.computed)
    except ValueError as problem:
        return f"from: {problem}"
    return None


def _problems_of_limits(change: FieldChange) -> list[str]:
    problems = []
    if change.value is not None and change.computed is not None:
        problems.append("has both value and from")
    expression = _expression_problem(change)
    if expression is not None:
        problems.append(expression)
    if change.max_length is not None and not 1 <= change.max_length <= 255:
        problems.append("max_length must be 1 to 255")
    if change.pattern is not None:
        try:
            compile_pattern(change.pattern)
        except ValueError as problem:
            problems.append(str(problem))
    return problems or _problems_of_choices(change) or _problems_of_constant(change)


def _problems_of_constant(change: FieldChange) -> list[str]:
    """A constant that every payment would be refused for."""
    if change.value is None:
        return []
    problem = step_of(_additional("", change)).problem_of(change.values.get(change.value, change.value))
    return [f"value: {problem}"] if problem else []


def _problems_of_choices(change: FieldChange) -> list[str]:
    """Choices that no customer could make, checked like a payment's value."""
    if not change.choices:
        return []
    if change.value is not None or change.computed is not None:
        return ["choices: only a value that is asked for can be chosen, so leave out value and from"]
    renamed = (shortened(name) for name in change.values if name and name not in change.choices)
    problems = [f'values: "{name}" is not among the choices' for name in renamed]
    step = step_of(_additional("", change))
    for choice in change.choices:
        problem = step.problem_of(change.values.get(choice, choice))
        if not choice or trimmed(choice) != choice:
            problem = "must be a text without blanks at its ends"
        problems += [f'choices: "{shortened(choice)}" {problem}'] if problem else []
    return problems


def _problems_of_keys(fields: Sequence[Field]) -> list[tuple[str, str]]:
    problems = []
    taken: dict[str, str] = {}
    for field in fields:
        if WIRE_KEY.fullmatch(field.key) is None:
            problems.append((field.name, f'key "{field.key[:80]}" must match {WIRE_KEY.pattern}'))
        elif field.key in taken:
            problems.append((field.name, f'key "{field.key}" is already used by field "{taken[field.key]}"'))
        taken.setdefault(field.key, field.name)
    return problems
