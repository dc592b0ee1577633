"""The bearer key of a request, for tenants and operators alike: read exactly, never cleaned up."""

from __future__ import annotations

import re
from datetime import datetime

from aiohttp import web

from gateway.core.errors import TenantError
from gateway.core.signing import sha256_hex
from gateway.drivers.settings import BearerKey

_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([!-~]+)")


def sent_key_hash(request: web.Request) -> str:
    """Return the hex SHA-256 of the bearer key; "", which no key has, unless one header holds one of visible ASCII."""
    given = request.headers.getall("Authorization", ())
    found = _BEARER.fullmatch(given[0]) if len(given) == 1 else None
    return sha256_hex(found[1]) if found is not None else ""


def refuse_expired(key: BearerKey, at: datetime) -> None:
    """Raise ``unauthorized`` for a key whose time is over."""
    if key.expires is not None and at >= key.expires:
        raise TenantError("unauthorized", "this key has expired")
