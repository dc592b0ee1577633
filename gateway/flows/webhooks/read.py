"""What is read of webhooks: endpoints with their state, whose a delivery is. Changes nothing and sends nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gateway.core.errors import TenantError
from gateway.core.signing import sha256_hex
from gateway.drivers.store.deliveries import Endpoint
from gateway.drivers.store.rows import PageRequest
from gateway.flows.runtime import Gateway
from gateway.flows.webhooks.dispatch import webhook_of
from gateway.flows.webhooks.redelivery import HEALTHY, TenantEndpoint


class ListedEndpoint(NamedTuple):
    """A tenant, or operators, and the endpoint."""

    tenant: str
    endpoint: TenantEndpoint


_STATE = Endpoint.__struct_fields__


async def endpoints(gw: Gateway, owners: Sequence[str], wanted: PageRequest) -> Sequence[ListedEndpoint]:
    """A page of the endpoints of these owners, by name; one that never failed is healthy."""
    known = {(row.tenant, row.url_sha256): row for row in await gw.store.queues.endpoints()}
    listed = []
    for owner in sorted(owners):
        webhook = webhook_of(gw, owner)
        if webhook is not None and owner > (wanted.cursor or ""):
            row = known.get((owner, sha256_hex(webhook.url)))
            state = HEALTHY if row is None else Endpoint(**{name: getattr(row, name) for name in _STATE})
            listed.append(ListedEndpoint(owner, TenantEndpoint(webhook=webhook, state=state)))
    return listed[: wanted.limit]


async def owner_of(gw: Gateway, delivery_id: str) -> str:
    """The owner of a delivery: a tenant, or operators. Raises ``not_found``."""
    for tenant in (*gw.settings.tenants, *gw.settings.operator_webhooks):
        if await gw.store.deliveries.find(tenant, delivery_id) is not None:
            return tenant
    raise TenantError("not_found", "there is no such delivery")
