"""The signature of PSP Open API v3.0-2024.10.04: the text that is signed, signing it, checking it. Pure.

S1 to S24 are explained in ``docs/providers/psp_open_api.md``. Bodies were read by ``gateway.loads``, which refuses what
readers disagree about (S17, S19) and keeps numbers as ``gateway.JsonNumber``. The simulator must not import this.
"""

from __future__ import annotations

import enum
import hashlib
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import gateway

_AMBIGUOUS = re.compile(r"&[A-Za-z_][A-Za-z0-9_.-]*=")
_UNUSABLE_KEY = re.compile(r"[=&\x00-\x1f\x7f-\x9f]")
_SIGN = re.compile(r"[0-9A-Fa-f]{40}")
_AS_PRINTED = re.compile(r"0(?:\.[0-9]{0,4}[1-9])?|-?[1-9][0-9]{0,14}|-?[1-9][0-9]{0,8}\.[0-9]{0,5}[1-9]")
"""Literals that JavaScript prints as they are: a double holds every decimal of up to 15 digits."""


class Unsignable(ValueError):
    """The body must be refused before any comparison. The message names the member and quotes no value."""


class Form(enum.StrEnum):
    """How the sender printed values when signing. Every number of a body has the same form (S4)."""

    LITERAL = "literal"
    CANONICAL = "canonical"
    UNFILTERED = "unfiltered"


def sign(text: str, token: gateway.Secret) -> str:
    """Return the 40 upper-case hex digits that ``sign`` holds: SHA-1 of StringA followed by the token, as UTF-8."""
    # The protocol fixes SHA-1; saying "not for security" keeps this working on hosts where policy disables it.
    return hashlib.sha1((text + token.reveal()).encode(), usedforsecurity=False).hexdigest().upper()


def canonical(body: object, *, sign_key: str = "sign", form: Form = Form.CANONICAL) -> str:
    """Return StringA: ``key=value`` joined by ``&``, in UTF-16 order of the wire keys, without ``sign_key`` (S12-S16).

    Empty members are left out, except under ``Form.UNFILTERED`` (S10). Raises ``Unsignable`` (S7, S11, S20).
    """
    return _string_a(_members(body), sign_key, form)


def matching(body: object, token: gateway.Secret, *, sign_key: str = "sign", unfiltered: bool = False) -> Form | None:
    """Return the form whose signature is in ``sign_key``; None when the sign is absent, malformed or wrong.

    All candidates are computed and compared in constant time before anything is decided (S4, S10, S23); numbers sent
    as they are printed make one of the first two. ``unfiltered`` adds the candidate that signs empty members. Raises
    ``Unsignable``.
    """
    members = _members(body)
    numbers = [
        value.text for key, value in members.items() if key != sign_key and isinstance(value, gateway.JsonNumber)
    ]
    texts = {Form.LITERAL: _string_a(members, sign_key, Form.LITERAL)}
    are_printed = all(map(_AS_PRINTED.fullmatch, numbers))  # as nearly all are
    if not are_printed and any(number_text(number) != number for number in numbers):
        texts[Form.CANONICAL] = _string_a(members, sign_key, Form.CANONICAL)
    if unfiltered:
        texts[Form.UNFILTERED] = _string_a(members, sign_key, Form.UNFILTERED)
    given = well_formed(members.get(sign_key))
    matches = [form for form, text in texts.items() if gateway.same(given, sign(text, token))]
    return matches[0] if matches else None


def covered(body: Mapping[str, Any], form: Form) -> dict[str, Any]:
    """Return the members with each number as the sign that matched covers it: digits beyond are not proved (S5)."""
    if form is Form.LITERAL:
        return dict(body)
    return {
        key: gateway.JsonNumber(_number(value, form)) if isinstance(value, gateway.JsonNumber) else value
        for key, value in body.items()
    }


def ambiguous(value: object) -> bool:
    """Return whether a text could be read as several members: ``a=1&b=2`` as one value and as two sign alike (S21)."""
    return isinstance(value, str) and "&" in value and _AMBIGUOUS.search(value) is not None


def printed(key: str, value: object, form: Form) -> str | None:
    """Return the text of one value; None if it is empty (S9) and takes no part, as empty containers never do (S10)."""
    match value:
        case str() if value:
            return value
        case gateway.JsonNumber():
            return _number(value, form)
        case None:
            return "null" if form is Form.UNFILTERED else None
        case "":
            return "" if form is Form.UNFILTERED else None
        case list() | dict() if not value:
            return None
        case bool():
            return "true" if value else "false"
        case _:
            raise Unsignable(f"member {key[:64]!r} is not a text, number, boolean or null")


def number_text(literal: str) -> str:
    """Print a JSON number as JavaScript does: shortest round trip, plain from 1e-6 to below 1e21 (S2).

    ``162.480`` is ``162.48``, ``-0`` is ``0``, ``1E21`` is ``1e+21``. Raises ``Unsignable`` when it is not a
    finite double (S7).
    """
    if _AS_PRINTED.fullmatch(literal) is not None:
        return literal
    double = float(literal)
    if not math.isfinite(double):
        raise Unsignable("a number is not finite")
    if double == 0:
        return "0"
    # repr has the right digits; only its notation differs (Python switches at 1e-4 and 1e16).
    _, figures, exponent = Decimal(repr(abs(double))).as_tuple()
    digits = "".join(map(str, figures)).rstrip("0")
    point = len(figures) + int(exponent)
    return ("-" if double < 0 else "") + _notation(digits, point)


def _notation(digits: str, point: int) -> str:
    """Place the decimal point after ``point`` digits; ECMAScript, Number::toString, steps 6 to 10."""
    if len(digits) <= point <= 21:
        return digits.ljust(point, "0")
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{point - 1:+d}"


def _number(number: gateway.JsonNumber, form: Form) -> str:
    return number.text if form is Form.LITERAL else number_text(number.text)


def _members(body: object) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise Unsignable("the body is not an object")
    if _UNUSABLE_KEY.search("".join(body)) is not None:
        raise Unsignable('a key holds "=", "&" or a control character')
    return body


def _string_a(members: Mapping[str, Any], sign_key: str, form: Form) -> str:
    as_sent: Any = gateway.JsonNumber if form is Form.LITERAL else None
    texts = {
        key: value
        if value and type(value) is str
        else (value.text if type(value) is as_sent else printed(key, value, form))
        for key, value in members.items()
        if key != sign_key
    }
    # Names in ASCII have the same order in UTF-16.
    order = None if "".join(texts).isascii() else _in_utf16
    return "&".join([f"{key}={text}" for key in sorted(texts, key=order) if (text := texts[key]) is not None])


def _in_utf16(key: str) -> bytes:
    return key.encode("utf-16-be")


def well_formed(value: object) -> str:
    """Return a received sign in upper case; empty, which matches nothing, unless it is 40 ASCII hex digits (S23)."""
    return value.upper() if isinstance(value, str) and _SIGN.fullmatch(value) else ""
