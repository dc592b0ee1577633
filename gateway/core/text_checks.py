"""Texts that are only blanks of any kind, or hold invisible control characters."""

from __future__ import annotations

import re

_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Characters without a shape that are not white space: zero-width ones, marks of direction, fillers."""

_BLANK = re.compile(rf"[\s{_INVISIBLE}]+")
_ENDS = re.compile(rf"\A[\s{_INVISIBLE}]+|[\s{_INVISIBLE}]+\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LINE = re.compile(r"[\t\n\r]")

_ESCAPED = re.compile(rb"\\[bfnrtu]")
_FIRST_BYTE = re.compile(rb'"(?:[\xc2\xcd\xd8\xe1\xe2\xe3\xef\xf3]|\xf0\x9d)')
"""A text that begins with the first byte of a blank or invisible character."""


def is_blank(text: str) -> bool:
    """Whether a text has characters, and all of them are blanks or invisible."""
    return not "!" <= text[:1] <= "~" and _BLANK.fullmatch(text) is not None


def trimmed(text: str) -> str:
    """The text without blanks and invisible characters at its ends."""
    return _ENDS.sub("", text)


def control_in(text: str) -> str | None:
    """The first control character, as ``U+0000``. Tabs and line breaks do not count: a longer text may have lines."""
    found = _CONTROL.search(text)
    return None if found is None else f"U+{ord(found[0]):04X}"


def has_lines(text: str) -> bool:
    """Whether a text holds a tab or a line break."""
    return _LINE.search(text) is not None


def may_need_checks(body: bytes) -> bool:
    """Whether JSON may hold a blank text or a control character: a quick check that nearly every body passes."""
    return (
        body.find(b'" ') >= 0  # ``in`` takes four times as long, see ``strictjson``
        or body.find(b"\x7f") >= 0
        or (body.find(b"\\") >= 0 and _ESCAPED.search(body) is not None)
        or (not body.isascii() and _FIRST_BYTE.search(body) is not None)
    )
