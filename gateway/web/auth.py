"""Authentication: a bearer key names the tenant or the operator who calls. It is compared as it was sent."""

from __future__ import annotations

import re

from aiohttp import web

from gateway.core.errors import TenantError
from gateway.core.signing import sha256_hex
from gateway.drivers.settings import ROLES, BearerKey, OperatorKey, Role, Tenant
from gateway.web.app_keys import ABOUT, GATEWAY, IS_PROVED

NOT_KNOWN = "this key is not known or has expired"
"""The same sentence for an unknown and for an expired key, so that a caller cannot find out which keys existed."""

_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([!-~]+)")


def authenticate_tenant(request: web.Request) -> Tenant:
    """Return the tenant whose key was sent, and note it for the log.

    Raises ``unauthorized``, and ``TenantMoves`` while the tenant is moved to another store.
    """
    settings = request[GATEWAY].settings
    sent = _sent_key_hash(request)
    found = settings.keys_by_sha256.get(sent)
    if found is None:
        raise _unknown_key(sent, "tenant")
    tenant, key = found
    request[ABOUT]["tenant"] = tenant
    _refuse_expired(request, key)
    _note_use(request, sent)
    request[GATEWAY].store.tenants.refuse_moving(tenant)
    return settings.tenants[tenant]


def authenticate_operator(request: web.Request) -> OperatorKey:
    """Return the operator's key that was sent, and note its id for the log. Raises ``unauthorized``."""
    sent = _sent_key_hash(request)
    key = request[GATEWAY].settings.operators_by_sha256.get(sent)
    if key is None:
        raise _unknown_key(sent, "operators'")
    request[ABOUT]["operator"] = key.id
    _refuse_expired(request, key)
    _note_use(request, sent)
    return key


def has_role(key: OperatorKey, needed: Role) -> bool:
    """Whether the role of a key is at least the one that is needed."""
    return ROLES.index(key.role) >= ROLES.index(needed)


def refuse_role(key: OperatorKey, needed: Role) -> None:
    """Refuse a key whose role is below the one that is needed. Raises ``forbidden``."""
    if not has_role(key, needed):
        raise TenantError("forbidden", f'this needs a key with the role {needed}; "{key.id}" has {key.role}')


def _note_use(request: web.Request, sha256: str) -> None:
    gw = request[GATEWAY]
    use = gw.uses.keys[sha256]
    use.times, use.last = use.times + 1, gw.clock.now()
    request[IS_PROVED] = True


def _sent_key_hash(request: web.Request) -> str:
    """The hex SHA-256 of the bearer key, or "", which no key has, unless exactly one well-formed header was sent."""
    given = request.headers.getall("Authorization", ())
    found = _BEARER.fullmatch(given[0]) if len(given) == 1 else None
    return sha256_hex(found[1]) if found is not None else ""


def _unknown_key(sent: str, whose: str) -> TenantError:
    return TenantError("unauthorized", NOT_KNOWN if sent else f"send Authorization: Bearer <{whose} key>")


def _refuse_expired(request: web.Request, key: BearerKey) -> None:
    if key.expires is not None and request[GATEWAY].clock.now() >= key.expires:
        request[ABOUT].update(key=key.id, reason="expired")
        raise TenantError("unauthorized", NOT_KNOWN)
