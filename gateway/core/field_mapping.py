"""Field mapping: our names -> the wire keys one account wants. One engine for every provider.

A provider declares its canonical fields (``FieldRule``); a tenant's account changes them (``FieldChange``): rename,
switch off, require, rename values, constant, computed, additional parameter. Own fields are merged last, so an extra
can never replace one.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from typing import Annotated, Self

import msgspec
from msgspec.structs import replace

from gateway.core.commands import CreatePayment
from gateway.core.expressions import Expression, TooManySteps, compile_expression
from gateway.core.field_values import Read, asked_of_customer, computed, constant, of_payment
from gateway.core.patterns import compile_pattern
from gateway.core.wording import child_path, unknown_name

WIRE_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


class FieldRule(msgspec.Struct, frozen=True, kw_only=True):
    """One canonical field of a provider.

    ``type``: JSON type on the wire. ``mandatory`` ones cannot be switched off. ``locked`` ones may only be renamed.
    ``source``: where its value is in ``CreatePayment`` (``customer.email``); empty = the plugin fills it.
    """

    type: str = "string"
    mandatory: bool = False
    locked: bool = False
    source: str = ""
    meaning: str = ""


Labels = Annotated[Mapping[str, str], msgspec.Meta(title="languages", examples=["{en: Card}"])]
"""A text by language."""


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


class Origin(enum.StrEnum):
    """Where a wire member's value comes from."""

    PROVIDER = "provider"
    PAYMENT = "payment"
    CUSTOMER = "customer"
    CONSTANT = "constant"
    COMPUTED = "computed"


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field as one account sends it: canonical ``name``, wire ``key``, where the value comes from, its limits."""

    name: str
    key: str
    origin: Origin
    source: str = ""
    required: bool = False
    value: str | None = None
    values: Mapping[str, str] = msgspec.field(default_factory=dict)
    computed: Expression | None = None
    label: Mapping[str, str] = msgspec.field(default_factory=dict)
    max_length: int = 255
    pattern: str | None = None

    @property
    def path(self) -> str:
        """The tenant's member that its value comes from, e.g. ``$.customer.email``."""
        return f"$.{self.source}" if self.source else f"$.fields.{self.name}"


class FieldMap(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """All fields of one account: ``fields`` are sent, ``off`` were switched off."""

    fields: tuple[Field, ...] = ()
    off: frozenset[str] = frozenset()

    def key(self, name: str) -> str:
        """The wire key of a declared field. Raises ``KeyError`` for one that is switched off."""
        return self._keys[name]

    def asked(self) -> tuple[Field, ...]:
        """The additional parameters the customer fills in."""
        return tuple(field for field in self.fields if field.origin is Origin.CUSTOMER)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """How a payment fills the fields; the provider's own come last. The plugin fills those without a source."""
        filled = [field for field in self.fields if field.origin is not Origin.PROVIDER]
        return tuple(map(_step, sorted(filled, key=lambda field: field.origin is Origin.PAYMENT)))

    @cached_property
    def _keys(self) -> dict[str, str]:
        return {field.name: field.key for field in self.fields}


class Step(msgspec.Struct, frozen=True):
    """How one field is filled: read its value, and whether that fits the field's pattern, if it has one."""

    field: Field
    read: Read
    fits: Callable[[str], bool] | None

    def problem_of(self, value: str) -> str | None:
        """What is wrong with the value that would be sent."""
        field = self.field
        if not value:
            return "is required by this account" if field.required else None
        if len(value) > field.max_length:
            return f"is longer than {field.max_length} characters"
        return None if self.fits is None or self.fits(value) else f"does not match {field.pattern}"


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One wire member: its key, its text, and where that came from."""

    key: str
    value: str
    field: Field


class FieldProblem(ValueError):
    """A value of the order does not fit a field. ``path`` is the tenant's member, e.g. ``$.fields.custom_1``."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{path}: {message}" for path, message in problems))
        self.problems = tuple(problems)

    @classmethod
    def at(cls, path: str, message: str) -> Self:
        """One problem."""
        return cls([(path, message)])


def compile_map(
    declared: Mapping[str, FieldRule], changes: Mapping[str, FieldChange]
) -> tuple[FieldMap, list[tuple[str, str]]]:
    """Combine a provider's fields with an account's changes. Returns the map and (name, problem) pairs."""
    problems: list[tuple[str, str]] = []
    fields: list[Field] = []
    off: set[str] = set()
    for name, rule in declared.items():
        change = changes.get(name)
        if change is None:
            fields.append(_unchanged(name, rule))
            continue
        problems += [(name, problem) for problem in _problems_of(rule, change)]
        if change.enabled:
            fields.append(_own(name, rule, _compilable(change)))
        else:
            off.add(name)
    for name, change in changes.items():
        if name not in declared:
            if change.enabled:
                fields.append(_additional(name, _compilable(change)))
            problems += [(name, problem) for problem in _problems_of_limits(change)]
    problems += _problems_of_keys(fields)
    return FieldMap(fields=tuple(fields), off=frozenset(off)), problems


def fill(fields: FieldMap, command: CreatePayment) -> list[Member]:
    """Take each field's value from the command; empty ones are left out, own fields come last.

    Fields the plugin fills itself (no source) are not in the result. Raises ``FieldProblem`` with every problem.
    """
    problems: list[tuple[str, str]] = []
    if command.fields:
        known = [field.name for field in fields.asked()]
        problems += [
            (child_path("$.fields", name), _foreign(name, known)) for name in command.fields if name not in known
        ]
    found: list[tuple[Step, str, str | None]] = []
    for step in fields.steps:
        try:
            value = step.read(command)
            found.append((step, step.field.values.get(value, value), None))
        except TooManySteps as stopped:
            found.append((step, "", f"from: {stopped}"))
    problems += [(one.field.path, wrong) for one, value, no in found if (wrong := no or one.problem_of(value))]
    if problems:
        raise FieldProblem(problems)
    return [Member(key=one.field.key, value=value, field=one.field) for one, value, _ in found if value]


def _foreign(name: str, known: Sequence[str]) -> str:
    return unknown_name(name, known, "is not a field of this account")


def _step(field: Field) -> Step:
    fits = None if field.pattern is None else compile_pattern(field.pattern).fits
    return Step(field, _reader(field), fits)


def _reader(field: Field) -> Read:
    if field.computed is not None:
        return computed(field.computed)
    match field.origin:
        case Origin.CONSTANT:
            return constant(field.value or "")
        case Origin.CUSTOMER:
            return asked_of_customer(field.name)
        case _:
            return of_payment(field.source)


@cache
def _unchanged(name: str, rule: FieldRule) -> Field:
    """A field as its provider declares it: one for all accounts that leave it so."""
    return _own(name, rule, FieldChange())


def _own(name: str, rule: FieldRule, change: FieldChange) -> Field:
    origin = Origin.PAYMENT if rule.source else Origin.PROVIDER
    return _field(name, change, otherwise=origin, source=rule.source, required=change.required or rule.mandatory)


def _additional(name: str, change: FieldChange) -> Field:
    return _field(name, change, otherwise=Origin.CUSTOMER, source="", required=change.required)


def _field(name: str, change: FieldChange, *, otherwise: Origin, source: str, required: bool) -> Field:
    """A field as the account sends it. Its expression was compiled before, so it compiles."""
    origin = Origin.CONSTANT if change.value is not None else otherwise
    return Field(
        name=name,
        key=change.key or name,
        origin=Origin.COMPUTED if change.computed is not None else origin,
        source=source,
        required=required,
        value=change.value,
        values=change.values,
        computed=None if change.computed is None else compile_expression(change.computed),
        label=change.label,
        max_length=change.max_length or 255,
        pattern=change.pattern,
    )


def _problems_of(rule: FieldRule, change: FieldChange) -> list[str]:
    problems = _problems_of_limits(change)
    if not change.enabled and (rule.mandatory or rule.locked):
        problems.append("is mandatory and cannot be switched off")
    elif rule.locked and change != FieldChange(key=change.key):
        problems.append("is locked: only its key can be changed")
    return problems


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
    return problems


def _problems_of_keys(fields: Sequence[Field]) -> list[tuple[str, str]]:
    problems = []
    taken: dict[str, str] = {}
    for field in fields:
        if WIRE_KEY.fullmatch(field.key) is None:
            problems.append((field.name, f"key {field.key[:80]!r} must match {WIRE_KEY.pattern}"))
        elif field.key in taken:
            problems.append((field.name, f"key {field.key!r} is already used by field {taken[field.key]!r}"))
        taken.setdefault(field.key, field.name)
    return problems
