"""What a create sends, member by member: where each value comes from, and what is left out and why. Pure."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gateway.core.commands import CreatePayment
from gateway.core.field_values import Field, FieldMap, FieldProblem, Origin, Step, fill
from gateway.core.strictjson import JsonNumber

Rule = Annotated[
    str | None, Meta(description="Where the settings say so, as `settings.yaml:41`; null for the provider's default.")
]
RuleOf = Callable[[str], str | None]
"""Where the settings change a field; None where they do not."""

Steps = tuple[str | int, ...]


class SentMember(msgspec.Struct, frozen=True, kw_only=True):
    """One member of the request's body."""

    key: Annotated[str, Meta(description="The key on the wire; inside others by path, as `cart_items[0].price`.")]
    value: Annotated[Any, Meta(description="The value as it is sent; secrets are `***`.")]
    field: Annotated[str | None, Meta(description="The field's name; null for what only the provider knows.")]
    origin: Annotated[Origin, Meta(description="Where the value comes from.")]
    rule: Rule


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """One field that is not sent."""

    field: Annotated[str, Meta(description="The field's name.")]
    why: Annotated[str, Meta(description="Why it is not sent.")]
    rule: Rule


class CreateExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """What would be sent to the provider for a create. Nothing of it was stored or sent."""

    members: Annotated[list[SentMember], Meta(description="Every member of the body.")]
    left_out: Annotated[list[LeftOut], Meta(description="The fields that are not sent.")]
    body: Annotated[str, Meta(description="The exact body; secrets are `***`.")]
    signed: Annotated[
        str | None, Meta(description="The text that is signed, `***` for the secret; null where nothing is signed.")
    ]
    curl: Annotated[
        str, Meta(description="The request as a curl command, with placeholders for secrets; empty where none is made.")
    ]


def sent_members(
    body: Any,
    fields: FieldMap,
    command: CreatePayment,
    rule_of: RuleOf,
    mask: Callable[[str], str],
    nested: Mapping[str, Field] = MappingProxyType({}),
) -> list[SentMember]:
    """Every value in the parsed body of a create, with the field that it belongs to; ``nested`` by path on the wire."""
    declared = {field.key: field for field in fields.fields}
    within = _holder(body, declared, _filled(fields, command))
    shown = []
    for steps, value in values_of(body):
        field = declared.get(str(steps[-1])) if steps[:-1] == within else nested.get(_pattern(steps))
        shown.append(
            SentMember(
                key=path_of(steps),
                value=_plain(value, mask),
                field=None if field is None else field.name,
                origin=Origin.PROVIDER if field is None else field.origin,
                rule=None if field is None else rule_of(field.name),
            )
        )
    return shown


def left_out(
    members: Sequence[SentMember],
    command: CreatePayment,
    fields: FieldMap,
    rule_of: RuleOf,
    nested: Mapping[str, Field] = MappingProxyType({}),
) -> list[LeftOut]:
    """Every field of an account that is not in the body, with the reason."""
    sent = {member.field for member in members}
    why = {field.name: _why(field, fields.steps_by_name.get(field.name), command) for field in fields.fields}
    why |= {field.name: f"{field.name} is not given" for field in nested.values()}
    off = (*fields.off, *(f"{place}.{name}" for place, inner in fields.nested.items() for name in inner.off))
    why |= dict.fromkeys(sorted(off), "is switched off")
    return [LeftOut(field=name, why=text, rule=rule_of(name)) for name, text in why.items() if name not in sent]


def _why(field: Field, step: Step | None, command: CreatePayment) -> str:
    value = ""
    with contextlib.suppress(FieldProblem):  # of a plugin that fills none of them
        value = "" if step is None else step.read(command)
    if value and not field.values.get(value, value):
        return "its values rename this one to nothing"
    return _NOT_SENT if value else _NO_VALUE[field.origin].format(path=field.path.removeprefix("$."))


_NOT_SENT = "its provider does not send it with this payment"
_NO_VALUE: Mapping[Origin, str] = {
    Origin.PROVIDER: _NOT_SENT,
    Origin.PAYMENT: "{path} is not given",
    Origin.CUSTOMER: "{path} is not given",
    Origin.CONSTANT: "its value is empty",
    Origin.COMPUTED: "from finds no text, number or boolean",
}


def _filled(fields: FieldMap, command: CreatePayment) -> dict[str, str]:
    """The values of the fields by wire key; none for a plugin that sends them without their rules."""
    with contextlib.suppress(FieldProblem):
        return {member.key: member.value for member in fill(fields, command)}
    return {}


def _holder(body: Any, declared: Mapping[str, Field], filled: Mapping[str, str]) -> Steps:
    """The object of a body that has the account's fields: with most of their keys, and the values filled in."""

    def found(one: tuple[Steps, Mapping[str, Any]]) -> int:
        return sum(key in declared and filled.get(key, value) == value for key, value in one[1].items())

    return max(_objects(body), key=found, default=((), {}))[0]


def _objects(value: Any, steps: Steps = ()) -> Iterator[tuple[Steps, Mapping[str, Any]]]:
    if isinstance(value, dict):
        yield steps, value
    for step, inner in _inside(value):
        yield from _objects(inner, (*steps, step))


def values_of(value: Any, steps: Steps = ()) -> Iterator[tuple[Steps, Any]]:
    """What is inside, object by object and item by item; an empty one is a value."""
    for step, inner in _inside(value):
        path = (*steps, step)
        yield from values_of(inner, path) if isinstance(inner, dict | list) and inner else ((path, inner),)


def _inside(value: Any) -> Iterator[tuple[str | int, Any]]:
    return iter(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())


def _pattern(steps: Steps) -> str:
    """A path without the numbers of items: ``cart_items[].sku``."""
    return "".join("[]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")


def path_of(steps: Steps) -> str:
    """The way to a value as people write it: ``cart_items[0].price``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return text.removeprefix(".")


def _plain(value: Any, mask: Callable[[str], str]) -> Any:
    if isinstance(value, JsonNumber):
        return msgspec.Raw(value.text.encode())
    return mask(value) if isinstance(value, str) else value
