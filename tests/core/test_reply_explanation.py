"""What a reply map makes of a body, line by line, and why the standard body is used where it fails."""

from __future__ import annotations

import pytest

from gateway.core.body_maps import BodyMap, MapRule
from gateway.core.expressions import compile_expression
from gateway.core.reply_explanation import ReplyExplanation, explain_reply

BODY = {"id": "pay_1", "state": "captured", "amount": "5.00", "parts": [1, 2]}


def explained(**rules: str) -> ReplyExplanation:
    """What a map of these members makes of a body; the line of each is its number."""
    made = [
        MapRule(member=member.replace("__", "."), expression=compile_expression(text), place=f"s.yaml:{line}")
        for line, (member, text) in enumerate(rules.items(), start=1)
    ]
    return explain_reply(BodyMap(name="own", place="s.yaml:0", rules=tuple(made)), BODY)


def test_each_member_has_its_value_and_its_line() -> None:
    """Dotted names too; false and an empty text are values, null is left out."""
    shown = explained(order__no="id", order__ok="state == 'failed'", empty="''", list="parts", none="nothing")
    assert [(one.key, one.value, one.rule) for one in shown.members] == [
        ("order.no", "pay_1", "s.yaml:1"),
        ("order.ok", False, "s.yaml:2"),
        ("empty", "", "s.yaml:3"),
        ("list", [1, 2], "s.yaml:4"),
    ]
    assert [(one.field, one.why, one.rule) for one in shown.left_out] == [("none", "finds nothing", "s.yaml:5")]
    assert shown.body == '{"order":{"no":"pay_1","ok":false},"empty":"","list":[1,2]}'


@pytest.mark.parametrize(
    ("broken", "why"), [(" | ".join(["[@, @]"] * 20), "takes more than"), ("&id", "cannot be written as JSON")]
)
def test_a_map_that_fails_makes_nothing(broken: str, why: str) -> None:
    """Every line is left out, the one at fault with its reason: the standard body is used."""
    shown = explained(good="id", bad=broken)
    assert (shown.members, shown.body) == ([], None)
    assert why in {one.field: one.why for one in shown.left_out}["bad"]
