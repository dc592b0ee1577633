"""Creates from files, for commands that show what would be sent: read as the API reads them, never stored or sent."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

import click

from gateway.cli.loading import http_url, refuse_to_send
from gateway.core.body_maps import explained
from gateway.core.errors import TenantError
from gateway.core.request_bodies import CreateBody
from gateway.drivers.clock import SystemClock
from gateway.drivers.settings import Settings, Tenant
from gateway.drivers.store.tenant_map import TenantMap
from gateway.flows.payments.create_validation import content_refusals
from gateway.flows.payments.explain_create import Planned, of_account, plan
from gateway.flows.runtime import Gateway
from gateway.web.body_maps import named_maps
from gateway.web.request import mapped_body_as, parsed

map_option = click.option("--map", "request_map", metavar="NAME", help="The request map that a body is posted with.")


class StillClock(SystemClock):
    """A clock that stands at the program's start: what is planned twice is the same."""

    _now = datetime.now(UTC)

    def now(self) -> datetime:
        """When the program started."""
        return self._now


class NoStore:
    """Stands for the store where there is nothing to read or write."""

    is_shared = False
    parts = ()

    def __init__(self) -> None:
        self.tenants = TenantMap()


def offline(settings: Settings) -> Gateway:
    """A gateway that plans: it has no store, and asks no provider."""
    no_store: Any = NoStore()
    gw = Gateway(settings=settings, store=no_store, send=refuse_to_send, clock=StillClock())
    server = settings.server
    gw.public_url = server.public_url or http_url(server.host, server.port)
    return gw


def plan_create(
    gw: Gateway, tenant: Tenant, data: bytes, *, account: str | None = None, request_map: str | None = None
) -> Planned:
    """Plan what a create with this body would send, from one ``account`` or from that which it goes to.

    Raises ``TenantError`` and ``ProviderError`` as the create would.
    """
    maps = named_maps(gw, tenant, {"map": request_map} if request_map else {}).require()
    check = partial(content_refusals, gw, tenant, idempotency_key="")
    try:
        sent = parsed(data, [gw.masks.of(tenant.id)])
        body = mapped_body_as(maps, sent, CreateBody, check)
        return plan(gw, tenant, body if account is None else of_account(body, account))
    except TenantError as refusal:
        raise (refusal if maps.request is None else explained(maps.request, refusal)) from None
