"""What may not be a credential outside development: what is published, obvious or short.

Everything is compared by SHA-256, so that a secret, the hash of a key, and a hash that was mistaken for a key are all
recognised. No message here holds a secret or a part of one.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from gateway.core.signing import sha256_hex

PUBLISHED = frozenset(Path(__file__).with_name("published_credentials.txt").read_text(encoding="ascii").split())
"""Credentials published in here, as SHA-256. ``python -m tests.tools.published`` writes the file."""

WEBHOOK_PREFIX = "whsec_"

_PLACEHOLDERS = """
    null none undefined default example development test key apikey api-key bearer token secret secrets password
    passw0rd admin operator root changeme change-me change_me 12345678 123456789 1234567890 qwertyui deadbeef
"""
_OBVIOUS = frozenset(map(sha256_hex, ["", " ", "\n", '""', *_PLACEHOLDERS.split()]))


def fingerprints_of_secret(text: str) -> frozenset[str]:
    """The hashes that know a secret again: as it is, without blanks around it, and as the bytes that sign webhooks."""
    decoded = signing_bytes(text)
    signing = {hashlib.sha256(decoded).hexdigest()} if decoded else set()
    return frozenset({sha256_hex(text), sha256_hex(text.strip()), *signing})


def fingerprints_of_hash(sha256: str) -> frozenset[str]:
    """The hashes that know a key's hash again: itself, and its own for where it was mistaken for the key."""
    return frozenset({sha256, sha256_hex(sha256)})


def signing_bytes(text: str) -> bytes:
    """The bytes of a Standard Webhooks secret (``whsec_`` and their base64); none for any other text."""
    coded = text.removeprefix(WEBHOOK_PREFIX)
    try:
        return base64.b64decode(coded, validate=True) if coded != text else b""
    except ValueError:
        return b""


def weakness(marks: frozenset[str]) -> str | None:
    """Say why a credential with these marks protects nothing; None when it is not known to anybody."""
    if marks & PUBLISHED:
        return "is published with the gateway, so everybody has it: use one of your own"
    return "is empty or obvious: use a random one" if marks & _OBVIOUS else None
