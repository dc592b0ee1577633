"""Operators' routes over webhooks on their way, of every tenant: list, send again."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
from aiohttp import web

from gateway.core.errors import TenantError
from gateway.core.view_types import DeliveryView
from gateway.drivers.store.deliveries import DeliveryRow, ListedDelivery
from gateway.drivers.store.rows import newest_of
from gateway.flows.runtime import Gateway
from gateway.flows.webhooks import redelivery
from gateway.web.keys import GATEWAY
from gateway.web.operators import OperatorsRoute, asked, page, tenants_of
from gateway.web.route import Reply
from gateway.web.webhooks import delivery_members, filter_of

FILTERS = ("tenant", "status", "payment_id", "limit", "cursor")
"""What the list can be asked for."""


class TenantsDelivery(DeliveryView, frozen=True, kw_only=True):
    """A webhook, and whose it is."""

    tenant: str


class TenantsDeliveryList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of webhooks of all tenants; ``next_cursor`` is null on the last."""

    data: list[TenantsDelivery]
    next_cursor: str | None


async def deliveries(request: web.Request) -> Reply:
    """``GET /admin/v1/deliveries``: newest first, a page at a time."""
    query = asked(request, FILTERS)
    wanted = filter_of(query)
    read = partial(newest_of, tenants_of(request, query), request.app[GATEWAY].store.deliveries.newest)
    return await page(request, read, wanted, _view, slice_of=wanted.limit + 1)


async def redeliver(request: web.Request) -> Reply:
    """``POST /admin/v1/deliveries/{id}/redeliver``."""
    gw, delivery_id = request.app[GATEWAY], request.match_info["id"]
    tenant = await _owner(gw, delivery_id)
    return Reply(view=_view(await redelivery.send_one_again(gw, tenant, delivery_id)), status=202)


async def _owner(gw: Gateway, delivery_id: str) -> str:
    for tenant in gw.settings.tenants:
        if await gw.store.deliveries.find(tenant, delivery_id) is not None:
            return tenant
    raise TenantError("not_found", "there is no such delivery")


def _view(row: DeliveryRow | ListedDelivery) -> dict[str, Any]:
    return {**delivery_members(row), "tenant": row.tenant}


ROUTES: tuple[OperatorsRoute, ...] = (
    ("GET", "/admin/v1/deliveries", deliveries),
    ("POST", "/admin/v1/deliveries/{id}/redeliver", redeliver),
)
"""The routes under the operators' key."""
