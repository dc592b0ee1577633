"""The fields that one account sends, and the values a payment's create gives them.

Each kind of source has a function that reads it; an account's fields know theirs when the first payment is filled.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from operator import attrgetter
from typing import Any, Self

import msgspec

from gateway.core.commands import CreatePayment
from gateway.core.expressions import Expression, TooManySteps
from gateway.core.patterns import compile_pattern
from gateway.core.text_checks import is_blank, trimmed
from gateway.core.wording import child_path, unknown_name

Read = Callable[[CreatePayment], str]
"""The value of one field, empty for none. Raises ``FieldProblem`` where it cannot be taken."""


REQUIRED = "is required by this account"


class Origin(enum.StrEnum):
    """Where a wire member's value comes from."""

    PROVIDER = "provider"
    PAYMENT = "payment"
    CUSTOMER = "customer"
    CONSTANT = "constant"
    COMPUTED = "computed"


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field as one account sends it: canonical ``name``, wire ``key``, where the value comes from, its limits.

    ``is_asked``: of the customer, as additional parameters are, and members of ``customer`` that the account requires.
    """

    name: str
    key: str
    origin: Origin
    source: str = ""
    required: bool = False
    is_asked: bool = False
    value: str | None = None
    values: Mapping[str, str] = msgspec.field(default_factory=dict)
    computed: Expression | None = None
    label: Mapping[str, str] = msgspec.field(default_factory=dict)
    max_length: int = 255
    pattern: str | None = None
    choices: Mapping[str, Mapping[str, str]] = msgspec.field(default_factory=dict)

    @property
    def path(self) -> str:
        """The tenant's member that its value comes from, e.g. ``$.customer.email``."""
        return f"$.{self.source}" if self.source else f"$.fields.{self.name}"

    def path_in(self, command: CreatePayment) -> str:
        """The member of this command that its value comes from: what is asked may be in ``fields`` as well."""
        return f"$.fields.{self.name}" if self.name in command.fields else self.path


class FieldMap(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """All fields of one account: ``fields`` are sent, ``off`` were switched off.

    ``nested``: objects inside the body whose members the account changes, by place (``order.items[]``), each with all
    its fields, named by the last step.
    """

    fields: tuple[Field, ...] = ()
    off: frozenset[str] = frozenset()
    nested: Mapping[str, FieldMap] = msgspec.field(default_factory=dict)

    def key(self, name: str) -> str:
        """The wire key of a declared field. Raises ``KeyError`` for one that is switched off."""
        return self._keys[name]

    def asked(self) -> tuple[Field, ...]:
        """What the customer is asked for, under our names: members of the create's ``fields``."""
        return tuple(field for field in self.fields if field.is_asked)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """How a payment fills the fields; the provider's own come last. The plugin fills those without a source."""
        filled = [field for field in self.fields if field.origin is not Origin.PROVIDER]
        return tuple(map(step_of, sorted(filled, key=lambda field: field.origin is Origin.PAYMENT)))

    @cached_property
    def steps_by_name(self) -> Mapping[str, Step]:
        """``steps`` by the name of their field."""
        return {step.field.name: step for step in self.steps}

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
            return REQUIRED if field.required else None
        if len(value) > field.max_length:
            return f"has {len(value)} characters, at most {field.max_length} are allowed"
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
    members: list[Member] = []
    for step in fields.steps:
        field = step.field
        try:
            value = step.read(command)
        except FieldProblem as refused:
            problems += refused.problems
            continue
        value = field.values.get(value, value)
        is_surely_fine = step.fits is None and 0 < len(value) <= field.max_length  # as nearly all: no call for each
        problem = None if is_surely_fine else step.problem_of(value)
        if problem:
            problems.append((field.path_in(command), problem))
        elif value:
            members.append(Member(key=field.key, value=value, field=field))
    if problems:
        raise FieldProblem(problems)
    return members


def _foreign(name: str, known: Sequence[str]) -> str:
    return unknown_name(name, known, "is not a field of this account")


def step_of(field: Field) -> Step:
    """How a field is filled. Raises ``ValueError`` for a pattern that does not compile."""
    fits = None if field.pattern is None else compile_pattern(field.pattern).fits
    read = _reader(field)
    return Step(field, one_of(field, read) if field.choices else read, fits)


def _reader(field: Field) -> Read:
    if field.computed is not None:
        return computed(field, field.computed)
    match field.origin:
        case Origin.CONSTANT:
            return constant(field.value or "")
        case Origin.CUSTOMER:
            return asked_of_customer(field.name)
        case _:
            read = of_payment(field.source)
            return given_once(field, read) if field.is_asked else read


def one_of(field: Field, read: Read) -> Read:
    """A value from a closed list; any other is refused with the list."""

    def choose(command: CreatePayment) -> str:
        value = read(command)
        if value and value not in field.choices:
            raise FieldProblem.at(field.path_in(command), f"must be one of {', '.join(field.choices)}")
        return value

    return choose


def given_once(field: Field, read: Read) -> Read:
    """A member of the customer that ``fields`` may hold instead; both are refused where they differ."""
    asked = asked_of_customer(field.name)

    def either(command: CreatePayment) -> str:
        value, answer = read(command), asked(command) if command.fields else ""
        if value and answer and trimmed(value) != answer:
            raise FieldProblem.at(f"$.fields.{field.name}", f"differs from {field.path}: give one of them")
        return value or answer

    return either


def constant(value: str) -> Read:
    """The same for every payment."""
    return lambda _: value


def asked_of_customer(name: str) -> Read:
    """What the customer filled in."""
    return lambda command: trimmed(command.fields.get(name, ""))


def of_payment(source: str) -> Read:
    """A member of the command, such as ``customer.email``; a blank one counts as none."""
    get = attrgetter(source)

    def read(command: CreatePayment) -> str:
        try:
            found = get(command)
        except AttributeError:  # a part on the way is absent
            return ""
        value = "" if found is None else str(found)
        is_seen = "!" <= value[:1] <= "~"  # as ``is_blank`` itself asks first
        return value if is_seen or not is_blank(value) else ""

    return read


def computed(field: Field, expression: Expression) -> Read:
    """What an expression finds; nothing where that is a list or a mapping."""

    def read(command: CreatePayment) -> str:
        try:
            found = expression.search(document_of(command, expression.names))
        except TooManySteps as stopped:
            raise FieldProblem.at(field.path, f"from: {stopped}") from None
        if found is None or isinstance(found, dict | list):
            return ""
        return str(found).lower() if isinstance(found, bool) else str(found)

    return read


def document_of(command: CreatePayment, names: frozenset[str] | None = None) -> dict[str, Any]:
    """The payment as expressions see it: the shape of the create body, amounts as text without exponent.

    ``names``: the members to make; None for all.
    """
    return {name: make(command) for name, make in _DOCUMENT.items() if names is None or name in names}


def _part(name: str) -> Callable[[CreatePayment], Any]:
    get = attrgetter(name)
    return lambda command: msgspec.to_builtins(get(command), enc_hook="{:f}".format)


_DOCUMENT: Mapping[str, Callable[[CreatePayment], Any]] = {
    "id": attrgetter("payment_id"),
    "merchant_reference": attrgetter("merchant_reference"),
    "amount": lambda command: command.money.text(),
    "currency": attrgetter("money.currency"),
    **{name: _part(name) for name in ("customer", "order", "checkout", "fields", "metadata")},
}
