"""Read a received ``sign`` in any form it may come in, to explain it: the bytes of its digest, and what is wrong. Pure.

What ``verify`` accepts is decided in ``signature.py``: 40 hex digits of any case, and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import NamedTuple

import gateway
from gateway_psp_open_api import signature

ALGORITHMS = {16: "MD5", 28: "SHA-224", 32: "SHA-256", 48: "SHA-384", 64: "SHA-512"}
"""The algorithms other than SHA-1 (20 bytes), by the bytes of their digests."""

_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_PREFIX = re.compile(r"(?:0x|sha-?1[=:]|sha-?256[=:]|hmac[=:])", re.IGNORECASE)
_BETWEEN = re.compile(r"[:\s-]")


class ReceivedSign(NamedTuple):
    """The digest that was sent, None if the text does not contain one, and what is wrong with its form."""

    digest: bytes | None
    faults: tuple[str, ...] = ()


def why_unproved(sign: object) -> str:
    """Return what is wrong with a ``sign`` that does not prove its body."""
    if sign is None:
        return "sign is absent"
    return "sign is wrong" if signature.well_formed(sign) else "sign is malformed: it must be a text of 40 hex digits"


def read(value: object) -> ReceivedSign:
    """Read a ``sign`` that is present."""
    if not isinstance(value, str):
        kind = "a number" if isinstance(value, gateway.JsonNumber) else "not a text"
        return ReceivedSign(None, (f"sign is {kind}: send a text of 40 hex digits",))
    for fault, text in _variants(value):
        if _HEX.fullmatch(text) and len(text) // 2 in {20, *ALGORITHMS}:
            return _of(bytes.fromhex(text), fault)
    packed = _base64(value.strip())
    if packed is not None:
        return _of(packed, "is in base64: send 40 hex digits")
    return ReceivedSign(None, (f"sign has {len(value)} characters: it must be 40 hex digits",))


def _variants(value: str) -> list[tuple[str, str]]:
    """Return the text as it is, and without what senders add around or between its digits, each with its fault."""
    bare, plain = value.strip(), _PREFIX.sub("", value.strip(), count=1)
    return [
        ("", value),
        ("has a blank or a line break at its end: send the 40 digits alone", bare),
        ("has something before its digits: send the 40 digits alone", plain),
        ("has something between its digits: send the 40 digits alone", _BETWEEN.sub("", bare)),
    ]


def _base64(text: str) -> bytes | None:
    """Read a digest in base64, or hex digits in base64."""
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


def _of(digest: bytes, fault: str) -> ReceivedSign:
    algorithm = ALGORITHMS.get(len(digest))
    odd = [f"sign {fault}"] if fault else []
    if algorithm is not None:
        odd.append(f"sign has {len(digest) * 2} hex digits, as many as {algorithm} gives: SHA-1 gives 40")
    return ReceivedSign(digest, tuple(odd))
