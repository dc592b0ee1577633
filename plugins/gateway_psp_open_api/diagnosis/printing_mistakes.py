"""How senders print values when they sign: the two right ways, and a table of the known mistakes. Pure."""

from __future__ import annotations

import html
import json
import unicodedata
from collections.abc import Callable
from decimal import Decimal, DecimalException
from itertools import combinations
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, quote_plus, unquote_plus

import gateway
from gateway_psp_open_api import signature
from gateway_psp_open_api.signature import Form

Printed = Callable[[str, Any], str | None]
"""Prints the value of a member; None if it is empty and takes no part."""


class Mistake(NamedTuple):
    """One mistake in one step of signing. ``is_common``: the search also tries it together with another."""

    name: str
    make: Callable[..., Any]
    is_common: bool = False


def canonical(key: str, value: Any) -> str | None:
    return signature.printed(key, value, Form.CANONICAL)


def literal(key: str, value: Any) -> str | None:
    return signature.printed(key, value, Form.LITERAL)


def _numbers(write: Callable[[Decimal], str], *, only: str | None = None) -> Printed:
    """Print every number differently, or only one member's, even if it is text."""

    def show(key: str, value: Any) -> str | None:
        is_meant = key == only if only else isinstance(value, gateway.JsonNumber)
        number = decimal_of(value) if is_meant else None
        return write(number) if number is not None else canonical(key, value)

    return show


def decimal_of(value: Any) -> Decimal | None:
    try:
        number = Decimal(value.text if isinstance(value, gateway.JsonNumber) else value)
    except (DecimalException, TypeError, ValueError):
        return None
    return number if number.is_finite() and abs(number.adjusted()) < 25 else None


def _values(kind: type | tuple[type, ...], write: Callable[[Any], str | None]) -> Printed:
    """Print values of one type differently."""
    return lambda key, value: write(value) if isinstance(value, kind) else canonical(key, value)


def _scientific(number: Decimal) -> tuple[str, int]:
    """Return the digits as ``1.5`` and the exponent of ten."""
    sign, digits, _ = number.normalize().as_tuple()
    first, rest = str(digits[0]), "".join(map(str, digits[1:]))
    return f"{'-' if sign else ''}{first}.{rest or '0'}", number.adjusted() if number else 0


def _java(number: Decimal) -> str:
    """Print as Java prints a double: ``25.0``, ``1.795851349123E12``."""
    digits, exponent = _scientific(number)
    return f"{digits}E{exponent}" if not -4 < exponent < 7 else _float(number)


def _go(number: Decimal) -> str:
    """Print as Go prints a float64: ``25``, ``1.795851349123e+12``."""
    digits, exponent = _scientific(number)
    return f"{digits.removesuffix('.0')}e{exponent:+03d}" if not -5 < exponent < 21 or exponent >= 6 else _short(number)


def _float(number: Decimal) -> str:
    text = _short(number)
    return text if "." in text else f"{text}.0"


def _short(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _php_float(number: Decimal) -> str:
    """Print as PHP prints a float of few digits: ``25.5``, ``1.795851349123E+12``."""
    digits, exponent = _scientific(number)
    return f"{digits}E+{exponent}" if exponent >= 7 else _short(number)


def _powers(style: str) -> Callable[[Decimal], str]:
    """Print a number with an exponent of ten, as ``1.5e2``."""

    def write(number: Decimal) -> str:
        digits, exponent = _scientific(number)
        return style.format(digits.removesuffix(".0"), exponent)

    return write


def _fixed(decimals: int) -> Printed:
    return _numbers(lambda number: f"{number:.{decimals}f}", only="amount")


def _word(name: str, word: str) -> Printed:
    """Print another value in place of a member's."""
    return lambda key, value: word if key == name else canonical(key, value)


def _php_html(text: str) -> str:
    return html.escape(text).replace("&#x27;", "&#039;")


def _instead_of_empty(text: str) -> Printed:
    """Sign null under a word, and empty text as nothing: ``key=``."""
    return _values((str, type(None)), lambda value: text if value is None else value)


SINGLE = (
    Mistake("the amount printed with two decimals (25.50 for 25.5)", _fixed(2), is_common=True),
    Mistake("the amount printed with one decimal (25.0 for 25)", _fixed(1)),
    Mistake("the amount printed without decimals", _fixed(0)),
    *(Mistake(f"the amount printed with {decimals} decimals", _fixed(decimals)) for decimals in (3, 4, 6, 8)),
    Mistake(
        "the amount printed in cents", _numbers(lambda number: f"{number * 100:.0f}", only="amount"), is_common=True
    ),
    Mistake(
        "the amount printed with a comma (25,50)",
        _numbers(lambda number: f"{number:.2f}".replace(".", ","), only="amount"),
    ),
    Mistake(
        "the amount printed with a comma between thousands", _numbers(lambda number: f"{number:,.2f}", only="amount")
    ),
    *(
        Mistake(f"the amount printed with an exponent ({style.format(1, 2)})", _numbers(_powers(style), only="amount"))
        for style in ("{}e{}", "{}E{}", "{}e{:+03d}", "{}E{:+d}")
    ),
    Mistake("every number printed as a float (1.0 for 1)", _numbers(_float), is_common=True),
    Mistake("every number printed as Java prints a double (1.795851349123E12)", _numbers(_java), is_common=True),
    Mistake("every number printed as Go prints a float64 (1.795851349123e+12)", _numbers(_go), is_common=True),
    Mistake("every number printed as PHP prints a float (1.795851349123E+12)", _numbers(_php_float), is_common=True),
    Mistake(
        "the time printed in seconds", _numbers(lambda number: f"{number / 1000:.0f}", only="time"), is_common=True
    ),
    Mistake("the time printed in seconds, rounded down", _numbers(lambda number: f"{number // 1000:f}", only="time")),
    Mistake(
        "the time printed in seconds with a fraction",
        _numbers(lambda number: _short(number / 1000), only="time"),
    ),
    *(
        Mistake(f"status={word}: it was changed after it was signed", _word("status", word))
        for word in ("0", "1", "2", "success", "failed", "processing")
    ),
    Mistake("booleans printed as True and False", _values(bool, str), is_common=True),
    Mistake("booleans printed as 1 and 0", _values(bool, lambda value: str(int(value)))),
    Mistake("true printed as 1 and false as nothing", _values(bool, lambda value: "1" if value else "")),
    Mistake(
        "empty members signed too (key=), as the vendor's older REST signature does",
        _instead_of_empty(""),
        is_common=True,
    ),
    Mistake("empty members signed too, null as null", _instead_of_empty("null"), is_common=True),
    Mistake("empty members signed too, null as None", _instead_of_empty("None")),
    Mistake("empty members signed too, null as undefined", _instead_of_empty("undefined")),
    Mistake("the values url-encoded (%20)", lambda key, value: _each(canonical(key, value), _quoted), is_common=True),
    Mistake("the values url-encoded (+ for a blank)", lambda key, value: _each(canonical(key, value), quote_plus)),
    Mistake("the values HTML-escaped (&amp;)", lambda key, value: _each(canonical(key, value), html.escape)),
    Mistake(
        "the values HTML-escaped, as PHP does (&#039;)", lambda key, value: _each(canonical(key, value), _php_html)
    ),
    Mistake(
        "characters beyond ASCII signed as \\u escapes", _values(str, lambda value: _escaped(value)), is_common=True
    ),
    Mistake(
        "characters beyond ASCII and slashes signed as PHP's json_encode writes them",
        _values(str, lambda value: _php(value)),
    ),
    Mistake("the values url-decoded (+ as a blank)", _values(str, lambda value: unquote_plus(value) or None)),
    Mistake("texts signed in another form of Unicode (NFC)", _values(str, lambda value: _normal("NFC", value))),
    Mistake("texts signed in another form of Unicode (NFD)", _values(str, lambda value: _normal("NFD", value))),
    Mistake("texts signed in their quotes", _values(str, lambda value: json.dumps(value, ensure_ascii=False))),
    Mistake("texts signed without the blanks around them", _values(str, lambda value: value.strip() or None)),
    Mistake("the currency signed in lower case", lambda key, value: _cased(key, value, str.lower)),
    Mistake("the currency signed in upper case", lambda key, value: _cased(key, value, str.upper)),
)


def _both(one: Printed, other: Printed) -> Printed:
    """Combine two mistakes: print each value by the first that differs from the right way."""

    def show(key: str, value: Any) -> str | None:
        text = one(key, value)
        return text if text != canonical(key, value) else other(key, value)

    return show


PRINTING = (
    *SINGLE,
    *(
        Mistake(f"{one.name} and {other.name}", _both(one.make, other.make))
        for one, other in combinations([step for step in SINGLE if step.is_common], 2)
    ),
)
"""Every single mistake, and every two common ones together."""


def _quoted(text: str) -> str:
    return quote(text, safe="")


def _each(text: str | None, write: Callable[[str], str]) -> str | None:
    return None if text is None else write(text)


def _escaped(text: str) -> str | None:
    return json.dumps(text)[1:-1] or None


def _php(text: str) -> str | None:
    return json.dumps(text)[1:-1].replace("/", "\\/") or None


def _normal(form: Literal["NFC", "NFD"], text: str) -> str | None:
    return unicodedata.normalize(form, text) or None


def _cased(key: str, value: Any, case: Callable[[str], str]) -> str | None:
    text = canonical(key, value)
    return case(text) if key == "currency" and text is not None else text
