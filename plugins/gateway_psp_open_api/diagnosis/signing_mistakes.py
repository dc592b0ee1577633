"""The known mistakes in each step of signing but printing: choose, order and join members, add the token, hash. Pure.

One table per step; ``RIGHT`` holds the right way of each.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import gateway
from gateway_psp_open_api.diagnosis.printing_mistakes import PRINTING, Mistake, canonical, decimal_of

MEMBERS = ("merchant_id", "order_no", "transaction_id", "amount", "currency", "time", "status", "user_id")
"""The documented members of API-2, in the order of its description."""

OPTIONAL = ("transaction_id", "user_id")
"""Those that may be absent."""

ABSENT = ("undefined", "null", "None", "")
"""What senders print for a member that is absent."""

TOKEN_KEYS = ("key", "token", "secret", "crm-pay-token", "crm_pay_token", "secret_key", "apiKey", "merchant_key")
"""Names that senders give the token in the text."""

# 2. Choose the members: (key, value, printed) -> whether it takes part


def _documented(key: str, *_: Any) -> bool:
    return key in MEMBERS


def _is_truthy(_: str, value: Any, printed: str) -> bool:
    return (
        value is not False
        and (decimal_of(value) if isinstance(value, gateway.JsonNumber) else 1) != 0
        and printed != "0"
    )


CHOOSING = (
    Mistake("only the documented members", _documented, is_common=True),
    Mistake("members that are 0 or false left out", _is_truthy, is_common=True),
)
"""Besides these, the search tries to leave out each single member."""


# 3. Order them: a sort of (key, printed) pairs; the right one is by UTF-16 code units of the key

ORDERING = (
    Mistake("the members in the order of the body", lambda pairs: pairs, is_common=True),
    Mistake("the members sorted without regard to case", lambda pairs: sorted(pairs, key=lambda one: one[0].lower())),
    Mistake("the members sorted by value", lambda pairs: sorted(pairs, key=lambda one: one[1])),
    Mistake("the members sorted backwards", lambda pairs: sorted(pairs, reverse=True)),
    Mistake(
        "the members in the order of the API's description", lambda pairs: sorted(pairs, key=lambda one: _rank(one[0]))
    ),
)


def _rank(key: str) -> int:
    return MEMBERS.index(key) if key in MEMBERS else len(MEMBERS)


def absent(members: Mapping[str, Any]) -> list[Mistake]:
    """Return the mistakes of signing members that are not in the body."""
    return [
        Mistake(
            f"{key}={word}, which the body does not have: leave out what is absent",
            _with(key, word),
            word == "undefined",
        )
        for key in OPTIONAL
        if key not in members
        for word in ABSENT
    ]


def _with(key: str, word: str) -> Callable[[Sequence[tuple[str, str]]], list[tuple[str, str]]]:
    return lambda pairs: sorted([*pairs, (key, word)])


# 4. Join them


def _joined(between: str, *, format_: str = "{}={}") -> Callable[[Sequence[tuple[str, str]]], str]:
    return lambda pairs: between.join(format_.format(key, text) for key, text in pairs)


JOINING = (
    Mistake("nothing between the members", _joined(""), is_common=True),
    Mistake("a comma between the members", _joined(",")),
    Mistake("a semicolon between the members", _joined(";")),
    Mistake("a line break between the members", _joined("\n")),
    Mistake("a | between the members", _joined("|")),
    Mistake("a blank between the members", _joined(" ")),
    Mistake("the values alone, without the keys", _joined("", format_="{1}"), is_common=True),
    Mistake("the values alone, joined by &", _joined("&", format_="{1}")),
    Mistake("the values alone, joined by |", _joined("|", format_="{1}")),
    Mistake("keys and values without =", _joined("", format_="{}{}")),
    Mistake("a colon between key and value", _joined("&", format_="{}:{}")),
    Mistake("the text in upper case, the token as it is", lambda pairs: _joined("&")(pairs).upper()),
    Mistake("the text in lower case, the token as it is", lambda pairs: _joined("&")(pairs).lower()),
    Mistake("the keys in upper case", lambda pairs: "&".join(f"{key.upper()}={text}" for key, text in pairs)),
    Mistake("the keys in lower case", lambda pairs: "&".join(f"{key.lower()}={text}" for key, text in pairs)),
    Mistake("the keys in camel case (orderNo)", lambda pairs: "&".join(f"{_camel(key)}={text}" for key, text in pairs)),
    Mistake(
        "an empty sign among the members", lambda pairs: "&".join(f"{k}={t}" for k, t in sorted([*pairs, ("sign", "")]))
    ),
    Mistake("an empty sign after the members", lambda pairs: "&".join(f"{k}={t}" for k, t in [*pairs, ("sign", "")])),
    Mistake(
        "the whole text url-encoded", lambda pairs: quote("&".join(f"{key}={text}" for key, text in pairs), safe="&=")
    ),
)


def _camel(key: str) -> str:
    return re.sub("_([a-z])", lambda found: found[1].upper(), key)


# 5. Add the token: (text, token) -> StringB

ADDING = (
    Mistake("no token", lambda text, _: text, is_common=True),
    Mistake("the token before the text", lambda text, token: token + text, is_common=True),
    Mistake("an & before the token", lambda text, token: f"{text}&{token}", is_common=True),
    *(
        Mistake(
            f"&{name}= before the token",
            lambda text, token, name=name: f"{text}&{name}={token}",
            is_common=name == "key",
        )
        for name in TOKEN_KEYS
    ),
    Mistake("key= before the token", lambda text, token: f"{text}key={token}"),
    Mistake("the token twice", lambda text, token: text + token + token),
    Mistake("the token before and after the text", lambda text, token: token + text + token),
    Mistake("a line break after the token", lambda text, token: f"{text}{token}\n", is_common=True),
    Mistake("a line break (CRLF) after the token", lambda text, token: f"{text}{token}\r\n", is_common=True),
    Mistake("a blank after the token", lambda text, token: f"{text}{token} "),
    Mistake("a line break before the token", lambda text, token: f"{text}\n{token}"),
    Mistake("a blank before the token", lambda text, token: f"{text} {token}"),
    Mistake("a comma before the token", lambda text, token: f"{text},{token}"),
    Mistake("a colon before the token", lambda text, token: f"{text}:{token}"),
    Mistake("a | before the token", lambda text, token: f"{text}|{token}"),
    Mistake("the token in lower case", lambda text, token: text + token.lower()),
    Mistake("the token in upper case", lambda text, token: text + token.upper()),
    Mistake("the MD5 of the token in its place", lambda text, token: text + _hash("md5")(token, "", "").hex()),
    Mistake("the SHA-1 of the token in its place", lambda text, token: text + _sha1(token.encode()).hex()),
    Mistake("the token in quotes", lambda text, token: f'{text}"{token}"'),
    Mistake("the token url-encoded", lambda text, token: text + quote(token, safe="")),
)


# 6. Hash: (StringB, StringA, token) -> digest


def _hash(name: str) -> Callable[[str, str, str], bytes]:
    return lambda both, *_: hashlib.new(name, both.encode(), usedforsecurity=False).digest()


def _hmac(name: str) -> Callable[[str, str, str], bytes]:
    return lambda _, text, token: hmac.new(token.encode(), text.encode(), name).digest()


def _hmac_of_both(name: str) -> Callable[[str, str, str], bytes]:
    return lambda both, _, token: hmac.new(token.encode(), both.encode(), name).digest()


def _sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()


def _from_base64(token: str) -> bytes:
    return urlsafe_b64decode(token.replace("+", "-").replace("/", "_") + "=" * (-len(token) % 4))


def _unpacked(token: str, decode: Callable[[str], bytes]) -> bytes:
    """Decode a token written in another notation; no bytes if it is not."""
    try:
        return decode(token)
    except ValueError:
        return b""


HASHING = (
    Mistake("SHA-256 instead of SHA-1", _hash("sha256"), is_common=True),
    Mistake("MD5 instead of SHA-1", _hash("md5"), is_common=True),
    Mistake("SHA-512 instead of SHA-1", _hash("sha512"), is_common=True),
    Mistake("SHA-384 instead of SHA-1", _hash("sha384")),
    Mistake("SHA-224 instead of SHA-1", _hash("sha224")),
    Mistake("SHA3-256 instead of SHA-1", _hash("sha3_256")),
    *(
        Mistake(f"HMAC-{label} keyed by the token instead of SHA-1 over text and token", _hmac(name), is_common=True)
        for label, name in (("SHA1", "sha1"), ("SHA256", "sha256"), ("SHA512", "sha512"), ("MD5", "md5"))
    ),
    *(
        Mistake(f"HMAC-{label} over text and token instead of SHA-1", _hmac_of_both(name))
        for label, name in (("SHA1", "sha1"), ("SHA256", "sha256"), ("SHA512", "sha512"))
    ),
    Mistake(
        "the token decoded from base64", lambda _, text, token: _sha1(text.encode() + _unpacked(token, _from_base64))
    ),
    Mistake(
        "the token decoded from hex", lambda _, text, token: _sha1(text.encode() + _unpacked(token, bytes.fromhex))
    ),
    Mistake("SHA-1 twice", lambda both, *_: _sha1(_sha1(both.encode()).hex().encode())),
    Mistake("SHA-1 twice, the first in capitals", lambda both, *_: _sha1(_sha1(both.encode()).hex().upper().encode())),
    Mistake("SHA-1 of the MD5", lambda both, *_: _sha1(_hash("md5")(both, "", "").hex().encode())),
    Mistake("the text in lower case", lambda both, *_: _sha1(both.lower().encode())),
    Mistake("the text in upper case", lambda both, *_: _sha1(both.upper().encode())),
    Mistake("the text as Latin-1 instead of UTF-8", lambda both, *_: _sha1(both.encode("latin-1", "replace"))),
    Mistake("the text as UTF-16 instead of UTF-8", lambda both, *_: _sha1(both.encode("utf-16-le"))),
    Mistake("the text in base64", lambda both, *_: _sha1(b64encode(both.encode()))),
)


PRINT, CHOOSE, ORDER, JOIN, ADD, HASH = range(6)
"""The steps of signing, in their order."""

TABLES: Mapping[int, Sequence[Mistake]] = dict(enumerate((PRINTING, CHOOSING, ORDERING, JOINING, ADDING, HASHING)))
RIGHT: tuple[Callable[..., Any], ...] = (
    canonical,
    lambda *_: True,
    lambda pairs: sorted(pairs, key=lambda one: one[0].encode("utf-16-be", "surrogatepass")),
    _joined("&"),
    lambda text, token: text + token,
    lambda both, *_: _sha1(both.encode()),
)
"""The right way of each step."""

LENGTHS = {"": 20, **{step.name: len(step.make("", "", "")) for step in HASHING}}
"""Bytes of the digest of each way to hash; "" is the right one."""
