"""A text, a token or a hash that a bridge signs differently."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

from tests.plugins.psp_mistakes.bridge import (
    NOTE,
    RIGHT_SIGN,
    Bridge,
    Call,
    Mistake,
    by_text,
    call,
    hashed,
    joined,
    pairs,
    right_sign,
    sha1,
    shown,
    signs_with,
)


def algorithm(name: str) -> Callable[[Bridge], Call]:
    """Another hash over the right text."""
    return hashed(lambda text, token: hashlib.new(name, (text + token).encode()).hexdigest())


def keyed(name: str) -> Callable[[Bridge], Call]:
    """HMAC over StringA, keyed by the token."""
    return hashed(lambda text, token: hmac.new(token.encode(), text.encode(), name).hexdigest())


def of_body(dump: Callable[[dict[str, Any]], str]) -> Callable[[Bridge], Call]:
    """Sign the JSON body instead of StringA."""
    return by_text(lambda bridge: dump(bridge.members) + bridge.token)


def with_member(name: str, word: str) -> Callable[[Bridge], Call]:
    """Sign a member that the body does not have."""
    return by_text(lambda w: joined(sorted([*pairs(w.members), (name, word)])) + w.token)


def decoded(decode: Callable[[str], bytes]) -> Callable[[Bridge], Call]:
    """Sign with the bytes that the token is another notation of."""
    return hashed(lambda text, token: hashlib.sha1(text.encode() + decode(token)).hexdigest())


TEXT = (
    Mistake(
        "body order",
        by_text(lambda w: "&".join(f"{k}={shown(v)}" for k, v in w.members.items()) + w.token),
        ("order of the body",),
    ),
    Mistake(
        "case-insensitive order",
        by_text(lambda w: joined(sorted(pairs(w.members), key=lambda p: p[0].lower())) + w.token),
        ("sorted without regard to case",),
        {"Zone": "x", "Alpha": "y"},
    ),
    Mistake(
        "by value",
        by_text(lambda w: joined(sorted(pairs(w.members), key=lambda p: p[1])) + w.token),
        ("sorted by value",),
    ),
    Mistake("backwards", by_text(lambda w: joined(pairs(w.members)[::-1]) + w.token), ("sorted backwards",)),
    Mistake("comma", by_text(lambda w: joined(pairs(w.members), ",") + w.token), ("a comma between the members",)),
    Mistake(
        "semicolon", by_text(lambda w: joined(pairs(w.members), ";") + w.token), ("a semicolon between the members",)
    ),
    Mistake(
        "no separator", by_text(lambda w: joined(pairs(w.members), "") + w.token), ("nothing between the members",)
    ),
    Mistake(
        "values alone", by_text(lambda w: "".join(t for _, t in pairs(w.members)) + w.token), ("the values alone",)
    ),
    Mistake(
        "upper keys",
        by_text(lambda w: joined([(k.upper(), t) for k, t in pairs(w.members)]) + w.token),
        ("the keys in upper case",),
    ),
    Mistake(
        "lower keys",
        by_text(lambda w: joined([(k.lower(), t) for k, t in pairs(w.members)]) + w.token),
        ("the keys in lower case",),
        {"Zone": "x"},
    ),
    Mistake(
        "sign in it",
        by_text(lambda w: joined(pairs({**w.members, "sign": ""}, empties=True)) + w.token),
        ("an empty sign among the members",),
    ),
    Mistake(
        "extra left out",
        by_text(lambda w: joined([p for p in pairs(w.members) if p[0] not in ("note", "zone")]) + w.token),
        ("only the documented members",),
        {"note": "x", "zone": "y"},
    ),
    Mistake(
        "time left out",
        by_text(lambda w: joined([p for p in pairs(w.members) if p[0] != "time"]) + w.token),
        ("time left out",),
    ),
    Mistake(
        "zeros left out",
        by_text(lambda w: joined([p for p in pairs(w.members) if p[1] != "0"]) + w.token),
        ("0 or false left out",),
        {"status": 0},
    ),
    Mistake(
        "& before the token", by_text(lambda w: f"{joined(pairs(w.members))}&{w.token}"), ("an & before the token",)
    ),
    Mistake("&key=", by_text(lambda w: f"{joined(pairs(w.members))}&key={w.token}"), ("&key= before the token",)),
    Mistake("&token=", by_text(lambda w: f"{joined(pairs(w.members))}&token={w.token}"), ("&token= before the token",)),
    Mistake("no token", by_text(lambda w: joined(pairs(w.members))), ("no token",)),
    Mistake("token first", by_text(lambda w: w.token + joined(pairs(w.members))), ("the token before the text",)),
    Mistake("token twice", by_text(lambda w: joined(pairs(w.members)) + w.token * 2), ("the token twice",)),
    Mistake(
        "line break behind",
        by_text(lambda w: joined(pairs(w.members)) + w.token + "\n"),
        ("a line break after the token",),
    ),
    Mistake(
        "token as a member",
        by_text(lambda w: joined(pairs({**w.members, "token": w.token}))),
        ("the token as a member token",),
    ),
    Mistake(
        "other account's token",
        by_text(lambda w: joined(pairs(w.members)) + w.other_token),
        ('the token of account "psp-two"',),
    ),
    Mistake(
        "earlier token",
        by_text(lambda w: joined(pairs(w.members)) + w.old_token),
        ("the token of generation 1 of this account",),
    ),
    Mistake(
        "merchant_id for token",
        by_text(lambda w: joined(pairs(w.members)) + w.members["merchant_id"]),
        ("the merchant_id in the place of the token",),
    ),
    Mistake(
        "two at once",
        by_text(
            lambda w: (
                f"{joined(pairs(w.members, show=lambda k, v: f'{v:.2f}' if k == 'amount' else shown(v)))}&key={w.token}"
            )
        ),
        ("the amount printed with two decimals", "&key= before the token"),
        {"amount": 25.5},
    ),
    Mistake("SHA-256", algorithm("sha256"), signs_with("SHA-256 instead of SHA-1")),
    Mistake("SHA-512", algorithm("sha512"), signs_with("SHA-512 instead of SHA-1")),
    Mistake("MD5", algorithm("md5"), signs_with("MD5 instead of SHA-1")),
    Mistake("HMAC-SHA1", keyed("sha1"), signs_with("HMAC-SHA1 keyed by the token")),
    Mistake("HMAC-SHA256", keyed("sha256"), signs_with("HMAC-SHA256 keyed by the token")),
    Mistake("HMAC-SHA512", keyed("sha512"), signs_with("HMAC-SHA512 keyed by the token")),
    Mistake("SHA-1 twice", hashed(lambda text, token: sha1(sha1(text + token).lower())), signs_with("SHA-1 twice")),
    Mistake(
        "base64",
        hashed(lambda text, token: base64.b64encode(hashlib.sha1((text + token).encode()).digest()).decode()),
        ("sign is in base64", RIGHT_SIGN),
    ),
    Mistake(
        "base64 of SHA-256",
        hashed(lambda text, token: base64.b64encode(hashlib.sha256((text + token).encode()).digest()).decode()),
        ("sign is in base64", "SHA-256 instead of SHA-1"),
    ),
    Mistake("line break in sign", right_sign(lambda sign: f"{sign}\n"), ("a line break at its end", RIGHT_SIGN)),
    Mistake("blanks around sign", right_sign(lambda sign: f" {sign} "), ("a blank", RIGHT_SIGN)),
    Mistake("0x", right_sign(lambda sign: f"0x{sign}"), ("before its digits", RIGHT_SIGN)),
    Mistake(
        "colons",
        right_sign(lambda sign: ":".join(sign[i : i + 2] for i in range(0, 40, 2))),
        ("between its digits", RIGHT_SIGN),
    ),
    Mistake("cut sign", right_sign(lambda sign: sign[:30]), ("sign has 30 characters",)),
    Mistake("a number", right_sign(lambda _: 12345), ("sign is a number",)),
    Mistake(
        "compact JSON", of_body(lambda m: json.dumps(m, separators=(",", ":"))), ("the JSON body instead of key=value",)
    ),
    Mistake(
        "sorted JSON", of_body(lambda m: json.dumps(dict(sorted(m.items())), separators=(",", ":"))), ("sorted by key",)
    ),
    Mistake("Python's JSON", of_body(json.dumps), ("the JSON body with blanks",)),
    Mistake(
        "HMAC of the body",
        lambda w: call(
            w,
            w.members,
            hmac.new(w.token.encode(), json.dumps(w.members, separators=(",", ":")).encode(), "sha256").hexdigest(),
        ),
        ("the JSON body instead of key=value", "HMAC-SHA256"),
    ),
    Mistake(
        "API-1's name signed",
        by_text(lambda w: joined(sorted(("sum" if k == "amount" else k, t) for k, t in pairs(w.members))) + w.token),
        ("the names of API-1 (sum for amount)",),
    ),
    Mistake(
        "MD5 of the token",
        by_text(lambda w: joined(pairs(w.members)) + hashlib.md5(w.token.encode()).hexdigest()),
        signs_with("the MD5 of the token in its place"),
    ),
    Mistake("escaped JSON", of_body(lambda m: json.dumps(m, separators=(",", ":"))), ("the JSON body in ASCII",), NOTE),
    Mistake("undefined", with_member("user_id", "undefined"), ("user_id=undefined, which the body does not have",)),
    Mistake("None absent", with_member("user_id", "None"), ("user_id=None, which the body does not have",)),
    Mistake("empty absent", with_member("user_id", ""), ("user_id=, which the body does not have",)),
    Mistake(
        "undefined transaction",
        with_member("transaction_id", "undefined"),
        ("transaction_id=undefined, which the body does not have",),
        {"transaction_id": ...},
    ),
    Mistake("CRLF", by_text(lambda w: joined(pairs(w.members)) + w.token + "\r\n"), ("a line break (CRLF) after",)),
    Mistake(
        "base64 token",
        decoded(lambda token: base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))),
        signs_with("the token decoded from base64"),
    ),
    Mistake(
        "text in capitals",
        by_text(lambda w: joined(pairs(w.members)).upper() + w.token),
        signs_with("the text in upper case, the token as it is"),
    ),
)
