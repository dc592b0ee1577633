"""Canaries: secrets and card numbers made for the test, and the search for them in everything the gateway emits.

A secret is searched for in clear, in base64 at any offset and in hex, in the raw bytes and after removing percent, JSON
and HTML escapes and control characters. A card number is searched for as digits of any script with any separators.
"""

from __future__ import annotations

import base64
import html
import json
import re
import secrets
import unicodedata
from collections.abc import Iterator, Mapping
from urllib.parse import quote, unquote


def _key(name: str) -> str:
    return f"gw_{name}_{secrets.token_urlsafe(32)}"


def _whsec() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


OPERATORS = {"operators' key": _key("admin"), "second operators' key": _key("second")}
TENANTS = {"acme's key": _key("k1"), "acme's expired key": _key("k0"), "globex's key": _key("k1")}
WEBHOOKS = {
    "acme's webhook secret": _whsec(),
    "acme's next webhook secret": _whsec(),
    "globex's webhook secret": _whsec(),
}
ACCOUNTS = {
    name: secrets.token_urlsafe(32)
    for name in (
        *("public key", "shared secret", "token", "previous token", "client secret", "callback key"),
        *("path of the bridge", "query of the webhook", "another account's token"),
    )
}
SETTINGS = {"master": secrets.token_urlsafe(40), **OPERATORS, **TENANTS, **WEBHOOKS, **ACCOUNTS}
"""Secrets in the settings, and those whose hash is there."""

SESSIONS = {"session": secrets.token_urlsafe(32), "next session": secrets.token_urlsafe(32)}
"""Sessions issued by the external plugin's provider."""

STRANGERS = {
    "mistyped key": _key("k1"),
    "basic password": secrets.token_urlsafe(24),
    **{
        name: secrets.token_urlsafe(24)
        for name in ("cookie", "x-api-key", "x-auth-token", "proxy password", "x-session")
    },
}
"""Secrets that callers send in headers with a telling name."""

LINKS = ("return link", "cancel link", "complete link")
"""Tokens of payment links, known once the provider has got them."""

CARDS = (
    *("4111111111111111", "4242424242424242", "4012888888881881", "4000056655665556", "4005519200000004"),
    *("5555555555554444", "5105105105105100", "5200828282828210", "2223003122003222", "2720990000000015"),
    *("378282246310005", "371449635398431", "341111111111111", "6011111111111117", "6011000990139424"),
    *("3530111333300000", "6200000000000005", "6304000000000000", "2200000000000004", "3566002020360505"),
)
"""Twenty numbers with the prefixes, lengths and check digits of nine issuers."""

_FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
_ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


def _groups(number: str, between: str) -> str:
    widths = (4, 6, 5) if len(number) == 15 else (4, 4, 4, 4)
    starts = [sum(widths[:at]) for at in range(len(widths))]
    return between.join(number[start : start + width] for start, width in zip(starts, widths, strict=True))


def spellings(number: str) -> tuple[str, ...]:
    """Return a card number as people and programs write it."""
    return (
        *(number, _groups(number, " "), _groups(number, "-"), _groups(number, "."), _groups(number, "/")),
        *(_groups(number, "\u00a0"), _groups(number, "  "), _groups(number, "_"), _groups(number, " - ")),
        *(number.translate(_FULL_WIDTH), _groups(number, " ").translate(_ARABIC), f"card {number} exp 12/29"),
        *(f"({number})", f"no. {_groups(number, ' ')}, CVC 123", f"x{number}y", quote(_groups(number, " "))),
    )


def in_groups(number: str) -> tuple[str, ...]:
    """Return a card number only in the groups of a card."""
    return (_groups(number, " "), _groups(number, "-"), _groups(number, "."))


def quotations(secret: str) -> tuple[str, ...]:
    """Return a secret as a careless or malicious party might quote it."""
    middle = len(secret) // 2
    head, tail = secret[:middle], secret[middle:]
    escaped = "".join(f"\\u{ord(one):04x}" for one in secret)
    percent = "".join(f"%{ord(one):02X}" for one in secret)
    return (
        *(secret, f"'{secret}'", f"Bearer {secret}", f"?token={secret}&x=1", secret.upper(), quote(secret, safe="")),
        *(percent, percent.lower(), percent.replace("%", "%25"), escaped, json.dumps(escaped)[1:-1]),
        *("".join(f"&#{ord(one)};" for one in secret), "".join(f"&#x{ord(one):x};" for one in secret)),
        *(f"{head}{between}{tail}" for between in ("\0", "\t", "\r\n", "\x7f", "\u200b", "\u00ad", "\x1b", "\u2028")),
        *(base64.b64encode(f"{user}{secret}".encode()).decode() for user in ("", "u", "us", "user:")),
        *(
            base64.urlsafe_b64encode(secret.encode()).rstrip(b"=").decode(),
            secret.encode().hex(),
            secret.encode().hex().upper(),
        ),
    )


class Found(dict[str, set[str]]):
    """The canaries found, by place."""

    def note(self, place: str, names: set[str]) -> None:
        """Add the canaries found in one text."""
        if names:
            self.setdefault(place, set()).update(names)


class Search:
    """Searches for all canaries."""

    def __init__(self, canaries: Mapping[str, str]) -> None:
        self._needles = {name: set(_needles(secret)) for name, secret in canaries.items()}

    def in_bytes(self, data: bytes) -> set[str]:
        """Return the names of secrets, and the card numbers, found in clear, in base64 or in hex."""
        text = data.decode("latin-1").lower()
        names = {name for name, needles in self._needles.items() if any(one in text for one in needles)}
        return names | {card for card in CARDS if card in text}

    def in_text(self, data: bytes) -> set[str]:
        """Return the same for text, including below escapes, and card numbers in any script and grouping."""
        text, found = data.decode("utf-8", "replace"), self.in_bytes(data) | _cards_in(data.decode("utf-8", "replace"))
        for view in _decoded(text):
            found |= self.in_bytes(view.encode("utf-8", "surrogatepass")) | _cards_in(view)
        return found


def _needles(secret: str) -> Iterator[str]:
    yield secret.lower()
    yield secret.encode().hex()
    for before in range(3):
        core = base64.b64encode(bytes(before) + secret.encode())[2 * (before > 0) + (before > 1) : -4].decode()
        yield from (core.lower(), core.lower().translate(str.maketrans("+/", "-_")))


def _decoded(text: str) -> Iterator[str]:
    """Yield the text with one layer of escapes after another removed, and without invisible characters."""
    for _ in range(3):
        before, text = text, text.replace("\\\\", "\\")
        text = html.unescape(re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), unquote(text)))
        text = _UNSEEN.sub("", text.replace("\\/", "/"))
        if text == before:
            return
        yield text


_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")


def _cards_in(text: str) -> set[str]:
    ascii_digits = _OTHER_DIGIT.sub(lambda digit: str(unicodedata.digit(digit[0])), text)
    plain = re.sub(r"(?<=\d)[\W_]{1,3}(?=\d)", "", ascii_digits)
    return {number for number in CARDS if number in plain}
