"""The explanation of a create: every value of a body has its origin, every field that is not there its reason."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.core.commands import Customer
from gateway.core.create_explanation import SentMember, left_out, sent_members
from gateway.core.field_mapping import FieldChange, FieldRule, compile_map, nested_on_wire
from gateway.core.field_values import FieldMap, Origin
from gateway.core.strictjson import JsonNumber
from tests.core.test_field_values import command

DECLARED = {
    "amount": FieldRule(type="number", mandatory=True, locked=True),
    "language": FieldRule(source="customer.language"),
    "phone": FieldRule(source="customer.phone"),
}
LINES = {"amount": "settings.yaml:7", "language": "settings.yaml:8", "vip": "settings.yaml:9"}


def compiled(**changes: FieldChange) -> FieldMap:
    """The map of an account."""
    fields, problems = compile_map(DECLARED, changes)
    assert problems == []
    return fields


def shown(body: Any, fields: FieldMap, **given: str) -> list[SentMember]:
    """The members of a body; ``given`` are members of the customer."""
    create = replace(command(), customer=Customer(**given))
    return sent_members(body, fields, create, LINES.get, lambda text: text.replace("s3cret", "***"))


def test_a_member_names_its_field_its_origin_and_its_rule() -> None:
    """By the wire key; a number keeps its digits."""
    fields = compiled(amount=FieldChange(key="sum"))
    members = shown({"sum": JsonNumber("25.50"), "language": "de", "phone": "1"}, fields, language="de", phone="1")
    assert [(one.key, one.field, one.origin, one.rule) for one in members] == [
        ("sum", "amount", Origin.PROVIDER, "settings.yaml:7"),
        ("language", "language", Origin.PAYMENT, "settings.yaml:8"),
        ("phone", "phone", Origin.PAYMENT, None),
    ]
    assert b'"value":25.50' in msgspec.json.encode(members[0])


def test_a_nested_body_is_shown_value_by_value() -> None:
    """Lists by number, empty objects and nulls too; what no field has is the provider's."""
    body = {"a": [{"b": "1"}, {"b": None}], "c": {}, "d": {"e": True}}
    assert [(one.key, one.value, one.field) for one in shown(body, compiled())] == [
        ("a[0].b", "1", None),
        ("a[1].b", None, None),
        ("c", {}, None),
        ("d.e", True, None),
    ]


def test_the_account_s_fields_are_found_in_the_object_that_has_them() -> None:
    """A member of the same name elsewhere is another one, even with the same value."""
    body = {"phone": "7", "extra": {"phone": "1", "language": "de"}, "address": {"phone": "1"}}
    fields = [one.field for one in shown(body, compiled(), phone="1", language="de")]
    assert fields == [None, "phone", "language", None]
    by_value = shown({"phone": "7", "extra": {"phone": "1"}}, compiled(), phone="1")
    assert [one.field for one in by_value] == [None, "phone"]


def test_nested_fields_are_shown_and_left_out_by_their_whole_name() -> None:
    """By path on the wire, whatever the number of the item; what is off or has no object is left out."""
    rule = FieldRule(inside="lines[]")
    declared = {"order.items[].sku": rule, "order.items[].size": rule, "order.to.city": FieldRule(inside="to")}
    changes = {
        "order.items[].sku": FieldChange(key="part"),
        "order.items[].size": FieldChange(enabled=False),
        "order.to.city": FieldChange(key="town"),
    }
    fields, _ = compile_map(declared, changes)
    body, rule_of = {"lines": [{"part": "A"}, {"part": None}]}, {"order.items[].sku": "s.yaml:3"}.get
    nested = nested_on_wire(declared, fields)
    members = sent_members(body, fields, command(), rule_of, str, nested)
    assert [(one.key, one.field, one.origin, one.rule) for one in members] == [
        ("lines[0].part", "order.items[].sku", Origin.PAYMENT, "s.yaml:3"),
        ("lines[1].part", "order.items[].sku", Origin.PAYMENT, "s.yaml:3"),
    ]
    assert {one.field: one.why for one in left_out(members, command(), fields, LINES.get, nested)} == {
        "order.items[].size": "is switched off",
        "order.to.city": "order.to.city is not given",
    }


def test_secrets_are_masked_in_values() -> None:
    """A value is shown as the mask leaves it."""
    assert shown({"key": "a s3cret"}, compiled())[0].value == "a ***"


@pytest.mark.parametrize("body", ["text", None, [], {}])
def test_a_body_without_members_has_none(body: Any) -> None:
    """Nothing is invented."""
    assert shown(body, compiled()) == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (FieldChange(), "fields.vip is not given"),
        (FieldChange(value=""), "its value is empty"),
        (FieldChange(computed="metadata.nothing"), "from finds no text, number or boolean"),
        (FieldChange(value="a", values={"a": ""}), "its values rename this one to nothing"),
        (FieldChange(enabled=False), "is switched off"),
    ],
)
def test_an_additional_parameter_that_is_left_out(change: FieldChange, why: str) -> None:
    """The reason is that of its kind, with the place of its rule."""
    fields = compiled(vip=change)
    found = {one.field: one for one in left_out([], command(), fields, LINES.get)}
    assert (found["vip"].why, found["vip"].rule) == (why, "settings.yaml:9")


def test_a_declared_field_that_is_left_out() -> None:
    """Switched off, absent in the payment, or not sent by its plugin."""
    fields = compiled(phone=FieldChange(enabled=False))
    found = {one.field: one.why for one in left_out([], command(language=None), fields, LINES.get)}
    assert found == {
        "amount": "its provider does not send it with this payment",
        "language": "customer.language is not given",
        "phone": "is switched off",
    }


def test_what_is_sent_is_not_left_out() -> None:
    """A field is in one of the two lists, never in both."""
    fields = compiled()
    members = shown({"amount": JsonNumber("1"), "language": "en-us"}, fields, language="en-us")
    assert [one.field for one in left_out(members, command(), fields, LINES.get)] == ["phone"]
