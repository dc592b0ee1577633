"""Operators' route that shows which keys of tenants and operators, and which older credentials, are still used."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gateway.core.views import optional_rfc3339
from gateway.drivers.settings import BearerKey
from gateway.flows.credential_uses import USES, Use, Uses, last_of
from gateway.flows.runtime import Gateway
from gateway.web.query_parameters import parameters
from gateway.web.request import OperatorCall
from gateway.web.responses import Reply
from gateway.web.routing import Route


class KeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A credential and its uses since the start.

    ``kind``: ``tenant`` and ``operator`` for a bearer key, ``account`` for what an account was derived from before:
    ``id`` names that, and ``uses_by`` says how often ``address``, ``credentials`` and customers' ``link`` were used.
    """

    kind: str
    tenant: str | None
    account: str | None
    id: str
    expires: str | None
    uses: int
    last_used: str | None
    uses_by: dict[str, int]


class KeysView(msgspec.Struct, frozen=True, kw_only=True):
    """All of them."""

    data: list[KeyView]


async def keys(call: OperatorCall) -> Reply:
    """``GET /admin/v1/keys``."""
    gw, wanted, uses = call.gw, call.tenants(), await USES.of(call.gw)
    operators = [] if "tenant" in call.query else list(_of_operators(gw, uses))
    return Reply(view=KeysView(data=[*operators, *(one for name in wanted for one in _of_tenant(gw, name, uses))]))


def _of_operators(gw: Gateway, all_uses: Uses) -> Iterator[KeyView]:
    for key in gw.settings.operators_by_sha256.values():
        yield _bearer(key, all_uses.of_key(key.sha256), kind="operator")


def _of_tenant(gw: Gateway, name: str, all_uses: Uses) -> Iterator[KeyView]:
    tenant = gw.settings.tenants[name]
    for key in tenant.keys:
        yield _bearer(key, all_uses.of_key(key.sha256), kind="tenant", tenant=name)
    for entry in tenant.accounts.values():
        for earlier in entry.earlier:
            uses = all_uses.of_earlier(earlier)
            yield KeyView(
                kind="account",
                tenant=name,
                account=entry.name,
                id=earlier.name_of_earlier,
                expires=None,
                uses=sum(use.times for use in uses.values()),
                last_used=optional_rfc3339(last_of(uses)),
                uses_by={what: use.times for what, use in uses.items()},
            )


def _bearer(key: BearerKey, use: Use, *, kind: str, tenant: str | None = None) -> KeyView:
    return KeyView(
        kind=kind,
        tenant=tenant,
        account=None,
        id=key.id,
        expires=optional_rfc3339(key.expires),
        uses=use.times,
        last_used=optional_rfc3339(use.last),
        uses_by={},
    )


ROUTES: tuple[Route[OperatorCall], ...] = (
    Route(
        method="GET",
        path="/admin/v1/keys",
        handler=keys,
        query=parameters(tenant="Only keys and accounts of this tenant."),
    ),
)
"""The routes for keys."""
