"""What is read of webhooks: pages of deliveries, of one tenant or of several. Changes nothing and sends nothing."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.errors import TenantError
from gateway.drivers.store.deliveries import DeliveryFilter, ListedDelivery
from gateway.drivers.store.rows import newest_of
from gateway.flows.runtime import Gateway


async def deliveries(gw: Gateway, tenants: Sequence[str], wanted: DeliveryFilter) -> Sequence[ListedDelivery]:
    """A page of the deliveries of these tenants, newest first."""
    return await newest_of(tenants, gw.store.deliveries.newest, wanted)


async def owner_of(gw: Gateway, delivery_id: str) -> str:
    """The owner of a delivery: a tenant, or operators. Raises ``not_found``."""
    for tenant in (*gw.settings.tenants, *gw.settings.operator_webhooks):
        if await gw.store.deliveries.find(tenant, delivery_id) is not None:
            return tenant
    raise TenantError("not_found", "there is no such delivery")
