"""The forms of a text: whatever somebody writes can be decoded, and what was escaped is found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.encodings import decoded, is_plain
from gateway.core.masking import Mask, line

PIECES = ("&#", "&#x", "%", "%25", "\\u", "\\x", ";", "1", "0", "f", "d83d", "&lt;", " ", "\x00", "\ud800", "é")


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=60).map("".join))
def test_every_text_can_be_decoded(text: str) -> None:
    """Masking stands before every row: no text may make it fail."""
    decoded(text)
    line(text, Mask(["a-secret-of-some-length"]), 500)


@pytest.mark.parametrize("code", range(0x180))
def test_a_plain_text_is_decoded_already(code: int) -> None:
    """A quick look: printable ASCII without what begins an escape, and such a text is never changed."""
    text = f"a{chr(code)}b"
    assert is_plain(text) == (text.isascii() and text.isprintable() and chr(code) not in "%&\\")
    assert not is_plain(text) or decoded(text) == text


@pytest.mark.parametrize("reference", ["&#" + "1" * 4400 + ";", "&#x" + "F" * 4400, "&#99999999"])
def test_a_number_that_no_character_has(reference: str) -> None:
    """Python refuses to read thousands of digits as a number; such a reference is one unknown character."""
    assert len(decoded(f"a{reference}b")) <= 4


def test_references_of_characters_are_decoded() -> None:
    """As decimal and hex numbers, with zeros ahead, and below percent escapes."""
    zeros = "0" * 4400
    assert decoded(f"&#65;&#x42;&#{zeros}67;%26%2368;&#x{zeros}45;") == "ABCDE"
