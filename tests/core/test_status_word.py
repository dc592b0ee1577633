"""A provider's status as one short word for people."""

from __future__ import annotations

import pytest

from gateway.core.secret import Secret
from gateway.core.status_word import status_word
from gateway.core.strictjson import JsonNumber


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ("Placed", "Placed"),
        ("in review", "in review"),
        ("pended_2.1", "pended_2.1"),
        (" placed", '" placed"'),
        ("placed ", '"placed "'),
        ("", '""'),
        ("  ", '"  "'),
        ("1", '"1"'),
        ("none", '"none"'),
        ("geprüft", '"geprüft"'),
        ("placed\x00", "placed, without its control characters"),
        ("\nplaced \t", '"placed ", without its control characters'),
        (JsonNumber("7"), "7"),
        (JsonNumber("1" * 1000), "1" * 64),
        (True, "true"),
        (None, "none"),
        ([], "a list"),
        ({}, "a dict"),
        ("x" * 1_000_000, "x" * 64),
    ],
)
def test_a_status_is_one_short_word(given: object, word: str) -> None:
    """Whatever JSON it was, it can be read, and cannot be taken for another one."""
    assert status_word(given) == word


def test_a_secret_is_masked_before_the_word_is_cut() -> None:
    """A secret that the cut would halve is masked whole; other words stay as they are."""
    secrets = [Secret("sk_live_0123456789abcdef")]
    assert status_word("x" * 55 + " sk_live_0123456789abcdef", secrets) == '"' + "x" * 55 + ' ***"'
    assert status_word(" placed", secrets) == '" placed"'
    assert status_word(None, secrets) == "none"
