"""Creates from files, for commands that show what would be sent: read as the API reads them, never stored or sent."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any, Never

from gateway.cli.loading import http_url
from gateway.core.request_bodies import CreateBody
from gateway.drivers.clock import SystemClock
from gateway.drivers.settings import Settings, Tenant
from gateway.flows.payments.create_validation import content_refusals
from gateway.flows.runtime import Gateway
from gateway.web.request import body_as, parsed


class StillClock(SystemClock):
    """A clock that stands at the program's start: what is planned twice is the same."""

    _now = datetime.now(UTC)

    def now(self) -> datetime:
        """When the program started."""
        return self._now


def offline(settings: Settings) -> Gateway:
    """A gateway that plans: it has no store, and asks no provider."""
    no_store: Any = None
    gw = Gateway(settings=settings, store=no_store, send=_refuse_to_send, clock=StillClock())
    server = settings.server
    gw.public_url = server.public_url or http_url(server.host, server.port)
    return gw


def read_create(gw: Gateway, tenant: Tenant, data: bytes) -> CreateBody:
    """Read a create of a tenant. Raises ``TenantError`` as its route would."""
    check = partial(content_refusals, gw, tenant, idempotency_key="")
    return body_as(parsed(data, [gw.masks.of(tenant.id)]), CreateBody, check)


async def _refuse_to_send(*_: object, **__: object) -> Never:
    raise RuntimeError("a plan asks no provider")
