"""JMESPath: what compiles, what a search finds, that no value makes it raise, and how much it may do."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.expressions import MAX_DEPTH, TooManySteps, compile_expression


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
        ("!" * MAX_DEPTH + "a", "nested too deeply"),
    ],
)
def test_does_not_compile(text: str, said: str) -> None:
    """What could never find anything is refused in one line that says why."""
    with pytest.raises(ValueError, match=r"^is not a JMESPath expression: ") as caught:
        compile_expression(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_equal_by_text() -> None:
    """Expressions of one text are equal, so that settings that say the same compare equal."""
    one, same, other = (compile_expression(text) for text in ("a", "a", "b"))
    assert (one == same, hash(one) == hash(same), one == other) == (True, True, False)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("metadata.branch || 'none'", {"metadata", "branch"}),
        ("order.items[0].sku", {"order", "items", "sku"}),
        ("map(&sku, order.items)", {"order", "items", "sku"}),
        ("'x'", set()),
        ("@.metadata", None),
        ("length(keys(@))", None),
        ("*.branch", None),
        ("[0]", None),
    ],
)
def test_names_what_it_looks_at(text: str, names: set[str] | None) -> None:
    """Of a value only these members need to be made; None: it may look at all of them."""
    assert compile_expression(text).names == names


ORDER = {"items": [{"sku": f"P-{number}", "quantity": 1, "price": "9.99"} for number in range(800)]}
SEEN = {"order": ORDER, "text": "x" * 30_000, "many": [0] * 9000, "texts": ["x"] * 3000}


def piped(begin: str, step: str, times: int) -> str:
    """An expression that does one thing again and again to what it found."""
    return " | ".join([begin, *[step] * times])


@pytest.mark.parametrize(
    "text",
    [
        piped("order.items", "[@, @][]", 22),
        piped("order.items", "[@, @, @, @] | []", 11),
        piped("text", "join('', [@, @])", 20),
        piped("text", "join(@, [@, @, @])", 8),
        piped("order.items", "[@, @]", 40) + " | to_string(@)",
        piped("order.items", "{a: @, b: @}", 40) + " | to_string(@)",
        f"{piped('order.items', '[@, @]', 40)} | contains(@, `1`)",
        f"[{piped('order.items', '[@, @]', 40)}, {piped('order.items[:]', '[@, @]', 40)}] | [0] == [1]",
        piped("many", "map(&[@], @)", 10),
        piped("many", "[*].{a: @}", 10),
        piped("many", "[:]", 200),
        piped("many", "reverse(@)", 200),
        piped("texts", "sort(@)", 20),
        "join(text, texts)",
        "many[?" + " || ".join(f"@ == `{number}`" for number in range(1, 100)) + "]",
        "to_string([" + ", ".join(["to_string(order)"] * 20) + "])",
    ],
)
def test_search_that_takes_too_many_steps(text: str) -> None:
    """A search that doubles what it has, or goes through it too often, is stopped: it does not find just nothing."""
    with pytest.raises(TooManySteps, match="takes more than 20000 steps over this payment"):
        compile_expression(text).search(SEEN)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("length(order.items) > `500` && length(order.items[?price == '9.99']) == `800`", True),
        ("sum(order.items[*].quantity)", 800),
        ("sort_by(order.items, &sku)[0].sku", "P-0"),
        ("contains(order.items[*].sku, 'P-799')", True),
        ("order.items[*].sku | length(join(',', @))", 4689),
        ("to_string(order.items[799])", '{"sku":"P-799","quantity":1,"price":"9.99"}'),
    ],
)
def test_orders_of_the_largest_size_are_searched(text: str, found: Any) -> None:
    """What a rule would ask of an order as large as a body can be is within the steps."""
    assert compile_expression(text).search(SEEN) == found


def test_deepest_expression() -> None:
    """An expression as deeply nested as one may be is searched to its end, from deep within a server's own calls."""

    def search(frames: int) -> Any:
        return search(frames - 1) if frames else compile_expression("!" * (MAX_DEPTH - 1) + "a").search({"a": 1})

    assert search(200) is (MAX_DEPTH % 2 == 1)


def test_value_too_deep_for_the_stack() -> None:
    """A value that is nested more deeply than Python's stack stops the search as too many steps do."""
    value: Any = 1
    for _ in range(5000):
        value = [value]
    with pytest.raises(TooManySteps):
        compile_expression("to_string(@)").search(value)
