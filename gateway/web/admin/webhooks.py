"""Operators' routes for webhooks of all tenants: the deliveries and the endpoints; send again, enable again."""

from __future__ import annotations

from functools import partial
from operator import attrgetter
from typing import Any

import msgspec

from gateway.core.errors import TenantError
from gateway.core.view_types import DeliveryView, EndpointView
from gateway.core.views import optional_rfc3339, rfc3339
from gateway.drivers.store.deliveries import STATUSES, DeliveryRow, ListedDelivery, RedeliveryFilter
from gateway.drivers.store.rows import PageRequest, newest_of
from gateway.flows.webhooks import read, redelivery
from gateway.flows.webhooks.read import ListedEndpoint
from gateway.flows.webhooks.redelivery import Redelivery
from gateway.web.admin.reviews import Sentence
from gateway.web.api.webhooks import Again, Time, delivery_members, endpoint_members, filter_of
from gateway.web.query_parameters import CURSOR, LIMIT, limit_of, parameters
from gateway.web.request import Actor, OperatorCall
from gateway.web.responses import Reply
from gateway.web.routing import Route


class RedeliverOne(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who has a webhook sent again, and why."""

    reason: Sentence | None = None
    actor: Actor = None


class RedeliverRange(RedeliverOne, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which webhooks to send again: of one tenant or of all, made in this time, both ends included."""

    since: Time
    until: Time | None = None
    status: Again = "dead"
    tenant: str | None = None
    dry_run: bool = False


class RedeliveredRange(msgspec.Struct, frozen=True, kw_only=True):
    """How many webhooks are sent again, or would be: in all, and of each tenant that has any."""

    dry_run: bool
    count: int
    data: list[Redelivery]


class EnableTenant(RedeliverOne, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to enable an endpoint: ``redeliver`` also what it missed meanwhile."""

    redeliver: bool = False


class TenantsEndpoint(EndpointView, frozen=True, kw_only=True):
    """An endpoint with its tenant."""

    tenant: str


class EnabledTenant(TenantsEndpoint, frozen=True, kw_only=True):
    """The endpoint as it is now, and how many webhooks are sent again."""

    redelivered: int


class TenantsDelivery(DeliveryView, frozen=True, kw_only=True):
    """A webhook with its tenant; operators' own have a name for each of their addresses, and types of their own."""

    tenant: str
    type: str


async def deliveries(call: OperatorCall) -> Reply:
    """``GET /admin/v1/deliveries``: newest first, a page at a time."""
    wanted = filter_of(call.query)
    owners = call.tenants(*call.gw.settings.operator_webhooks)
    read_page = partial(newest_of, owners, call.gw.store.deliveries.newest)
    return await call.page(read_page, wanted, _view, slice_of=wanted.limit + 1)


async def redeliver(call: OperatorCall) -> Reply:
    """``POST /admin/v1/deliveries/{id}/redeliver``."""
    body = call.body(RedeliverOne)
    tenant = await read.owner_of(call.gw, call.id)
    act = call.act(actor=body.actor, reason=body.reason)
    return Reply(view=_view(await redelivery.redeliver_one(call.gw, tenant, call.id, act)), status=202)


async def redeliver_range(call: OperatorCall) -> Reply:
    """``POST /admin/v1/deliveries/redeliver``."""
    body = call.body(RedeliverRange)
    wanted = RedeliveryFilter(status=body.status, created_after=body.since, created_before=body.until)
    details = {"status": body.status, "since": rfc3339(body.since), "until": optional_rfc3339(body.until)}
    act = call.act(actor=body.actor, reason=body.reason, details=details)
    tenants = call.tenants_named(body.tenant, "$.tenant", *call.gw.settings.operator_webhooks)
    done = await redelivery.redeliver_range(call.gw, tenants, wanted, act, dry_run=body.dry_run)
    count = sum(one.count for one in done if one.problem is None)
    return Reply(
        view=RedeliveredRange(dry_run=body.dry_run, count=count, data=done), status=200 if body.dry_run else 202
    )


async def endpoints(call: OperatorCall) -> Reply:
    """``GET /admin/v1/endpoints``."""
    wanted = PageRequest(limit=limit_of(call.query), cursor=call.query.get("cursor"))
    read_page = partial(read.endpoints, call.gw, call.tenants(*call.gw.settings.operator_webhooks))
    return await call.page(read_page, wanted, _endpoint_view, id_of=attrgetter("tenant"))


async def enable(call: OperatorCall) -> Reply:
    """``POST /admin/v1/endpoints/{tenant}/enable``."""
    body, tenant = call.body(EnableTenant), call.id
    if tenant not in call.gw.settings.tenants and tenant not in call.gw.settings.operator_webhooks:
        raise TenantError("not_found", "this tenant is not in the settings: gateway endpoints list has those that are")
    act = call.act(actor=body.actor, reason=body.reason)
    count = await redelivery.enable(call.gw, tenant, redeliver=body.redeliver, act=act)
    members = endpoint_members(await redelivery.endpoint_of(call.gw, tenant))
    return Reply(view=EnabledTenant(tenant=tenant, redelivered=count, **members))


def _endpoint_view(listed: ListedEndpoint) -> TenantsEndpoint:
    return TenantsEndpoint(tenant=listed.tenant, **endpoint_members(listed.endpoint))


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
    Route(method="POST", path="/admin/v1/deliveries/{id}/redeliver", handler=redeliver, body=RedeliverOne),
    Route(method="POST", path="/admin/v1/deliveries/redeliver", handler=redeliver_range, body=RedeliverRange),
    Route(
        method="GET",
        path="/admin/v1/endpoints",
        handler=endpoints,
        query=parameters(tenant="Only the endpoint of this name.", limit=LIMIT, cursor=CURSOR),
    ),
    Route(method="POST", path="/admin/v1/endpoints/{tenant}/enable", handler=enable, body=EnableTenant),
)
"""The routes for webhooks."""
