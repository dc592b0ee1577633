"""Blank and invisible texts, and the quick look that finds the bodies which may hold one."""

from __future__ import annotations

import functools
import json
import sys
import unicodedata

import pytest

from gateway.core.text_checks import control_in, is_blank, may_need_checks, trimmed


@functools.cache
def blanks() -> list[str]:
    """Every character that is blank: there are a million to look at."""
    return [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF and is_blank(chr(code))]


def test_blanks_are_white_space_and_what_has_no_shape() -> None:
    """All white space of Unicode, and nothing that is a letter, a digit, a sign or a symbol anybody writes."""
    assert {character for character in map(chr, range(0x3001)) if character.isspace()} <= set(blanks())
    shown = {unicodedata.category(character)[0] for character in blanks()} - {"Z", "C", "M"}
    assert {character for character in blanks() if unicodedata.category(character)[0] in shown} <= set(
        "\u115f\u1160\u2800\u3164\uffa0"
    )


@pytest.mark.parametrize("is_ascii", [True, False])
def test_the_quick_look_finds_every_blank_text(is_ascii: bool) -> None:
    """As it is or escaped; a body that is passed by holds none."""
    missed = [
        character
        for character in blanks()
        if not may_need_checks(json.dumps({"name": character}, ensure_ascii=is_ascii).encode())
    ]
    assert missed == []


@pytest.mark.parametrize("code", [*range(0x20), 0x7F])
def test_the_quick_look_finds_every_control_character(code: int) -> None:
    """In the midst of a text, too."""
    assert may_need_checks(json.dumps({"name": f"Dana{chr(code)}Reyes"}).encode())


@pytest.mark.parametrize("text", ["Dana Reyes", "Ångström", "王小明", "Jürgen", "50 €", "a-b_c", '12" pipe'])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_the_quick_look_passes_usual_bodies_by(text: str, separators: tuple[str, str]) -> None:
    """Names as people have them cost no second look."""
    body = json.dumps({"name": text.replace('"', "''"), "order": [text[:1]]}, ensure_ascii=False, separators=separators)
    assert not may_need_checks(body.encode())


def test_tab_and_line_breaks_are_no_control_characters_here() -> None:
    """A text may have lines."""
    assert control_in("a\tb\r\nc") is None
    assert control_in("a\x0bb\x00") == "U+000B"


def test_trimmed() -> None:
    """What nobody sees goes at both ends, and stays inside."""
    assert trimmed("\u200b VIP\u200b1 \n") == "VIP\u200b1"
    assert trimmed(" \ufeff ") == ""
