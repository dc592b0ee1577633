"""Expressions without an interpreter find what the library finds."""

from __future__ import annotations

from typing import Any

import jmespath
import pytest

from gateway.core.plain_expressions import plain_search

VALUES: list[Any] = [
    {},
    {"a": {"b": "x"}, "c": "y"},
    {"a": {"b": ""}, "c": 0},
    {"a": {"b": None}, "c": []},
    {"a": {"b": False}, "c": {}},
    {"a": "text", "c": ["x"]},
    {"a": [{"b": "x"}], "c": True},
    {"a": {"b": 0}},
    {"a": {"b": {"c": "deep"}}},
    [],
    "text",
    7,
    None,
]
PLAIN = [
    "a",
    "a.b",
    "a.b.c",
    "a | b",
    "a.b || c",
    "a.b || c || 'none'",
    "(a || c).b",
    'a || `[]` || `{"b": 1}`',
    "'x'",
    "`0` || 'none'",
    '"a".b',
]


@pytest.mark.parametrize("text", PLAIN)
def test_finds_what_the_library_finds(text: str) -> None:
    """In values of every kind, and of the same type: 0 and false are equal to Python."""
    compiled = jmespath.compile(text)
    search = plain_search(compiled.parsed)
    assert search is not None
    for value in VALUES:
        found, expected = search(value), compiled.search(value)
        assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    "text", ["@", "a[0]", "a[1:2]", "a[*].b", "a[?b].c", "*", "!a", "a && b", "a == 'x'", "[a]", "{x: a}", "keys(a)"]
)
def test_the_rest_needs_the_interpreter(text: str) -> None:
    """Whatever may take several steps, or is rare."""
    assert plain_search(jmespath.compile(text).parsed) is None
    assert plain_search(jmespath.compile(f"x || {text}").parsed) is None
