"""Values of fields: renamed and computed ones, together with the limits of a field."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.core.commands import Checkout, CreatePayment, Customer, Item, Order
from gateway.core.field_mapping import FieldChange, FieldRule, compile_map
from gateway.core.field_values import FieldMap, FieldProblem, Origin, document_of, fill
from gateway.core.money import Amount
from gateway.core.payment_urls import Urls
from tests.support.factories.payments import AT, usd

DECLARED = {
    "amount": FieldRule(type="number", mandatory=True, locked=True),
    "language": FieldRule(source="customer.language"),
    "user_id": FieldRule(mandatory=True, source="customer.id"),
}
ITEM = Item(merchant_id="P-1", name="Jack", price=Amount("1.10"), quantity=2)
TINY = Item(merchant_id="P-2", name="Dust", price=Amount("0.0000001"), quantity=1)


def compiled(**changes: FieldChange) -> FieldMap:
    """The map of an account whose changes are fine."""
    fields, problems = compile_map(DECLARED, changes)
    assert problems == []
    return fields


def command(language: str | None = "en-us", **fields: str) -> CreatePayment:
    """A create with a customer, an order, metadata and values for additional parameters."""
    return CreatePayment(
        payment_id="pay_1",
        merchant_reference="SO-1",
        provider_reference=None,
        money=usd("1067.30"),
        at=AT,
        operation_id="op_1",
        customer=Customer(id="C-88", language=language),
        order=Order(items=[ITEM, TINY]),
        checkout=Checkout(mode="link"),
        fields=fields,
        metadata={"warehouse": "7", "empty": ""},
        urls=Urls(callback="", return_="", cancel="", complete=""),
    )


def sent(fields: FieldMap, order: CreatePayment) -> dict[str, str]:
    """The wire members by key."""
    return {member.key: member.value for member in fill(fields, order)}


def refusals(fields: FieldMap, order: CreatePayment) -> list[tuple[str, str]]:
    """The problems an order is refused with."""
    with pytest.raises(FieldProblem) as refused:
        fill(fields, order)
    return list(refused.value.problems)


VALUES = {"en-us": "EN", "de": "DE", "gold": "1", "none": ""}


@pytest.mark.parametrize(
    ("change", "given", "value"),
    [
        (FieldChange(values=VALUES), {}, None),
        (FieldChange(values=VALUES), {"x": "gold"}, "1"),
        (FieldChange(values=VALUES), {"x": " gold "}, "1"),
        (FieldChange(values=VALUES), {"x": "GOLD"}, "GOLD"),
        (FieldChange(values=VALUES), {"x": "none"}, None),
        (FieldChange(values=VALUES, value="de"), {}, "DE"),
        (FieldChange(values=VALUES, computed="customer.language"), {}, "EN"),
        (FieldChange(values={"true": "1", "false": "0"}, computed="currency == 'USD'"), {}, "1"),
        (FieldChange(values={"true": "1", "false": "0"}, computed="currency == 'EUR'"), {}, "0"),
        (FieldChange(values={"": "?"}), {}, "?"),
    ],
)
def test_values_are_renamed_wherever_they_come_from(
    change: FieldChange, given: dict[str, str], value: str | None
) -> None:
    """``values`` renames what the customer gave, a constant and a computed value; what becomes empty is left out."""
    assert sent(compiled(x=change), command(**given)).get("x") == value


def test_values_of_a_declared_field() -> None:
    """A declared field may have a key and renamed values of its own."""
    fields = compiled(language=FieldChange(key="lang", values=VALUES))
    assert [sent(fields, command(language)).get("lang") for language in ("en-us", "fr", None)] == ["EN", "fr", None]


@pytest.mark.parametrize(
    ("change", "given", "problem"),
    [
        (
            FieldChange(values={"gold": "first class"}, max_length=5),
            {"x": "gold"},
            "has 11 characters, at most 5 are allowed",
        ),
        (FieldChange(values={"gold": "G1"}, pattern="[A-Z]+"), {"x": "gold"}, "does not match [A-Z]+"),
        (FieldChange(values={"gold": ""}, required=True), {"x": "gold"}, "is required by this account"),
        (FieldChange(computed="metadata.empty", required=True), {}, "is required by this account"),
        (FieldChange(computed="metadata.warehouse", pattern="[A-Z]+"), {}, "does not match [A-Z]+"),
        (
            FieldChange(computed="join('', [id, id, id])", max_length=10),
            {},
            "has 15 characters, at most 10 are allowed",
        ),
    ],
)
def test_limits_are_those_of_what_is_sent(change: FieldChange, given: dict[str, str], problem: str) -> None:
    """Limits judge the value that would be sent, and name the field also where no member of the order holds it."""
    assert refusals(compiled(x=change), command(**given)) == [("$.fields.x", problem)]


def test_expression_that_takes_too_many_steps() -> None:
    """A computed value that cannot be found within the steps is a problem of its field; the others are still judged."""
    endless = " | ".join(["metadata", *["[@, @][]"] * 20])
    fields = compiled(x=FieldChange(computed=endless), y=FieldChange(max_length=2))
    assert refusals(fields, command(y="long")) == [
        ("$.fields.x", "from: takes more than 20000 steps over this payment"),
        ("$.fields.y", "has 4 characters, at most 2 are allowed"),
    ]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("id", "pay_1"),
        ("merchant_reference", "SO-1"),
        ("amount", "1067.30"),
        ("order.items[0].price", "1.10"),
        ("order.items[1].price", "0.0000001"),
        ("order.items[0].quantity", "2"),
        ("length(order.items)", "2"),
        ("checkout.mode", "link"),
        ("fields.vip", "gold"),
        ("metadata.warehouse", "7"),
        ("customer.email", None),
        ("order.items", None),
        ("amount < `2000`", None),
    ],
)
def test_what_an_expression_sees(expression: str, value: str | None) -> None:
    """An expression sees the payment in the shape of the create body, amounts as text with all their digits."""
    fields = compiled(vip=FieldChange(), x=FieldChange(computed=expression))
    assert sent(fields, command(vip="gold")).get("x") == value


def test_the_document_is_plain() -> None:
    """Expressions are given text, whole numbers, lists and mappings, nothing of ours."""
    document = document_of(command())
    assert msgspec.json.decode(msgspec.json.encode(document)) == document


@pytest.mark.parametrize(
    ("names", "made"), [({"metadata", "branch"}, {"metadata"}), ({"id", "order"}, {"id", "order"}), (set(), set())]
)
def test_only_what_is_looked_at_is_made(names: set[str], made: set[str]) -> None:
    """Each member as in the whole document."""
    whole = document_of(command())
    assert document_of(command(), frozenset(names)) == {name: whole[name] for name in made}


def test_declared_field_may_be_computed() -> None:
    """A computed value replaces what the order says, and a problem of it names the member of the order."""
    fields = compiled(user_id=FieldChange(computed="metadata.warehouse"), language=FieldChange(computed="'x'"))
    assert sent(fields, command()) == {"user_id": "7", "language": "x"}
    empty = compiled(user_id=FieldChange(computed="metadata.empty"))
    assert refusals(empty, command()) == [("$.customer.id", "is required by this account")]


def test_computed_is_not_asked_of_the_customer() -> None:
    """A computed field is none that the customer fills in."""
    fields = compiled(branch=FieldChange(computed="'7'"))
    assert fields.asked() == ()
    assert refusals(fields, command(branch="8")) == [("$.fields.branch", "is not a field of this account")]


def test_origin_tells_what_was_computed() -> None:
    """A member knows that its value was computed and with which expression."""
    [member] = [one for one in fill(compiled(x=FieldChange(computed="'7'")), command()) if one.key == "x"]
    assert (member.field.origin, repr(member.field.computed)) == (Origin.COMPUTED, "Expression(\"'7'\")")


@pytest.mark.parametrize("name", ["language", "x"])
def test_broken_expression_is_one_problem(name: str) -> None:
    """An expression that does not compile is one problem, and the rest of the map is still checked."""
    changes: dict[str, Any] = {name: FieldChange(computed="foo(@)"), "y": FieldChange(key="user_id")}
    _, problems = compile_map(DECLARED, changes)
    assert sorted(problems) == [
        (name, 'from: is not a JMESPath expression: unknown function "foo"'),
        ("y", 'key "user_id" is already used by field "user_id"'),
    ]
