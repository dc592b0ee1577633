"""Describe a value that cannot be used: what it is, what it looks like, and what belongs there. Pure.

Used for the reason of a refused callback (log and inbox), for the note of an unknown create, and in explanations. Short
values are quoted as JSON writes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, DecimalException
from typing import Any

import gateway

LONGEST = 40
"""Characters of a value that is quoted: a longer one is only described, since a part of a secret is not masked."""

LONGEST_RESULT = 12
"""Characters of a wrong ``result`` that is quoted: a longer one might be a customer's name."""

SECONDS = (10**8, 10**11)
"""The range of a recent Unix time in seconds; those of the units below follow in steps of a thousand."""

UNITS = {"seconds": 1, "milliseconds": 1000, "microseconds": 10**6, "nanoseconds": 10**9}

WORDS: Mapping[str, tuple[str, ...]] = {
    "0": ("fail", "failed", "failure", "error", "declined", "rejected", "canceled", "cancelled", "expired"),
    "1": ("success", "succeeded", "successful", "ok", "paid", "completed", "complete", "approved", "captured"),
    "2": ("processing", "pending", "in_progress", "waiting", "created"),
}
"""What senders call the three statuses."""

NOT_POSITIVE = "that is not more than zero; also with status 0 send the amount that was asked"

STATUSES = "a number: 0 failed, 1 succeeded, 2 processing"

_COMPACT = re.compile(r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])[0-3][0-9](?:[0-9]{6})?")
_MONEY_SIGNS = re.compile(r"[A-Za-z$\u20ac\u00a3\u00a5 ]")


def quoted(value: object) -> str:
    """Return a value as JSON writes it; a long one by its kind and length."""
    text = gateway.dumps(value).decode("utf-8", "replace")
    return text if len(text) <= LONGEST else f"{_kind(value)} of {len(text)} characters"


def _kind(value: object) -> str:
    return "a text" if isinstance(value, str) else "a number" if isinstance(value, gateway.JsonNumber) else "JSON"


def describe(name: str, value: object) -> str:
    """Return what is wrong with a member of API-2 and what belongs there. ``value`` None: it is missing or null."""
    belongs, guess_of = EXPECTED[name]
    if value is None:
        return f"{name} is missing; it must be {belongs}"
    guess = guess_of(value)
    return f"{name} is {quoted(value)}{': ' + guess if guess else ''}; it must be {belongs}"


def _guess_time(value: object) -> str | None:
    """Guess what a time is that is not whole milliseconds."""
    if isinstance(value, gateway.JsonNumber):
        return _guess_unit(value.text)
    if not isinstance(value, str):
        return "that is not a number"
    text = value.strip()
    if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text):
        guess = _guess_unit(text)
        return f"that is text{', and ' + guess if guess else ''}: send the number without quotes"
    date = _date(text)
    if date is None:
        return "that is text"
    zone = "" if date.tzinfo is not None else ", without its zone"
    meant = _example(date if date.tzinfo is not None else date.replace(tzinfo=UTC))
    return f"that is a date as text{zone}: send {meant}{' if it is UTC' if zone else ''}"


def _guess_unit(text: str) -> str | None:
    """Guess the unit of a number that would be a recent time in it."""
    if _COMPACT.fullmatch(text):
        return "looks like a date written in digits"
    number = _decimal(text)
    for unit, factor in UNITS.items():
        if SECONDS[0] * factor <= number < SECONDS[1] * factor and (unit != "milliseconds" or number % 1):
            fraction = " with a fraction" if number % 1 else ""
            return f"looks like {unit}{fraction}; send {int(number * 1000 / factor)}"
    return None


def _decimal(text: str) -> Decimal:
    """Read a number; zero for an exponent beyond what a Decimal holds."""
    try:
        return Decimal(text)
    except DecimalException:
        return Decimal(0)


def _date(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _example(date: datetime) -> int:
    return int(date.timestamp() * 1000)


def _guess_status(value: object) -> str | None:
    """Guess which of the three a status is meant to be."""
    match value:
        case bool():
            return "that is not a number"
        case str() if value.strip() in WORDS:
            return f"that is text; send {value.strip()} without quotes"
        case str():
            word = value.strip().lower()
            meant = next((number for number, words in WORDS.items() if word in words), None)
            return "that is text" if meant is None else f"looks like {meant}; send the number {meant}"
        case gateway.JsonNumber() if value.text in ("200", "201", "204"):
            return "looks like an HTTP status"
        case _:
            return None


def _guess_amount(value: object) -> str | None:
    """Guess why an amount cannot be read."""
    if isinstance(value, gateway.JsonNumber):
        return NOT_POSITIVE if _decimal(value.text) <= 0 else "that has too many digits"
    if not isinstance(value, str):
        return "that is not a number"
    if "," in value:
        return "the comma does not belong there"
    if _MONEY_SIGNS.search(value):
        return "currency signs, letters and blanks do not belong there"
    return None


def _guess_currency(value: object) -> str | None:
    """Guess why a currency cannot be read."""
    if isinstance(value, gateway.JsonNumber) or (isinstance(value, str) and value.strip().isdigit()):
        return "looks like a numeric code"
    return "blanks and signs do not belong there" if isinstance(value, str) else "that is not text"


EXPECTED: Mapping[str, tuple[str, Callable[[object], str | None]]] = {
    "status": (STATUSES, _guess_status),
    "currency": ("a code such as USD", _guess_currency),
    "amount": ("a positive number in major units such as 25.5", _guess_amount),
    "time": ("a number: whole Unix milliseconds such as 1764333600000", _guess_time),
}
"""What belongs in each member, and the guess at a value that does not."""


def describe_result(answer: Mapping[str, Any]) -> str:
    """Return what an answer has in place of a boolean ``result``; only a plain word or number is quoted."""
    match answer.get("result"):
        case None:
            return "it is null" if "result" in answer else "it is absent"
        case gateway.JsonNumber() as number if len(number.text) <= LONGEST_RESULT:
            return f"it is the number {number.text}; send true or false"
        case str() as word if word.isascii() and word.isalnum() and len(word) <= LONGEST_RESULT:
            return f'it is the text "{word}"; send true or false without quotes'
        case _:
            return "it is something else; send true or false"
