"""The objects inside a body: what an account may change in them, and what is sent then."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.field_mapping import FieldChange, FieldRule, compile_map, nested_on_wire
from gateway.core.field_values import FieldMap, FieldProblem
from gateway.core.nested_fields import fill_nested

DECLARED = {
    "amount": FieldRule(type="number", mandatory=True, locked=True),
    "order.items[].name": FieldRule(inside="lines[]", mandatory=True),
    "order.items[].price": FieldRule(inside="lines[]", type="number", mandatory=True, locked=True),
    "order.items[].sku": FieldRule(inside="lines[]"),
    "order.charges.total": FieldRule(inside="charges", type="number"),
    "order.charges.tax": FieldRule(inside="charges", type="number"),
    "order.address.city": FieldRule(inside="to.address"),
    "order.address.state": FieldRule(inside="to.address"),
}
SKU, CITY, TAX = "order.items[].sku", "order.address.city", "order.charges.tax"
OBJECTS = {
    "order.items[]": [{"name": "Jack", "price": 410, "sku": "J1"}, {"name": "Wrap", "price": 24, "sku": None}],
    "order.charges": {"total": 434, "tax": None},
    "order.address": {"city": "Reno", "state": "NV"},
}


def compiled(changes: dict[str, FieldChange]) -> FieldMap:
    """The map of an account whose changes are fine."""
    fields, problems = compile_map(DECLARED, changes)
    assert problems == []
    return fields


def sent(changes: dict[str, FieldChange], **objects: Any) -> dict[str, Any]:
    """The objects as they are sent; ``objects`` by the last step of their place."""
    given = {place: objects.get(place.rpartition(".")[2].strip("[]"), one) for place, one in OBJECTS.items()}
    return dict(fill_nested(compiled(changes), given))


def refusals(changes: dict[str, FieldChange], **objects: Any) -> list[tuple[str, str]]:
    """The problems the objects are refused with."""
    with pytest.raises(FieldProblem) as refused:
        sent(changes, **objects)
    return list(refused.value.problems)


def test_what_no_rule_names_is_left_alone() -> None:
    """Without nested rules the very objects come back, and of several only those are made again that change."""
    assert fill_nested(compiled({"vip": FieldChange()}), OBJECTS) is OBJECTS
    filled = fill_nested(compiled({CITY: FieldChange(key="town")}), OBJECTS)
    assert filled["order.items[]"] is OBJECTS["order.items[]"]


def test_rename_in_a_list() -> None:
    """Each object of a list has the account's key in the place of the provider's; absent members stay null."""
    items = sent({SKU: FieldChange(key="part_no")})["order.items[]"]
    assert items == [{"name": "Jack", "price": 410, "part_no": "J1"}, {"name": "Wrap", "price": 24, "part_no": None}]
    assert list(items[0]) == ["name", "price", "part_no"]


def test_rename_of_what_is_locked_and_of_numbers() -> None:
    """Keys of numbers can be changed, and two members can swap theirs; the numbers stay as they are."""
    changes = {
        "order.items[].price": FieldChange(key="name"),
        "order.items[].name": FieldChange(key="price"),
        TAX: FieldChange(key="vat"),
    }
    filled = sent(changes, charges={"total": 1, "tax": 2})
    assert filled["order.items[]"][0] == {"name": 410, "price": "Jack", "sku": "J1"}
    assert filled["order.charges"] == {"total": 1, "vat": 2}


def test_switched_off() -> None:
    """A member that is off is left out of every object."""
    filled = sent({SKU: FieldChange(enabled=False), TAX: FieldChange(enabled=False)})
    assert [list(item) for item in filled["order.items[]"]] == [["name", "price"]] * 2
    assert filled["order.charges"] == {"total": 434}


def test_constants_and_renamed_values() -> None:
    """A constant takes the place of a member or is added before the others; values are renamed."""
    changes = {
        SKU: FieldChange(value="none"),
        "order.items[].unit": FieldChange(key="uom", value="pcs"),
        "order.address.state": FieldChange(values={"NV": "Nevada", "": "?"}),
    }
    filled = sent(changes)
    assert filled["order.items[]"][1] == {"uom": "pcs", "name": "Wrap", "price": 24, "sku": "none"}
    assert next(iter(filled["order.items[]"][1])) == "uom"
    assert filled["order.address"]["state"] == "Nevada"
    assert sent(changes, address={"state": None})["order.address"] == {"state": "?"}


def test_required_and_limits() -> None:
    """Every member that lacks its value or does not fit is named by its place in the order."""
    changes = {SKU: FieldChange(required=True), TAX: FieldChange(required=True), CITY: FieldChange(max_length=3)}
    assert refusals(changes) == [
        ("$.order.items[1].sku", "is required by this account"),
        ("$.order.charges.tax", "is required by this account"),
        ("$.order.address.city", "has 4 characters, at most 3 are allowed"),
    ]
    assert refusals({CITY: FieldChange(pattern="[A-Z]+")}) == [("$.order.address.city", "does not match [A-Z]+")]


def test_an_object_that_is_absent() -> None:
    """An absent object stays absent, unless the account requires one of its members."""
    assert sent({CITY: FieldChange(key="town")}, address=None)["order.address"] is None
    constants = {"order.address.note": FieldChange(value="x"), CITY: FieldChange(value="x", required=True)}
    assert sent(constants, address=None)["order.address"] is None
    assert refusals({CITY: FieldChange(required=True)}, address=None) == [
        ("$.order.address.city", "is required by this account")
    ]


def test_a_member_that_is_not_sent_is_not_required() -> None:
    """A command that sends a part of an object is judged by that part."""
    assert sent({TAX: FieldChange(required=True)}, charges={"total": 1})["order.charges"] == {"total": 1}


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        (SKU, FieldChange(key="name"), 'key "name" is already used by field "name"'),
        ("order.items[].unit", FieldChange(key="sku", value="x"), 'key "sku" is already used by field "sku"'),
        (SKU, FieldChange(key="a b"), 'key "a b" must match'),
        ("order.items[].price", FieldChange(value="1"), "is locked: only its key can be changed"),
        ("order.items[].name", FieldChange(enabled=False), "is mandatory and cannot be switched off"),
        (TAX, FieldChange(value="1"), "is a number: only key, enabled and required can be changed"),
        (TAX, FieldChange(values={"0": "1"}), "is a number"),
        (TAX, FieldChange(pattern="[0-9]+"), "is a number"),
        (SKU, FieldChange(computed="amount"), "from: cannot be used in a nested field"),
        (SKU, FieldChange(computed="]"), "from: is not a JMESPath expression"),
        (SKU, FieldChange(label={"en": "SKU"}), "leave out label and choices"),
        (SKU, FieldChange(choices={"x": {}}), "leave out label and choices"),
        ("order.items[].unit", FieldChange(), "needs a value: an additional nested field is a constant"),
        (SKU, FieldChange(max_length=0), "max_length must be 1 to 255"),
        ("order.item[].sku", FieldChange(key="x"), 'did you mean "order.items[].sku"?'),
        ("order.adress.city", FieldChange(key="x"), 'did you mean "order.address.city"?'),
        ("order.address", FieldChange(key="x"), "is not a field of this provider"),
    ],
)
def test_problems_of_an_account(name: str, change: FieldChange, problem: str) -> None:
    """Each change that cannot be made is named as the settings do, with what would be right."""
    _, found = compile_map(DECLARED, {name: change})
    assert found[0][0] == name
    assert problem in found[0][1]


def test_the_same_key_in_two_objects() -> None:
    """Keys are unique within an object, not across them."""
    compiled({SKU: FieldChange(key="code"), CITY: FieldChange(key="code"), "vip": FieldChange(key="code")})


def test_a_provider_without_nested_fields() -> None:
    """Its names with dots are additional parameters as before; those that mean a list are refused."""
    declared = {"amount": FieldRule()}
    fields, problems = compile_map(declared, {"order.ref": FieldChange(), SKU: FieldChange(key="sku")})
    assert [field.key for field in fields.asked()] == ["order.ref"]
    assert problems == [(SKU, "is not a field of this provider")]


def test_a_declared_name_with_dots_may_be_flat() -> None:
    """Without an object on the wire it is filled from the payment under its whole name."""
    fields, _ = compile_map(
        {"user.mail": FieldRule(source="customer.email")}, {"user.mail": FieldChange(required=True)}
    )
    assert (fields.key("user.mail"), fields.nested) == ("user.mail", {})


def test_where_nested_fields_are_on_the_wire() -> None:
    """Those of every object, changed or not, under the account's keys; what is switched off is not there."""
    fields = compiled({SKU: FieldChange(key="part"), "order.items[].unit": FieldChange(value="x")})
    found = {path: field.name for path, field in nested_on_wire(DECLARED, fields).items()}
    assert found["lines[].part"] == SKU
    assert found["lines[].unit"] == "order.items[].unit"
    assert found["to.address.city"] == CITY
    off = nested_on_wire(DECLARED, compiled({CITY: FieldChange(enabled=False)}))
    assert "to.address.city" not in off
    assert len(off) == len(DECLARED) - 2
