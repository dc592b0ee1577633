"""Redact a callback before it is stored, and reveal it to verify it again. Pure.

A stored callback holds no secret and no card number: each secret became a keyed hash. Where one of the account's own
secrets has that hash, it is the one that was sent; put back in its place it lets the plugin verify the callback. What
matches no secret stays masked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from itertools import chain

import msgspec
from msgspec.structs import replace

from gateway.core.card_numbers import without_card_numbers
from gateway.core.credentials import without_credentials
from gateway.core.encodings import decoded, written_forms
from gateway.core.masking import Mask
from gateway.core.secret import Secret
from gateway.core.signing import keyed_hash
from gateway.core.wire import Callback, Headers
from gateway.drivers.settings import AccountEntry
from gateway.drivers.store.inbox import StoredCallback
from gateway.flows.masks import secrets_of

HASHED = "hmac-sha256:"
"""What the stored value of a secret header begins with, after its scheme if it has one."""

SECRET_NAME = re.compile(r"token|secret|passw|pwd|credential|cookie|session", re.IGNORECASE)
"""Headers whose names say that they hold a secret."""

KEY_NAME = re.compile(r"auth|api-?key|(^|[-_])key$", re.IGNORECASE)
ABOUT_A_KEY = re.compile(r"sign|digest|time|date|nonce|algorithm|type|version|[-_]id$", re.IGNORECASE)
"""Headers whose names say the same, unless they say that they hold something made with it or about it."""

HashOf = Callable[[str], str]
"""The keyed hash of a text: HMAC by the server's secret, as ``keyed_hash`` makes it."""

NOTHING: Mapping[str, str] = {}

_BETWEEN = " ~~~ "
"""Keeps texts apart that are looked through together: no number and no secret reaches over it."""

_SCHEME = re.compile(r"(?:(Bearer|Basic|Token) +)?(.*)", re.IGNORECASE | re.DOTALL)
_HASH = re.compile(rf"{HASHED}([0-9a-f]{{64}})")
_PLACE = re.compile(rf"\{{{_HASH.pattern}\}}")
_MASKED = re.compile(r"\{(?:masked|hmac-sha256:[0-9a-f]{64}|card \*{4}[0-9]{4})\}")


class SecretHeader(msgspec.Struct, frozen=True, kw_only=True):
    """A secret header of a callback, and the name of the account's secret it held; None: it held none of them."""

    header: str
    credential: str | None


class Revealed(msgspec.Struct, frozen=True, kw_only=True):
    """A stored callback with the account's secrets of today put back; its repr shows no header.

    ``tried``: the headers in which the provider sends secrets; ``elsewhere``: others that held a secret of the account,
    which proves nothing. ``is_masked``: something that was masked could not be put back.
    """

    callback: Callback
    tried: tuple[SecretHeader, ...]
    elsewhere: tuple[SecretHeader, ...]
    needs_secret: bool
    is_masked: bool

    @property
    def is_known(self) -> bool:
        """Whether the sender had the account's secret, where the provider sends one. Else nothing may be applied."""
        return (bool(self.tried) or not self.needs_secret) and all(one.credential is not None for one in self.tried)


def redact(callback: Callback, *, hash_of: HashOf, mask: Mask, secret_headers: frozenset[str]) -> Callback:
    """A callback as it may be stored; ``mask`` knows what must not be kept."""
    headers = redact_headers(hash_of, callback.headers, secret_headers)
    callback = replace(callback, headers=headers, config=None)
    body = callback.body.decode("utf-8", "surrogateescape")
    together = _BETWEEN.join([callback.suffix, callback.query, *chain.from_iterable(headers), body])
    if _may_stay(together, hash_of, mask):
        return callback
    return replace(
        callback,
        suffix=_clean(callback.suffix, hash_of, mask),
        query=_clean(callback.query, hash_of, mask),
        headers=tuple((_clean(name, hash_of, mask), _clean(value, hash_of, mask)) for name, value in headers),
        body=_clean(body, hash_of, mask).encode("utf-8", "surrogateescape"),
    )


def redact_headers(hash_of: HashOf, headers: Headers, secret_headers: frozenset[str]) -> Headers:
    """Headers as they may be stored: a keyed hash of each secret is enough to compare, and nothing to steal."""
    named = _lowered(secret_headers)
    return tuple(
        [
            (name, _hashed(hash_of, value) if name.lower() in named or _says_secret(name) else value)
            for name, value in headers
        ]
    )


def reveal_matching(
    keys: Sequence[Secret], entry: AccountEntry, row: StoredCallback, mistaken: Mapping[str, str] = NOTHING
) -> Revealed:
    """Put the account's secrets of today back where their hashes stand. ``keys`` are the server's secrets.

    ``mistaken``: other texts that may have stood there, each with its name; to explain a callback, never to apply it.
    """
    known = _known(keys, entry)
    for form, name in mistaken.items():
        for key in keys:
            known.setdefault(keyed_hash(key, form), (name, form))

    def back(text: str) -> str:
        return _PLACE.sub(lambda place: known[place[1]][1] if place[1] in known else place[0], text)

    named = _lowered(entry.provider.secret_headers)
    headers = tuple(
        (back(name), _revealed(value, known) if _is_secret(name, named) else back(value)) for name, value in row.headers
    )
    body = back(row.body.decode("utf-8", "surrogateescape"))
    callback = Callback(
        method=row.method,
        suffix=back(row.suffix),
        query=back(row.query),
        headers=headers,
        body=body.encode("utf-8", "surrogateescape"),
        remote=row.remote,
        received_at=row.received_at,
        # No payment_id: the row does not say whether a token in the address proved it, and a plugin would believe it.
        config=entry.account.config,
    )
    held = [_secret_header(name, value, known) for name, value in row.headers]
    left = _BETWEEN.join([callback.suffix, callback.query, *(value for _, value in headers), body])
    return Revealed(
        callback=callback,
        tried=tuple(one for one in held if one.header.lower() in named),
        elsewhere=tuple(one for one in held if one.credential is not None and one.header.lower() not in named),
        needs_secret=bool(named),
        is_masked=_MASKED.search(left) is not None,
    )


_Known = dict[str, tuple[str, str]]
"""Name and text of each form of the account's secrets, by its keyed hash."""


def _known(keys: Sequence[Secret], entry: AccountEntry) -> _Known:
    known: _Known = {}
    for name, secret in secrets_of(entry).items():
        for form in written_forms(secret.reveal()):
            for key in keys:
                known.setdefault(keyed_hash(key, form), (name, form))
    return known


def _may_stay(text: str, hash_of: HashOf, mask: Mask) -> bool:
    holds_no_secret = f"{{{HASHED}" not in text and mask.surely_spares(text)
    return (without_card_numbers(text) if holds_no_secret else _clean(text, hash_of, mask)) == text


def _clean(text: str, hash_of: HashOf, mask: Mask) -> str:
    """A text without secrets and card numbers; below an encoding they are found too, and then it is kept decoded."""
    plain = decoded(text)
    if _PLACE.search(plain) is not None:  # only the gateway says where a secret is put back
        text = plain = _PLACE.sub("{masked}", plain)
    cleaned = _clean_plain(text, hash_of, mask)
    if cleaned != text:
        plain = decoded(cleaned)
    if plain == cleaned:
        return cleaned
    again = _clean_plain(plain, hash_of, mask)
    return cleaned if again == plain else again


def _clean_plain(text: str, hash_of: HashOf, mask: Mask) -> str:
    text = mask.over_plain(without_credentials(text, "{masked}"), lambda found: f"{{{HASHED}{hash_of(found)}}}")
    return without_card_numbers(text, "{{card ****{}}}".format)


def _hashed(hash_of: HashOf, value: str) -> str:
    """The hash of a header's value; its scheme stays, and what follows is hashed by itself."""
    scheme, credential = _parts(value)
    return f"{scheme}{HASHED}{hash_of(credential)}"


def _revealed(value: str, known: _Known) -> str:
    found = _HASH.search(value)
    return value.replace(found[0], known[found[1]][1]) if found is not None and found[1] in known else value


def _secret_header(header: str, value: str, known: _Known) -> SecretHeader:
    found = _HASH.search(value)
    return SecretHeader(
        header=header, credential=known[found[1]][0] if found is not None and found[1] in known else None
    )


def _parts(value: str) -> tuple[str, str]:
    found = _SCHEME.fullmatch(value)
    scheme, credential = found.groups() if found is not None else (None, value)
    return (f"{scheme} " if scheme else "", credential)


@lru_cache(maxsize=64)
def _lowered(names: frozenset[str]) -> frozenset[str]:
    return frozenset(map(str.lower, names))


def _is_secret(header: str, named: Collection[str]) -> bool:
    return header.lower() in named or _says_secret(header)


@lru_cache(maxsize=1024)
def _says_secret(header: str) -> bool:
    if SECRET_NAME.search(header) is not None:
        return True
    return KEY_NAME.search(header) is not None and ABOUT_A_KEY.search(header) is None
