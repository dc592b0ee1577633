"""Derived secrets, fingerprints and tokens: pure functions over bytes, compared in constant time.

HKDF is RFC 5869 with SHA-256, written out because it is ten lines of ``hmac`` (its test uses the RFC's vectors).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from functools import lru_cache

from gateway.core.secret import Secret

_TAG_BYTES = 16
_PAYMENT = "pay_"
"""How the id of a payment begins, before the hex digits of its UUID."""


def hkdf(key: bytes, *, salt: bytes = b"", info: bytes, length: int = 32) -> bytes:
    """Derive ``length`` bytes from ``key`` for one purpose. Source: RFC 5869, extract then expand."""
    extracted = _extracted(salt or bytes(32), key)
    block, out = b"", b""
    for number in range(1, -(-length // 32) + 1):
        block = hmac.digest(extracted, block + info + bytes([number]), "sha256")
        out += block
    return out[:length]


@lru_cache(16)  # thousands of accounts are derived from the same few
def _extracted(salt: bytes, key: bytes) -> bytes:
    return hmac.digest(salt, key, "sha256")


def derive(master: Secret, *parts: str) -> Secret:
    """Derive 256 bits, as 43 URL-safe characters, that belong to ``parts`` alone. No part list equals another's."""
    info = b"".join([len(coded).to_bytes(4, "big") + coded for coded in map(str.encode, parts)])
    return Secret(urlsafe(hkdf(master.reveal().encode(), salt=b"gateway/derive/1", info=info)))


def urlsafe(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def same(left: str | bytes, right: str | bytes) -> bool:
    """Compare without telling by time where the difference is."""
    a = left.encode("utf-8", "surrogateescape") if isinstance(left, str) else left
    b = right.encode("utf-8", "surrogateescape") if isinstance(right, str) else right
    return hmac.compare_digest(a, b)


def sha256_hex(text: str) -> str:
    """Hex SHA-256 of a text, as the settings keep bearer keys."""
    return hashlib.sha256(_bytes(text)).hexdigest()


def keyed_hash(key: Secret, text: str) -> str:
    """Hex HMAC-SHA-256: what is stored of a secret header, to be compared but not read."""
    return hmac.new(key.reveal().encode(), _bytes(text), "sha256").hexdigest()


def make_token(key: Secret, endpoint_id: str, payment_id: str, purpose: str) -> str:
    """Make the ``{token}`` of a return, cancel or complete URL: the payment's UUID and its tag, 43 characters."""
    digits = payment_id.removeprefix(_PAYMENT)
    return urlsafe(bytes.fromhex(digits) + _tag(key, endpoint_id, digits, purpose))


def read_token(key: Secret, endpoint_id: str, token: str, purpose: str) -> str | None:
    """Return the id of the payment a token was made for; None when we did not make it for this endpoint and purpose."""
    try:
        data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    if len(data) != 16 + _TAG_BYTES or urlsafe(data) != token:
        return None
    digits = data[:16].hex()
    return _PAYMENT + digits if same(data[16:], _tag(key, endpoint_id, digits, purpose)) else None


def _bytes(text: str) -> bytes:
    """The bytes that a header had on the wire: what was not UTF-8 there was read as lone surrogates."""
    return text.encode("utf-8", "surrogateescape")


def _tag(key: Secret, endpoint_id: str, digits: str, purpose: str) -> bytes:
    said = f"{endpoint_id}\n{digits}\n{purpose}"
    return hmac.digest(key.reveal().encode(), said.encode(), "sha256")[:_TAG_BYTES]
