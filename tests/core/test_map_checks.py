"""Checks of maps: which members a request may have, and which members of standard bodies an expression may read."""

from __future__ import annotations

import pytest

from gateway.core.commands import Order
from gateway.core.expressions import compile_expression
from gateway.core.field_values import document_of
from gateway.core.map_checks import (
    PaymentSeen,
    problem_of_amount,
    problem_of_place,
    problem_of_reading,
    problem_of_request_member,
)
from tests.support.factories.creditkey import create


@pytest.mark.parametrize(
    "member",
    ["amount", "order", "order.items", "order.charges.total", "customer.phone", "metadata.any", "reason", "fields.x"],
)
def test_members_of_any_request_may_be_made(member: str) -> None:
    """Those of a create, a PATCH, a capture and a refund."""
    assert problem_of_request_member(member) is None


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ("amuont", 'is not a member of any request; did you mean "amount"?'),
        ("order.charge.total", 'is not a member of order; did you mean "charges"?'),
        ("order.items.sku", 'is inside a list: write order.items: "lines[].{sku: …}", with your own names'),
        ("metadata.a.b", "is not a member of metadata.a"),
        ("customer.phone.x", "is not a member of customer.phone"),
    ],
)
def test_members_of_no_request_are_mistakes(member: str, said: str) -> None:
    """Each says what was meant, or how it is written."""
    assert (problem_of_request_member(member) or "").startswith(said)


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ("order.items", "is a part of order, which this map makes as a whole: leave one of them out"),
        ("orders", None),
        ("order", None),
        ("a..b", "must be names with one dot between two of them"),
        (".a", "must be names with one dot between two of them"),
        ("", "must be names with one dot between two of them"),
    ],
)
def test_a_member_is_made_once(member: str, said: str | None) -> None:
    """Nothing is part of another member."""
    assert problem_of_place(member, ["order", member]) == said


READABLE = [
    "id",
    "operation.status",
    "payment.state",
    "refund.amount || amount",
    "type",
    "data.payment.id",
    "alerts[].code",
    "alerts[0].message",
    "alerts[?code == 'x'].message | [0]",
    "alerts[1:2].code",
    "alerts[].[code, message][]",
    "metadata.anything",
    "metadata.*",
    "(failure || review).reason",
    "{a: id, b: failure.code}.a",
    "sort_by(alerts, &code)[0].anything",
    "not_null(provider_reference, 'none')",
    '`{"a": 1}`.a',
    "@.currency",
    "*.code",
    "state == 'captured' && amount",
    "!redirect_url",
]


@pytest.mark.parametrize("text", READABLE)
def test_members_of_standard_bodies_may_be_read(text: str) -> None:
    """Through lists, conditions and functions; what cannot be followed may be anything."""
    assert problem_of_reading(text) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stat", 'reads "stat", which is not there; did you mean "state"?'),
        ("operation.state", 'reads "state", which is not there; did you mean "status"?'),
        ("alerts.code", 'reads "code" of a list: write [].code'),
        ("alerts[].cod", 'reads "cod", which is not there; did you mean "code"?'),
        ("alerts[?cod == 'x']", 'reads "cod", which is not there; did you mean "code"?'),
        ("alerts | [0].cod", 'reads "cod", which is not there; did you mean "code"?'),
        ("sort_by(alerts, &cod)", 'reads "cod", which is not there; did you mean "code"?'),
        ("to_number(amont)", 'reads "amont", which is not there; did you mean "amount"?'),
        ("[id, stat]", 'reads "stat", which is not there; did you mean "state"?'),
        ("{a: id, b: stat}", 'reads "stat", which is not there; did you mean "state"?'),
        ("id || stat", 'reads "stat", which is not there; did you mean "state"?'),
        ("amount.value", 'reads "value", which is not there; what it is read of has no members'),
        ("metadata.a.b", 'reads "b", which is not there; what it is read of has no members'),
        ("(failure || review).xyz", 'reads "xyz", which is not there; known are code, message, provider_code, reason'),
        ("id.*.x", 'reads "x", which is not there; what it is read of has no members'),
    ],
)
def test_members_of_no_standard_body_are_mistakes(text: str, said: str) -> None:
    """A name that is nowhere would find null forever."""
    assert (problem_of_reading(text) or "").startswith(said)


@pytest.mark.parametrize("step", ["(@ || @)", "(* || *)", "(@[*] || @[*])", "(@[] || @[])", "(@ || [0])"])
def test_following_an_expression_ends(step: str) -> None:
    """Types that come together again and again are the same few."""
    assert problem_of_reading(" | ".join(["metadata", *[step] * 60])) is None


def test_what_computed_fields_see() -> None:
    """The type that their names are checked by has the members that they see, and so have their parts."""
    whole = create()
    seen = document_of(whole)
    assert PaymentSeen.__struct_fields__ == tuple(seen)
    for text in (
        "id",
        "fields.a",
        "metadata.a",
        "order.items[].price",
        "customer.email || order.billing_address.email",
    ):
        assert problem_of_reading(text, (PaymentSeen,)) is None
    assert set(seen["order"]) <= set(Order.__struct_fields__)


@pytest.mark.parametrize(
    ("member", "text", "is_told"),
    [
        ("amount", "to_string(to_number(a))", True),
        ("order.charges.tax", "a || to_string(avg(b))", True),
        ("amount", "to_string(sum(cents))", False),
        ("amount", "to_number(a)", False),
        ("metadata.x", "to_string(to_number(a))", False),
    ],
)
def test_the_text_of_a_calculated_amount_is_a_mistake(member: str, text: str, *, is_told: bool) -> None:
    """Integers are added exactly; a number that is no text is refused when it is made."""
    assert (problem_of_amount(member, compile_expression(text).parsed) is not None) is is_told
