"""Field mapping: what an account may change, and how an order's values become wire members."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.commands import Checkout, CreatePayment, Customer, Order
from gateway.core.field_mapping import FieldChange, FieldRule, compile_map
from gateway.core.field_values import FieldMap, FieldProblem, Origin, fill
from gateway.core.payment_urls import Urls
from tests.support.factories.payments import AT, usd

DECLARED = {
    "amount": FieldRule(type="number", mandatory=True, locked=True),
    "order_no": FieldRule(mandatory=True, source="payment_id"),
    "name": FieldRule(source="customer.name"),
    "email": FieldRule(source="customer.email"),
    "nationality": FieldRule(source="customer.nationality", meaning="country"),
}
TIERS = {"gold": {"en": "Gold", "de": "Gold"}, "silver": {}}


def compiled(**changes: FieldChange) -> FieldMap:
    """The map of an account whose changes are fine."""
    fields, problems = compile_map(DECLARED, changes)
    assert problems == []
    return fields


def problems_of(**changes: FieldChange) -> list[tuple[str, str]]:
    """What is wrong with an account's changes."""
    return compile_map(DECLARED, changes)[1]


def command(fields: dict[str, str] | None = None, **customer: Any) -> CreatePayment:
    """A create with a customer and values for additional parameters."""
    return CreatePayment(
        payment_id="pay_1",
        merchant_reference="SO-1",
        provider_reference=None,
        money=usd("10"),
        at=AT,
        operation_id="op_1",
        customer=Customer(**{"name": "Dana", **customer}),
        order=Order(),
        checkout=Checkout(),
        fields=fields or {},
        metadata={"warehouse": "7"},
        urls=Urls(callback="", return_="", cancel="", complete=""),
    )


def filled(fields: FieldMap, order: CreatePayment) -> list[tuple[str, str]]:
    """The wire members as (key, value), in order."""
    return [(member.key, member.value) for member in fill(fields, order)]


def refusals(fields: FieldMap, order: CreatePayment) -> list[tuple[str, str]]:
    """The problems an order is refused with."""
    with pytest.raises(FieldProblem) as refused:
        fill(fields, order)
    return list(refused.value.problems)


def test_unchanged_fields_have_their_own_names() -> None:
    """Without changes each declared field is sent under its canonical name."""
    assert filled(compiled(), command(email="d@x.example")) == [
        ("order_no", "pay_1"),
        ("name", "Dana"),
        ("email", "d@x.example"),
    ]


def test_rename() -> None:
    """``key`` changes the wire key, also of a locked field."""
    fields = compiled(amount=FieldChange(key="sum"), name=FieldChange(key="user.full-name"))
    assert fields.key("amount") == "sum"
    assert ("user.full-name", "Dana") in filled(fields, command())


def test_swap_of_two_keys() -> None:
    """Two fields may trade their keys."""
    fields = compiled(name=FieldChange(key="email"), email=FieldChange(key="name"))
    assert dict(filled(fields, command(email="d@x.example"))) == {
        "order_no": "pay_1",
        "email": "Dana",
        "name": "d@x.example",
    }


def test_switched_off() -> None:
    """A field that is off is not sent and has no key."""
    fields = compiled(nationality=FieldChange(enabled=False))
    assert fields.off == {"nationality"}
    assert "nationality" not in dict(filled(fields, command(nationality="us")))
    with pytest.raises(KeyError):
        fields.key("nationality")


def test_a_field_that_was_off_leaves_its_key() -> None:
    """The key of a field that is off may be used by another."""
    fields = compiled(nationality=FieldChange(enabled=False), country=FieldChange(key="nationality", value="US"))
    assert ("nationality", "US") in filled(fields, command())


def test_required() -> None:
    """A required field without a value is refused by the name of the tenant's member."""
    fields = compiled(email=FieldChange(required=True), custom_1=FieldChange(required=True))
    assert sorted(refusals(fields, command())) == [
        ("$.customer.email", "is required by this account"),
        ("$.fields.custom_1", "is required by this account"),
    ]


def test_constant() -> None:
    """A constant is sent whatever the order says, and the customer cannot set it."""
    fields = compiled(channel=FieldChange(value="web"))
    assert filled(fields, command())[0] == ("channel", "web")
    assert refusals(fields, command({"channel": "pos"})) == [("$.fields.channel", "is not a field of this account")]


def test_additional_parameter() -> None:
    """An additional parameter takes its value from ``fields``, without blanks around it."""
    fields = compiled(custom_1=FieldChange(key="vip"))
    assert [field.name for field in fields.asked()] == ["custom_1"]
    assert ("vip", "GOLD") in filled(fields, command({"custom_1": " GOLD "}))


def test_empty_values_are_left_out() -> None:
    """What has no value is not sent."""
    fields = compiled(custom_1=FieldChange())
    assert dict(filled(fields, command({"custom_1": "  "}))) == {"order_no": "pay_1", "name": "Dana"}


@pytest.mark.parametrize("blank", ["", "  ", "\t", "\u00a0", "\u200b", " \ufeff\u3000"])
def test_a_required_field_of_blanks_is_not_given(blank: str) -> None:
    """Blanks of any kind are no value, whoever fills the field in."""
    fields = compiled(custom_1=FieldChange(required=True))
    assert refusals(fields, command({"custom_1": blank})) == [("$.fields.custom_1", "is required by this account")]


def test_unknown_field_names() -> None:
    """Each name that the account does not ask for is refused, a declared one too."""
    assert refusals(compiled(custom_1=FieldChange()), command({"custom_2": "x", "name": "Eve", "amount": "1"})) == [
        ("$.fields.custom_2", 'is not a field of this account; did you mean "custom_1"?'),
        ("$.fields.name", "is not a field of this account; known are custom_1"),
        ("$.fields.amount", "is not a field of this account; known are custom_1"),
    ]


@pytest.mark.parametrize(
    ("change", "value", "problem"),
    [
        (FieldChange(pattern="[A-Z]+"), "gold", "does not match [A-Z]+"),
        (FieldChange(pattern="[A-Z]+"), "GOLD\n1", "does not match [A-Z]+"),
        (FieldChange(pattern="[A-Z]+"), "GOLDx", "does not match [A-Z]+"),
        (FieldChange(max_length=3), "GOLD", "has 4 characters, at most 3 are allowed"),
        (FieldChange(), "x" * 256, "has 256 characters, at most 255 are allowed"),
    ],
)
def test_limits(change: FieldChange, value: str, problem: str) -> None:
    """A value must match the whole pattern and fit the length."""
    assert refusals(compiled(custom_1=change), command({"custom_1": value})) == [("$.fields.custom_1", problem)]


@pytest.mark.parametrize("change", [FieldChange(pattern="[A-Z]+"), FieldChange(max_length=4)])
def test_values_within_their_limits(change: FieldChange) -> None:
    """A value that matches, or is exactly as long as allowed, is sent."""
    assert ("custom_1", "GOLD") in filled(compiled(custom_1=change), command({"custom_1": "GOLD"}))


@pytest.mark.parametrize(("given", "value"), [("gold", "1"), (" silver ", "silver"), ("", None)])
def test_a_choice_is_sent(given: str, value: str | None) -> None:
    """One of the choices, trimmed, is sent as the provider calls it; where none is required none may be made."""
    fields = compiled(custom_1=FieldChange(choices=TIERS, values={"gold": "1"}))
    assert dict(filled(fields, command({"custom_1": given}))).get("custom_1") == value


@pytest.mark.parametrize("given", ["1", "Gold", "golden"])
def test_what_is_no_choice_is_refused(given: str) -> None:
    """A value outside the list is refused with the list, also one that the provider would know."""
    fields = compiled(custom_1=FieldChange(choices=TIERS, values={"gold": "1"}))
    assert refusals(fields, command({"custom_1": given})) == [("$.fields.custom_1", "must be one of gold, silver")]


def test_a_declared_field_may_be_a_choice() -> None:
    """The list holds for a member of the order as well, which is then named."""
    fields = compiled(nationality=FieldChange(choices={"us": {}, "ca": {}}))
    assert ("nationality", "ca") in filled(fields, command(nationality="ca"))
    assert refusals(fields, command(nationality="de")) == [("$.customer.nationality", "must be one of us, ca")]


@pytest.mark.parametrize(
    ("answers", "customer", "sent"),
    [
        ({"nationality": " us "}, {}, "us"),
        ({}, {"nationality": "us"}, "us"),
        ({"nationality": "us"}, {"nationality": "us"}, "us"),
        ({"nationality": "us"}, {"nationality": " "}, "us"),
        ({"nationality": " "}, {"nationality": "us"}, "us"),
    ],
)
def test_a_required_field_is_asked(answers: dict[str, str], customer: dict[str, str], sent: str) -> None:
    """A member of the customer that the account requires may be given among the answers instead."""
    fields = compiled(nationality=FieldChange(key="country", required=True))
    assert [(field.name, field.label) for field in fields.asked()] == [("nationality", {"en": "country"})]
    assert ("country", sent) in filled(fields, command(answers, **customer))


def test_two_answers_are_refused() -> None:
    """An answer that differs from the customer's member is refused naming both; one that does not fit, by its name."""
    fields = compiled(nationality=FieldChange(required=True, max_length=2))
    assert refusals(fields, command({"nationality": "us"}, nationality="de")) == [
        ("$.fields.nationality", "differs from $.customer.nationality: give one of them")
    ]
    assert refusals(fields, command({"nationality": "usa"})) == [
        ("$.fields.nationality", "has 3 characters, at most 2 are allowed")
    ]


@pytest.mark.parametrize(
    "change", [FieldChange(), FieldChange(required=True, value="us"), FieldChange(required=True, computed="currency")]
)
def test_other_declared_fields_are_not_asked(change: FieldChange) -> None:
    """Neither one that may be absent nor one whose value is known is asked of the customer."""
    assert compiled(nationality=change).asked() == ()


def test_what_is_not_the_customers_is_not_asked() -> None:
    """A required field from elsewhere in the order is the tenant's to give."""
    fields, _ = compile_map({"ref": FieldRule(source="merchant_reference")}, {"ref": FieldChange(required=True)})
    assert fields.asked() == ()


def test_own_fields_come_last() -> None:
    """Extras stand before the provider's own fields, so that none can replace one."""
    fields = compiled(custom_1=FieldChange(), channel=FieldChange(value="web"))
    origins = [member.field.origin for member in fill(fields, command({"custom_1": "x"}))]
    assert origins == sorted(origins, key=lambda origin: origin is Origin.PAYMENT)
    assert origins[-1] is Origin.PAYMENT


def test_renamed_values() -> None:
    """``values`` replaces our value with the provider's; a value that is not named goes through."""
    fields = compiled(nationality=FieldChange(values={"us": "USA"}))
    assert ("nationality", "USA") in filled(fields, command(nationality="us"))
    assert ("nationality", "de") in filled(fields, command(nationality="de"))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("metadata.warehouse || 'none'", "7"),
        ("metadata.nothing || 'none'", "none"),
        ("amount", "10.00"),
        ("to_number(amount) > `5`", "true"),
        ("customer", None),
        ("metadata.nothing", None),
        ("abs(currency)", None),
    ],
)
def test_computed(expression: str, value: str | None) -> None:
    """A computed field is what its expression finds in the payment; nothing, or no plain value, is left out."""
    fields = compiled(branch=FieldChange(computed=expression))
    assert dict(filled(fields, command())).get("branch") == value


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("order_no", FieldChange(enabled=False), "is mandatory and cannot be switched off"),
        ("amount", FieldChange(enabled=False), "is mandatory and cannot be switched off"),
        ("amount", FieldChange(value="1"), "is locked: only its key can be changed"),
        ("amount", FieldChange(computed="'1'"), "is locked: only its key can be changed"),
        ("amount", FieldChange(values={"10": "1"}), "is locked: only its key can be changed"),
        ("amount", FieldChange(required=True), "is locked: only its key can be changed"),
        ("amount", FieldChange(key="sum", max_length=3), "is locked: only its key can be changed"),
        ("custom_1", FieldChange(max_length=0), "max_length must be 1 to 255"),
        ("name", FieldChange(max_length=256), "max_length must be 1 to 255"),
        ("custom_1", FieldChange(pattern="["), "pattern is not a regular expression: unterminated character set"),
        ("custom_1", FieldChange(computed="]"), "from: is not a JMESPath expression"),
        ("custom_1", FieldChange(value="1", computed="'1'"), "has both value and from"),
        ("custom_1", FieldChange(choices={"": {}}), 'choices: "" must be a text without blanks at its ends'),
        ("custom_1", FieldChange(choices={"gold ": {}}), 'choices: "gold " must be a text without blanks'),
        (
            "custom_1",
            FieldChange(choices=TIERS, max_length=4),
            'choices: "silver" has 6 characters, at most 4 are allowed',
        ),
        ("name", FieldChange(choices=TIERS, pattern="[dglo]+"), 'choices: "silver" does not match [dglo]+'),
        ("custom_1", FieldChange(choices=TIERS, values={"gold": "G" * 256}), 'choices: "gold" has 256 characters'),
        (
            "custom_1",
            FieldChange(choices=TIERS, values={"gold": ""}, required=True),
            'choices: "gold" is required by this account',
        ),
        ("custom_1", FieldChange(choices=TIERS, values={"Gold": "1"}), 'values: "Gold" is not among the choices'),
        ("custom_1", FieldChange(choices=TIERS, value="gold"), "leave out value and from"),
        ("name", FieldChange(choices=TIERS, computed="'gold'"), "leave out value and from"),
        ("custom_1", FieldChange(choices=TIERS, pattern="["), "pattern is not a regular expression"),
        ("amount", FieldChange(choices=TIERS), "is locked: only its key can be changed"),
        ("name", FieldChange(key="email"), 'key "email" is already used by field "name"'),
        ("custom_1", FieldChange(key="amount"), 'key "amount" is already used by field "amount"'),
        ("custom_1", FieldChange(key="1st"), 'key "1st" must match'),
        ("custom_1", FieldChange(key="a b"), "must match"),
        ("custom_1", FieldChange(key="a\n"), "must match"),
        ("custom_1", FieldChange(key="ä"), "must match"),
        ("custom_1", FieldChange(key="k" * 65), "must match"),
        ("sp ace", FieldChange(), "must match"),
    ],
)
def test_problems_of_an_account(name: str, change: FieldChange, problem: str) -> None:
    """Each change that cannot be made is one problem that says why."""
    found = problems_of(**{name: change})
    assert len(found) == 1, found
    assert problem in found[0][1]


def test_the_longest_key() -> None:
    """A wire key may have 64 characters."""
    assert compiled(custom_1=FieldChange(key="k" * 64)).key("custom_1") == "k" * 64


def test_all_problems_at_once() -> None:
    """Everything that is wrong is found in one go, each under its field."""
    found = problems_of(amount=FieldChange(value="1"), custom_1=FieldChange(key="name"), custom_2=FieldChange(key="1"))
    assert sorted(name for name, _ in found) == ["amount", "custom_1", "custom_2"]


def test_a_field_that_is_off_is_still_checked() -> None:
    """Limits that cannot be are a problem, switched off or not."""
    assert [name for name, _ in problems_of(custom_1=FieldChange(enabled=False, max_length=0))] == ["custom_1"]
