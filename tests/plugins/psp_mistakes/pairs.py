"""Two mistakes at once."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from urllib.parse import quote

from tests.plugins.psp_mistakes.bridge import (
    EMPTY,
    NOTE,
    Bridge,
    Call,
    Mistake,
    by_text,
    call,
    joined,
    pairs,
    printed,
    shown,
)


def two_printed(first: str, empty: str) -> Callable[[Bridge], Call]:
    """Sign the amount in another form, and empty members as a word."""
    return printed(
        lambda key, value: format(value, first) if key == "amount" else empty if value is None else shown(value),
        empties=True,
    )


PAIRS = (
    Mistake(
        "25.50 and key=",
        two_printed(".2f", ""),
        ("two decimals", "and empty members signed too"),
        {"amount": 25.5, **EMPTY},
    ),
    Mistake("25.50 and null", two_printed(".2f", "null"), ("two decimals", "null as null"), {"amount": 25.5, **EMPTY}),
    Mistake(
        "cents and True",
        printed(lambda k, v: f"{v * 100:.0f}" if k == "amount" else str(v) if isinstance(v, bool) else shown(v)),
        ("printed in cents and booleans printed as True",),
        {"amount": 25.5, "promo": True},
    ),
    Mistake(
        "seconds and 25.50",
        printed(lambda k, v: str(v // 1000) if k == "time" else f"{v:.2f}" if k == "amount" else shown(v)),
        ("two decimals", "the time printed in seconds"),
        {"amount": 25.5, "time": 1795851349000},
    ),
    Mistake(
        "url-encoded and 25.50",
        printed(lambda k, v: f"{v:.2f}" if k == "amount" else quote(shown(v), safe="")),
        ("two decimals", "url-encoded"),
        {"amount": 25.5, **NOTE},
    ),
    Mistake(
        "25.50 and undefined",
        by_text(
            lambda w: joined(sorted([*pairs({**w.members, "amount": "25.50"}), ("user_id", "undefined")])) + w.token
        ),
        ("two decimals", "user_id=undefined, which the body does not have"),
        {"amount": 25.5},
    ),
    Mistake(
        "25.50 and values alone",
        by_text(lambda w: "".join(text for _, text in pairs({**w.members, "amount": "25.50"})) + w.token),
        ("two decimals", "the values alone"),
        {"amount": 25.5},
    ),
    Mistake(
        "undefined and MD5",
        lambda w: call(
            w,
            w.members,
            hashlib.md5((joined([*pairs(w.members), ("user_id", "undefined")]) + w.token).encode()).hexdigest(),
        ),
        ("user_id=undefined, which the body does not have", "MD5 instead of SHA-1"),
    ),
    Mistake(
        "seconds and HMAC",
        lambda w: call(
            w,
            w.members,
            hmac.new(
                w.token.encode(),
                joined(pairs(w.members, show=lambda k, v: str(v // 1000) if k == "time" else shown(v))).encode(),
                "sha1",
            ).hexdigest(),
        ),
        ("the time printed in seconds", "HMAC-SHA1"),
        {"time": 1795851349000},
    ),
)
