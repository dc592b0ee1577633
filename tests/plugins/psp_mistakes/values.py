"""Values that a bridge prints differently when it signs them."""

from __future__ import annotations

import html
import json
import unicodedata
from collections.abc import Callable
from urllib.parse import quote, quote_plus

from tests.plugins.psp_mistakes.bridge import (
    EMPTY,
    NOTE,
    Bridge,
    Call,
    Mistake,
    by_text,
    joined,
    pairs,
    printed,
    shown,
    signs_with,
)


def amount_as(form: str) -> Callable[[Bridge], Call]:
    """Sign the amount in another form."""
    return printed(lambda key, value: format(value, form) if key == "amount" else shown(value))


def in_time(write: Callable[[int], str]) -> Callable[[Bridge], Call]:
    """Sign the time in another form."""
    return printed(lambda key, value: write(value) if key == "time" else shown(value))


VALUES = (
    Mistake("two decimals", amount_as(".2f"), signs_with("the amount printed with two decimals"), {"amount": 25.5}),
    Mistake("one decimal", amount_as(".1f"), signs_with("the amount printed with one decimal"), {"amount": 25}),
    Mistake("four decimals", amount_as(".4f"), signs_with("the amount printed with 4 decimals"), {"amount": 25.5}),
    Mistake("exponent", amount_as(".0e"), ("exponent (1e+02)",), {"amount": 100}),
    Mistake(
        "1E2",
        by_text(lambda w: joined(pairs({**w.members, "amount": "1E2"})) + w.token),
        ("exponent (1E2)",),
        {"amount": 100},
    ),
    Mistake(
        "cents",
        by_text(lambda w: joined(pairs({**w.members, "amount": 2550})) + w.token),
        signs_with("the amount printed in cents"),
        {"amount": 25.5},
    ),
    Mistake(
        "decimal comma",
        by_text(lambda w: joined(pairs({**w.members, "amount": "25,50"})) + w.token),
        signs_with("the amount printed with a comma (25,50)"),
        {"amount": 25.5},
    ),
    Mistake(
        "floats",
        printed(lambda _, v: str(float(v)) if isinstance(v, int | float) else shown(v)),
        signs_with("every number printed as a float"),
    ),
    Mistake(
        "Java doubles",
        printed(
            lambda k, v: (
                {
                    "amount": "162.48",
                    "status": "1.0",
                    "time": f"{v / 1e12:.12f}".rstrip("0") + "E12" if k == "time" else "",
                }.get(k)
                or shown(v)
            )
        ),
        signs_with("every number printed as Java prints a double"),
    ),
    Mistake(
        "Go floats",
        printed(lambda k, v: f"{v / 1e12:.12f}".rstrip("0") + "e+12" if k == "time" else shown(v)),
        signs_with("every number printed as Go prints a float64"),
    ),
    Mistake(
        "True",
        printed(lambda _, v: str(v) if isinstance(v, bool) else shown(v)),
        signs_with("booleans printed as True and False"),
        {"promo": True},
    ),
    Mistake(
        "1 for true",
        printed(lambda _, v: str(int(v)) if isinstance(v, bool) else shown(v)),
        signs_with("booleans printed as 1 and 0"),
        {"promo": True, "test": False},
    ),
    Mistake(
        "empties",
        printed(lambda _, v: "" if v is None else shown(v), empties=True),
        signs_with("empty members signed too (key=)"),
        EMPTY,
    ),
    Mistake(
        "null",
        printed(lambda _, v: "null" if v is None else shown(v), empties=True),
        signs_with("empty members signed too, null as null"),
        EMPTY,
    ),
    Mistake(
        "None",
        printed(lambda _, v: "None" if v is None else shown(v), empties=True),
        signs_with("empty members signed too, null as None"),
        EMPTY,
    ),
    Mistake(
        "url-encoded", printed(lambda _, v: quote(shown(v), safe="")), signs_with("the values url-encoded (%20)"), NOTE
    ),
    Mistake(
        "plus for blank",
        printed(lambda _, v: quote_plus(shown(v))),
        signs_with("the values url-encoded (+ for a blank)"),
        NOTE,
    ),
    Mistake(
        "escapes",
        printed(lambda _, v: json.dumps(v)[1:-1] if isinstance(v, str) else shown(v)),
        signs_with("characters beyond ASCII signed as \\u escapes"),
        NOTE,
    ),
    Mistake(
        "PHP escapes",
        printed(lambda _, v: json.dumps(v)[1:-1].replace("/", "\\/") if isinstance(v, str) else shown(v)),
        signs_with("characters beyond ASCII and slashes"),
        NOTE,
    ),
    Mistake(
        "quotes",
        printed(lambda _, v: json.dumps(v) if isinstance(v, str) else shown(v)),
        signs_with("texts signed in their quotes"),
    ),
    Mistake(
        "currency case",
        printed(lambda k, v: v.lower() if k == "currency" else shown(v)),
        signs_with("the currency signed in lower case"),
    ),
    Mistake(
        "trimmed",
        printed(lambda _, v: v.strip() if isinstance(v, str) else shown(v)),
        signs_with("texts signed without the blanks"),
        {"note": " a "},
    ),
    Mistake(
        "plus as a blank",
        printed(lambda _, v: v.replace("+", " ") if isinstance(v, str) else shown(v)),
        signs_with("the values url-decoded"),
        {"phone": "+1 123456"},
    ),
    Mistake(
        "decomposed Unicode",
        printed(lambda _, v: unicodedata.normalize("NFD", v) if isinstance(v, str) else shown(v)),
        signs_with("texts signed in another form of Unicode (NFD)"),
        NOTE,
    ),
    Mistake(
        "REST, older",
        printed(lambda _, v: "" if v is None else shown(v), empties=True),
        ("as the vendor's older REST signature does",),
        {"user_id": ""},
    ),
    Mistake(
        "PHP float",
        in_time(lambda v: f"{v / 1e12:.12f}".rstrip("0") + "E+12"),
        signs_with("every number printed as PHP prints a float"),
    ),
    Mistake("seconds signed", in_time(lambda v: str(v // 1000)), ("the time printed in seconds",)),
    Mistake("fraction of seconds", in_time(lambda v: f"{v / 1000:.3f}".rstrip("0")), ("the time printed in seconds",)),
    Mistake(
        "HTML escapes",
        printed(lambda _, v: html.escape(v) if isinstance(v, str) else shown(v)),
        signs_with("the values HTML-escaped"),
        {"note": "Café & 'Bar'"},
    ),
    Mistake(
        "PHP's HTML escapes",
        printed(lambda _, v: html.escape(v).replace("&#x27;", "&#039;") if isinstance(v, str) else shown(v)),
        signs_with("the values HTML-escaped, as PHP does"),
        {"note": "Café & 'Bar'"},
    ),
    Mistake(
        "changed status",
        by_text(lambda w: joined(pairs({**w.members, "status": 2})) + w.token),
        ("status=2: it was changed",),
    ),
    Mistake(
        "status word signed",
        by_text(lambda w: joined(pairs({**w.members, "status": "success"})) + w.token),
        ("status=success: it was changed",),
    ),
)
