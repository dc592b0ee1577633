"""Maps of bodies: what is made of a body, what is refused, and how much may be made."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core import strictjson
from gateway.core.body_maps import BodyMap, MapRule, explained, mapped_reply, mapped_request
from gateway.core.errors import TenantError, invalid
from gateway.core.expressions import Budget, compile_expression


def map_of(**rules: str) -> BodyMap:
    """A map; ``__`` stands for a dot, and the lines of its rules are 2, 3, …"""
    made = [
        MapRule(member=member.replace("__", "."), expression=compile_expression(text), place=f"s.yaml:{line}")
        for line, (member, text) in enumerate(rules.items(), start=2)
    ]
    return BodyMap(name="own", place="s.yaml:1", rules=tuple(made))


def posted(text: str) -> Any:
    return strictjson.loads_exact(text.encode())


def test_dotted_members_nest_and_null_is_left_out() -> None:
    """What finds null makes nothing, not even what would hold it."""
    own = map_of(a__b__c="x", a__b__d="y", a__e="none", f__g="none", h="[x, none]")
    assert mapped_request(own, {"x": 1, "y": False}, Budget()) == (
        {"a": {"b": {"c": 1, "d": False}}, "h": [1, None]},
        [],
    )


def test_numbers_are_integers_or_text() -> None:
    """No number goes through a float, wherever it is; what a text looks like makes it no number."""
    body = posted('{"a": [1.10, 2, {"b": 1e2}], "c": 12345678901234567890, "d": "1.10", "e": true}')
    assert mapped_request(map_of(all="@"), body, Budget())[0]["all"] == {
        "a": ["1.10", 2, {"b": "1e2"}],
        "c": "12345678901234567890",
        "d": "1.10",
        "e": True,
    }


@pytest.mark.parametrize("text", ["to_number(a)", "[{x: to_number(a)}]", "`1.5`", "&a", "{x: [&a]}"])
def test_what_is_calculated_or_no_json_is_refused(text: str) -> None:
    """A float may have lost digits, also deep inside; the other members are made."""
    made, [(path, said)] = mapped_request(map_of(order__x=text, y="a"), {"a": "0.1"}, Budget())
    assert (made, path) == ({"y": "0.1"}, "$.order.x")
    assert said.startswith("was calculated")


def test_what_is_too_large_is_not_made() -> None:
    """A few steps can name one part so often that nobody could write it; both ways say so, and at once."""
    own = map_of(x=" | ".join(["[@, @]"] * 60), y="a")
    made, [(path, said)] = mapped_request(own, {"a": 1}, Budget())
    assert (made, path) == ({"y": 1}, "$.x")
    assert said.startswith("takes more than 20000 steps")
    assert mapped_reply(own, {"a": 1}, Budget())[1] == [(path, said)]


def test_the_expressions_of_one_request_share_a_budget() -> None:
    """Each may be within its own steps and all together not: the first are made, the rest say so at once."""
    costly = map_of(**{f"q{number}": "length(to_string([@,@,@,@,@,@]|[@,@,@,@,@]))" for number in range(40)})
    budget, body = Budget(), {"metadata": {f"k{number}": "x" for number in range(100)}}
    made, problems = mapped_request(costly, body, budget)
    assert 1 < len(made) < 40 == len(made) + len(problems)
    assert {said for _, said in problems} == {"takes, with all expressions before it, more than 150000 steps"}
    assert (budget.left, mapped_reply(map_of(x="id"), {"id": "a"}, budget)[1][0][0]) == (0, "$.x")


def test_what_is_found_counts_too() -> None:
    """A path takes few steps to find something large."""
    budget = Budget()
    mapped_reply(map_of(x="a", y="a"), {"a": ["x" * 640] * 1000}, budget)
    assert 150_000 - 2 * 13_000 < budget.left < 150_000 - 2 * 11_000


def test_a_reply_takes_nothing_for_what_does_not_fit() -> None:
    """Its standard body is ours, in which what is null now is not null later."""
    own = map_of(link="join('?', [url, 'x'])", sum="to_number(amount)")
    assert mapped_reply(own, {"url": None, "amount": "1.50"}, Budget()) == (b'{"sum":1.5}', [])


@pytest.mark.parametrize("text", ["&a", r'`"\ud800"`'])
def test_a_reply_that_cannot_be_written_is_a_problem(text: str) -> None:
    """Whatever an expression makes, it raises nothing: a payment's change waits for the webhook."""
    assert mapped_reply(map_of(x=text), {"a": 1}, Budget()) == (b"", [("$", "cannot be written as JSON")])


def refused(*fields: str) -> dict[str, str]:
    """What is said of fields after their refusal was explained."""
    own = map_of(
        amount="sum", order__items="lines", order__charges__total="t", order__charges__tax="x", metadata__a_b="m"
    )
    refusal = explained(own, invalid(*((field, "is bad") for field in fields)))
    return {error.field: error.message for error in refusal.errors}


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("$.amount", "is bad (s.yaml:2: sum)"),
        ("$.order.items[3].price", "is bad (s.yaml:3: lines)"),
        ("$.order.charges", "is bad (s.yaml:4: t; s.yaml:5: x)"),
        ("$.amounts", "is bad (s.yaml:1: request map own has no expression for it)"),
        ("$.metadata.a_b", "is bad (s.yaml:6: m)"),
        ("$", "is bad"),
        ("Idempotency-Key", "is bad"),
    ],
)
def test_a_field_is_explained_by_what_makes_it(field: str, said: str) -> None:
    """That is its own rule, that of what holds it, or those of its parts; only members of the body have one."""
    assert refused(field) == {field: said}


def test_an_explained_refusal_is_the_same_refusal() -> None:
    """Code, detail and further members stay."""
    refusal = explained(map_of(a="b"), TenantError("duplicate_reference", "taken", payment_id="pay_1"))
    assert (refusal.code, refusal.detail, refusal.extra) == ("duplicate_reference", "taken", {"payment_id": "pay_1"})
