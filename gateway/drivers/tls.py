"""How TLS is spoken as a client: the peer's name and chain are verified; TLS 1.2 at least. Made once and kept."""

from __future__ import annotations

import functools
import ssl
from typing import Any

import msgspec


def verifying(authorities: str | None = None) -> ssl.SSLContext:
    """Verify against these authorities, as PEM text, or else against the system's."""
    context = ssl.create_default_context(cadata=authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


@functools.cache
def system_tls() -> ssl.SSLContext:
    """Verify against the system's certificates. Made once: it reads them all."""
    return verifying()


class ClientTls(msgspec.Struct, frozen=True, kw_only=True):
    """What an account's calls speak TLS with: an ``ssl.SSLContext``, and the SHA-256 of the files it was made of."""

    context: Any
    fingerprint: str
