"""The bearer key of a request, for tenants and operators alike: read exactly, never cleaned up."""

from __future__ import annotations

import re
from datetime import datetime

from aiohttp import web

from gateway.core.errors import TenantError
from gateway.core.signing import sha256_hex
from gateway.drivers.settings import BearerKey

NOT_KNOWN = "this key is not known or has expired"
"""Said of an unknown key and of an expired one, so that nobody learns which keys there were."""

_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([!-~]+)")


def sent_key_hash(request: web.Request) -> str:
    """Return the hex SHA-256 of the bearer key; "", which no key has, unless one header holds one of visible ASCII."""
    given = request.headers.getall("Authorization", ())
    found = _BEARER.fullmatch(given[0]) if len(given) == 1 else None
    return sha256_hex(found[1]) if found is not None else ""


def unknown_key(sent: str, whose: str) -> TenantError:
    """Say what is wrong with the key whose hash was ``sent``: it is not known, or none could be read ("")."""
    return TenantError("unauthorized", NOT_KNOWN if sent else f"send Authorization: Bearer <{whose} key>")


def refuse_expired(key: BearerKey, at: datetime, about: dict[str, object]) -> None:
    """Raise ``unauthorized`` for a key whose time is over; ``about`` is what the log says of the request."""
    if key.expires is not None and at >= key.expires:
        about.update(key=key.id, reason="expired")
        raise TenantError("unauthorized", NOT_KNOWN)
