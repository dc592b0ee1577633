"""Read a given ``sign`` in whatever form it came, to explain it: the digest's bytes, and what is odd.

Pure. What ``verify`` accepts is in ``signature.py``: 40 hex digits of any case, and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import NamedTuple

import gateway

ALGORITHMS = {16: "MD5", 28: "SHA-224", 32: "SHA-256", 48: "SHA-384", 64: "SHA-512"}
"""What makes a digest of so many bytes, beside SHA-1 with its 20."""

_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_PREFIX = re.compile(r"(?:0x|sha-?1[=:]|sha-?256[=:]|hmac[=:])", re.IGNORECASE)
_BETWEEN = re.compile(r"[:\s-]")


class Given(NamedTuple):
    """The digest that was sent, None where the text holds none, and what is wrong with its form."""

    digest: bytes | None
    faults: tuple[str, ...] = ()


def read(value: object) -> Given:
    """Read a ``sign`` that is there."""
    if not isinstance(value, str):
        kind = "a number" if isinstance(value, gateway.JsonNumber) else "not a text"
        return Given(None, (f"sign is {kind}: send a text of 40 hex digits",))
    for fault, text in _without(value):
        if _HEX.fullmatch(text) and len(text) // 2 in {20, *ALGORITHMS}:
            return _of(bytes.fromhex(text), fault)
    packed = _base64(value.strip())
    if packed is not None:
        return _of(packed, "is in base64: send 40 hex digits")
    return Given(None, (f"sign has {len(value)} characters: it must be 40 hex digits",))


def _without(value: str) -> list[tuple[str, str]]:
    """The text as it is, and without what senders put around or between its digits."""
    bare, plain = value.strip(), _PREFIX.sub("", value.strip(), count=1)
    return [
        ("", value),
        ("has a blank or a line break at its end: send the 40 digits alone", bare),
        ("has something before its digits: send the 40 digits alone", plain),
        ("has something between its digits: send the 40 digits alone", _BETWEEN.sub("", bare)),
    ]


def _base64(text: str) -> bytes | None:
    """A digest in base64, or the hex digits of one."""
    try:
        data = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(data) in {20, *ALGORITHMS}:
        as_text = data.decode("latin-1")
        return bytes.fromhex(as_text) if _HEX.fullmatch(as_text) else data
    as_text = data.decode("latin-1").strip()
    is_hex = _HEX.fullmatch(as_text) is not None and len(as_text) // 2 in {20, *ALGORITHMS}
    return bytes.fromhex(as_text) if is_hex else None


def _of(digest: bytes, fault: str) -> Given:
    algorithm = ALGORITHMS.get(len(digest))
    odd = [f"sign {fault}"] if fault else []
    if algorithm is not None:
        odd.append(f"sign has {len(digest) * 2} hex digits, as many as {algorithm} gives: SHA-1 gives 40")
    return Given(digest, tuple(odd))
