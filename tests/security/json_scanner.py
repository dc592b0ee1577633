"""An independent JSON reader for the second verifier: a character scanner that keeps the text of numbers.

It shares no code with the gateway, the plugin or Python's ``json``. It refuses what two readers could read differently:
members written twice, bad UTF-8, a byte order mark, lone surrogates, constants, and nesting beyond ``DEEPEST``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

DEEPEST = 64
_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_HEX = re.compile(r"[0-9a-fA-F]{4}")
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS = {"true": True, "false": False, "null": None}


class Unreadable(ValueError):
    """The bytes are not JSON with only one reading."""


class Number(NamedTuple):
    """A number by its text."""

    text: str


Value = None | bool | str | Number | list["Value"] | dict[str, "Value"]


def scan(data: bytes) -> Value:
    """Read one JSON value. Raises ``Unreadable``."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("not UTF-8") from None
    value, at = _Scanner(text).value(0, 0)
    if _SPACE.match(text, at).end() != len(text):  # type: ignore[union-attr]  # it matches everywhere
        raise Unreadable("something behind the value")
    return value


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text

    def value(self, at: int, depth: int) -> tuple[Value, int]:
        at = self.blank(at)
        begin = self.text[at : at + 1]
        if begin == "{":
            return self.members(at + 1, depth + 1)
        if begin == "[":
            return self.items(at + 1, depth + 1)
        if begin == '"':
            return self.string(at + 1)
        for word, value in _WORDS.items():
            if self.text.startswith(word, at):
                return value, at + len(word)
        found = _NUMBER.match(self.text, at)
        if found is None:
            raise Unreadable("no value")
        return Number(found.group()), found.end()

    def members(self, at: int, depth: int) -> tuple[Value, int]:
        found: dict[str, Value] = {}
        at = self.opened(at, depth)
        if self.text[at : at + 1] == "}":
            return found, at + 1
        while True:
            at = self.expect('"', self.blank(at))
            key, at = self.string(at)
            if key in found:
                raise Unreadable("a member twice")
            at = self.expect(":", self.blank(at))
            found[key], at = self.value(at, depth)
            at = self.blank(at)
            if self.text[at : at + 1] == "}":
                return found, at + 1
            at = self.expect(",", at)

    def items(self, at: int, depth: int) -> tuple[Value, int]:
        found: list[Value] = []
        at = self.opened(at, depth)
        if self.text[at : at + 1] == "]":
            return found, at + 1
        while True:
            item, at = self.value(at, depth)
            found.append(item)
            at = self.blank(at)
            if self.text[at : at + 1] == "]":
                return found, at + 1
            at = self.expect(",", at)

    def string(self, at: int) -> tuple[str, int]:
        parts: list[str] = []
        while True:
            plain = _PLAIN.match(self.text, at)
            assert plain is not None
            parts.append(plain.group())
            at = plain.end()
            if self.text[at : at + 1] == '"':
                return _paired("".join(parts)), at + 1
            at = self.expect("\\", at)
            escape = self.text[at : at + 1]
            if escape == "u":
                digits = _HEX.match(self.text, at + 1)
                if digits is None:
                    raise Unreadable("a bad escape")
                parts.append(chr(int(digits.group(), 16)))
                at += 5
            elif escape in _ESCAPES:
                parts.append(_ESCAPES[escape])
                at += 1
            else:
                raise Unreadable("a bad escape")

    def opened(self, at: int, depth: int) -> int:
        if depth > DEEPEST:
            raise Unreadable("nested too deep")
        return self.blank(at)

    def blank(self, at: int) -> int:
        found = _SPACE.match(self.text, at)
        assert found is not None
        return found.end()

    def expect(self, wanted: str, at: int) -> int:
        if self.text[at : at + 1] != wanted:
            raise Unreadable(f"no {wanted}")
        return at + 1


def _paired(text: str) -> str:
    """Join the two halves of each escaped pair. Raises ``Unreadable`` for an unpaired half."""
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise Unreadable("half of a surrogate pair") from None
