"""JSON read so that nothing is lost or guessed, and written with number text as given.

Duplicate keys, NaN, lone surrogates, a BOM, bad UTF-8 and bottomless nesting are refused: parsers disagree about
them, and a signature over one reading must not be applied to another. ``json`` and msgspec keep the last duplicate
and lose the text of numbers, so callbacks and requests come through here.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from itertools import accumulate
from typing import Any, NoReturn

import msgspec

MAX_NESTING = 64

# Possessive, and a string without an end reaches to the end of the text: no character is looked at twice.
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_NO_BRACKET = re.compile(r"[^][{}]++")
_DEEPER = {"[": 1, "{": 1, "]": -1, "}": -1}

LONGEST_INT = 18
"""Characters of an integer that is read as ``int``: each fits 64 bits."""

_DIGITS_AS_ZERO = bytes(48 if 48 <= code <= 57 else code for code in range(256))
_LONG_NUMBER = b"0" * LONGEST_INT

_UNSURE = object()


class JsonNumber:
    """A JSON number by its literal text, e.g. ``432.980``. No Struct: msgspec would write that as an object."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def decimal(self) -> Decimal:
        """The exact value of the text."""
        return Decimal(self.text)

    def __int__(self) -> int:
        """The value of a whole number. Raises ``ValueError`` for any other."""
        return int(self.text)

    def __repr__(self) -> str:
        return f"JsonNumber({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JsonNumber) and self.text == other.text

    def __hash__(self) -> int:
        return hash((JsonNumber, self.text))


class NotStrictJson(ValueError):
    """The bytes are not JSON that everyone reads alike; the message says why and quotes no value."""


def loads(data: bytes) -> Any:
    """Read JSON with every number as ``JsonNumber``. Raises ``NotStrictJson``."""
    return _read(data, _LITERAL)


def loads_exact(data: bytes) -> Any:
    """Read JSON with integers of up to 18 digits as ``int`` and other numbers as ``JsonNumber``.

    Raises ``NotStrictJson``.
    """
    value = _read_quickly(data)
    return _read(data, _EXACT) if value is _UNSURE else value


def dumps(value: Any) -> bytes:
    """Write compact JSON; ``JsonNumber`` as its text, ``Decimal`` as a text member. Keeps the order of members."""
    return _ENCODER.encode(value)


def canonical(value: Any) -> bytes:
    """Write like ``dumps``, with the members of every object in the order of their names."""
    return _SORTED.encode(value)


def _integer(text: str) -> int | JsonNumber:
    return int(text) if len(text) <= LONGEST_INT else JsonNumber(text)


def _read_quickly(data: bytes) -> Any:
    """Read JSON by msgspec where that is proved to be the same as ``_read``, else return ``_UNSURE``.

    Without a backslash every text has two quotes. So no name stood twice if what was read has as many as the bytes.
    """
    # ``in`` would take what is looked for as a number first, and raise and drop an error.
    if data.find(b"\\") >= 0 or data.translate(_DIGITS_AS_ZERO).find(_LONG_NUMBER) >= 0:
        return _UNSURE
    if data.count(b"[") + data.count(b"{") > MAX_NESTING:
        return _UNSURE
    try:
        value = _QUICK.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _UNSURE
    return value if _ENCODER.encode(value).count(b'"') == data.count(b'"') else _UNSURE


def _read(data: bytes, decoder: json.JSONDecoder) -> Any:
    try:
        text = data.decode("utf-8", "strict")
    except UnicodeDecodeError as problem:
        raise NotStrictJson(f"byte {problem.start} is not UTF-8") from None
    if text.startswith("\ufeff"):
        raise NotStrictJson("begins with a byte order mark: send UTF-8 without one")
    if _nesting_over(text, MAX_NESTING):
        raise NotStrictJson(f"nested deeper than {MAX_NESTING}")
    try:
        value = decoder.decode(text)
    except NotStrictJson:
        raise
    except json.JSONDecodeError as problem:
        raise NotStrictJson(f"{problem.msg.lower()} at line {problem.lineno} column {problem.colno}") from None
    except (ValueError, ArithmeticError):  # Decimal's word for an exponent beyond its own limits
        raise NotStrictJson("a number is too long") from None
    if "\\u" in text or "\\U" in text:
        _refuse_lone_surrogates(value)
    return value


def _nesting_over(text: str, limit: int) -> bool:
    """Cheap upper bound first: only in a text with many brackets are those outside of strings counted."""
    if text.count("[") + text.count("{") <= limit:
        return False
    brackets = _NO_BRACKET.sub("", _STRING.sub("", text))
    return any(depth > limit for depth in accumulate(map(_DEEPER.__getitem__, brackets)))


def _refuse_lone_surrogates(value: Any) -> None:
    """An escaped half of a pair decodes to text that is not encodable: find it by encoding all text."""
    try:
        json.dumps(value, ensure_ascii=False, default=lambda number: str(number)).encode("utf-8")
    except UnicodeEncodeError:
        raise NotStrictJson("a text holds half of a surrogate pair") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # set.add is the "not seen" branch
        raise NotStrictJson(f"member {json.dumps(twice[:64])} is written twice")
    return members


def _no_constant(name: str) -> NoReturn:
    raise NotStrictJson(f"{name} is not JSON")


def _plain(value: object) -> object:
    if isinstance(value, JsonNumber):
        return msgspec.Raw(value.text.encode())
    if isinstance(value, Decimal):
        return f"{value:f}"
    raise TypeError(f"cannot write {type(value).__name__} as JSON")


_LITERAL = json.JSONDecoder(
    parse_int=JsonNumber, parse_float=JsonNumber, parse_constant=_no_constant, object_pairs_hook=_unique
)
_EXACT = json.JSONDecoder(
    parse_int=_integer, parse_float=JsonNumber, parse_constant=_no_constant, object_pairs_hook=_unique
)
_QUICK = msgspec.json.Decoder(float_hook=JsonNumber)
_ENCODER = msgspec.json.Encoder(enc_hook=_plain)
_SORTED = msgspec.json.Encoder(enc_hook=_plain, order="sorted")
