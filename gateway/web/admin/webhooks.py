"""Operators' routes for webhooks of all tenants: list the deliveries, send one again."""

from __future__ import annotations

from functools import partial
from typing import Any

from gateway.core.view_types import DeliveryView
from gateway.drivers.store.deliveries import STATUSES, DeliveryRow, ListedDelivery
from gateway.flows.webhooks import read, redelivery
from gateway.web.api.webhooks import delivery_members, filter_of
from gateway.web.query_parameters import CURSOR, LIMIT, parameters
from gateway.web.request import OperatorCall
from gateway.web.responses import Reply
from gateway.web.routing import Route


class TenantsDelivery(DeliveryView, frozen=True, kw_only=True):
    """A webhook with its tenant; operators' own have a name for each of their addresses."""

    tenant: str


async def deliveries(call: OperatorCall) -> Reply:
    """``GET /admin/v1/deliveries``: newest first, a page at a time."""
    wanted = filter_of(call.query)
    read_page = partial(read.deliveries, call.gw, call.tenants(*call.gw.settings.operator_webhooks))
    return await call.page(read_page, wanted, _view, slice_of=wanted.limit + 1)


async def redeliver(call: OperatorCall) -> Reply:
    """``POST /admin/v1/deliveries/{id}/redeliver``."""
    tenant = await read.owner_of(call.gw, call.id)
    return Reply(view=_view(await redelivery.redeliver_one(call.gw, tenant, call.id, call.act())), status=202)


def _view(row: DeliveryRow | ListedDelivery) -> dict[str, Any]:
    return {**delivery_members(row), "tenant": row.tenant}


ROUTES: tuple[Route[OperatorCall], ...] = (
    Route(
        method="GET",
        path="/admin/v1/deliveries",
        handler=deliveries,
        query=parameters(
            tenant="Only webhooks of this tenant, or to this address of operators.",
            status=("Only webhooks with this status.", {"type": "string", "enum": list(STATUSES)}),
            payment_id="Only webhooks about this payment.",
            limit=LIMIT,
            cursor=CURSOR,
        ),
    ),
    Route(method="POST", path="/admin/v1/deliveries/{id}/redeliver", handler=redeliver),
)
"""The routes for webhooks."""
