"""JMESPath: what compiles, what a search finds, and that nothing in a value can make it raise."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.expressions import compile_expression


@pytest.mark.parametrize(
    ("text", "value", "found"),
    [
        ("a.b", {"a": {"b": "x"}}, "x"),
        ("a || 'none'", {}, "none"),
        ("a == 'x' && to_number(b) >= `1000`", {"a": "x", "b": "1000.00"}, True),
        ("items[].{sku: id, n: to_string(qty)}", {"items": [{"id": "p", "qty": 2}]}, [{"sku": "p", "n": "2"}]),
        ("a[1:3]", {"a": [0, 1, 2, 3]}, [1, 2]),
        ("not_null(a, b, c)", {"c": 1}, 1),
        ("sort_by(@, &n)[0].n", [{"n": 2}, {"n": 1}], 1),
    ],
)
def test_finds(text: str, value: Any, found: Any) -> None:
    """A search finds what JMESPath says."""
    assert compile_expression(text).search(value) == found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a.b.c", {"a": "x"}),
        ("a < `1`", {"a": "0"}),
        ("abs(a)", {"a": "x"}),
        ("ceil(to_number(a))", {"a": "inf"}),
        ("floor(to_number(a))", {"a": "nan"}),
        ("avg([to_number(a)])", {"a": "9" * 400}),
        ("sum([to_number(a), `1.5`])", {"a": "9" * 400}),
        ("sort(@)", [1, "x"]),
        ("[::0]", [1]),
    ],
)
def test_finds_nothing_where_it_does_not_fit(text: str, value: Any) -> None:
    """A value that the expression does not fit is no error, whatever a tenant sent: nothing is found."""
    assert compile_expression(text).search(value) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be empty"),
        ("a b", 'token "b"'),
        ("a ==", "Incomplete expression"),
        ("'x", "Unclosed ' delimiter"),
        ("to_nmber(a)", 'unknown function "to_nmber"'),
        ("a[?foo(@)]", 'unknown function "foo"'),
        ("{x: foo(a)}", 'unknown function "foo"'),
        ("sort_by(a, &foo(b))", 'unknown function "foo"'),
        ("length()", 'function "length" takes 1 argument(s), not 0'),
        ("to_number(a, b)", 'function "to_number" takes 1 argument(s), not 2'),
        ("not_null()", 'function "not_null" takes 1 argument(s), not 0'),
        ("[" * 3000, "nested too deeply"),
        (" | ".join("a" * 3000), "nested too deeply"),
    ],
)
def test_does_not_compile(text: str, said: str) -> None:
    """What could never find anything is refused in one line that says why."""
    with pytest.raises(ValueError, match=r"^is no JMESPath expression: ") as caught:
        compile_expression(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_equal_by_text() -> None:
    """Expressions of one text are equal, so that settings that say the same compare equal."""
    one, same, other = (compile_expression(text) for text in ("a", "a", "b"))
    assert (one == same, hash(one) == hash(same), one == other) == (True, True, False)
