"""Tenants' routes for webhooks: the endpoint, the deliveries, and how to send them again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import asdict

from gateway.core.request_bodies import EmptyBody
from gateway.core.view_types import DeliveryView, EndpointView
from gateway.drivers.store.deliveries import STATUSES, DeliveryFilter, DeliveryRow, ListedDelivery, RedeliveryFilter
from gateway.drivers.store.rows import optional_text
from gateway.flows.webhooks import redelivery
from gateway.flows.webhooks.redelivery import TenantEndpoint
from gateway.web.api import examples
from gateway.web.query_parameters import (
    CURSOR,
    LIMIT,
    cursor_of,
    limit_of,
    one_of,
    parameters,
    payment_id_of,
    refuse_backwards,
)
from gateway.web.request import TenantCall
from gateway.web.responses import Reply
from gateway.web.routing import Route

Time = Annotated[datetime, Meta(tz=True)]
Again = Literal["dead", "delivered"]


class DeliveryList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of webhooks."""

    data: Annotated[list[DeliveryView], Meta(description="The webhooks, newest first.")]
    next_cursor: Annotated[str | None, Meta(description="Where the next page begins; null on the last.")]


class RedeliverBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which webhooks to send again; both ends of the time range are included."""

    created_after: Annotated[Time, Meta(description="Only webhooks created at this time or later.")]
    created_before: Annotated[Time | None, Meta(description="Only webhooks created at this time or earlier.")] = None
    status: Annotated[Again, Meta(description="Only webhooks with this status; `dead` unless given.")] = "dead"


class Redelivered(msgspec.Struct, frozen=True, kw_only=True):
    """The number of webhooks that are sent again."""

    count: Annotated[int, Meta(description="The number of webhooks that are sent again.")]


class EnableBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to enable the endpoint."""

    redeliver: Annotated[
        bool,
        Meta(description="Also redeliver the dead letters of the time when it was disabled; false unless given."),
    ] = False


class EnabledEndpoint(EndpointView, frozen=True, kw_only=True):
    """The endpoint as it is now, and the number of webhooks that are sent again."""

    redelivered: Annotated[int, Meta(description="The number of webhooks that are sent again.")]


async def list_deliveries(call: TenantCall) -> Reply:
    """``GET /v1/webhooks/deliveries``: newest first, a page at a time."""
    read_page = partial(call.gw.store.deliveries.newest, call.tenant.id)
    return await call.page(read_page, filter_of(call.query), delivery_members)


async def redeliver(call: TenantCall) -> Reply:
    """``POST /v1/webhooks/deliveries/{id}/redeliver``."""
    call.body(EmptyBody)
    row = await redelivery.redeliver_one(call.gw, call.tenant.id, call.id)
    return Reply(view=delivery_members(row), status=202)


async def redeliver_many(call: TenantCall) -> Reply:
    """``POST /v1/webhooks/redeliver``."""
    body = call.body(RedeliverBody)
    refuse_backwards(body.created_after, body.created_before, "$.created_after", "$.created_before")
    wanted = RedeliveryFilter(status=body.status, created_after=body.created_after, created_before=body.created_before)
    async with call.turn:
        count = await redelivery.redeliver_many(call.gw, call.tenant.id, wanted)
    call.charge(count)
    return Reply(view=Redelivered(count=count), status=202)


async def send_test(call: TenantCall) -> Reply:
    """``POST /v1/webhooks/test``."""
    call.body(EmptyBody)
    row = await redelivery.send_test(call.gw, call.tenant.id)
    return Reply(view=delivery_members(row), status=202)


async def read_endpoint(call: TenantCall) -> Reply:
    """``GET /v1/webhooks``."""
    found = await redelivery.endpoint_of(call.gw, call.tenant.id)
    return Reply(view=EndpointView(**endpoint_members(found)))


async def enable(call: TenantCall) -> Reply:
    """``POST /v1/webhooks/enable``."""
    body = call.body(EnableBody)
    async with call.turn:
        count = await redelivery.enable(call.gw, call.tenant.id, redeliver=body.redeliver)
    call.charge(count)
    found = await redelivery.endpoint_of(call.gw, call.tenant.id)
    return Reply(view=EnabledEndpoint(**endpoint_members(found), redelivered=count))


def filter_of(query: Mapping[str, str]) -> DeliveryFilter:
    """The list's query parameters. Raises ``validation_failed`` naming the parameter."""
    return DeliveryFilter(
        limit=limit_of(query),
        cursor=cursor_of(query),
        status=one_of("status", query, STATUSES),
        payment_id=payment_id_of(query),
    )


def delivery_members(row: DeliveryRow | ListedDelivery) -> dict[str, Any]:
    """The members of ``DeliveryView`` for a delivery."""
    return {
        "id": row.id,
        "type": row.type,
        "payment_id": row.payment_id,
        "status": row.status,
        "next_attempt_at": optional_text(row.next_attempt_at),
        "attempts": row.attempts,
    }


def endpoint_members(found: TenantEndpoint) -> dict[str, Any]:
    """The members of ``EndpointView`` for an endpoint."""
    return {
        "url": found.webhook.url,
        "enabled": found.state.disabled_at is None,
        "failing_since": optional_text(found.state.failing_since),
        "disabled_at": optional_text(found.state.disabled_at),
        "reason": found.state.reason,
    }


FILTER = parameters(
    status=("Only webhooks with this status.", {"type": "string", "enum": list(STATUSES)}),
    payment_id="Only webhooks of this payment.",
    limit=LIMIT,
    cursor=CURSOR,
)
_SENDING_CODES = ("not_found", "invalid_state")

ENABLED = EnabledEndpoint(**asdict(examples.ENDPOINT), redelivered=3)

ROUTES: tuple[Route[TenantCall], ...] = (
    Route(
        method="GET",
        path="/v1/webhooks",
        handler=read_endpoint,
        name="getWebhookEndpoint",
        tag="Webhooks",
        summary="Retrieve the webhook endpoint",
        text="Where webhooks are sent, whether the endpoint is enabled, and since when deliveries fail.",
        answers={200: examples.ENDPOINT},
        codes=("not_found",),
    ),
    Route(
        method="GET",
        path="/v1/webhooks/deliveries",
        handler=list_deliveries,
        name="listDeliveries",
        tag="Webhooks",
        summary="List webhook deliveries",
        text="The webhooks and the attempts to deliver them, newest first, one page at a time: pass `next_cursor` as"
        " `cursor` until it is null.",
        answers={200: DeliveryList(data=[examples.DELIVERED], next_cursor=None)},
        query=FILTER,
        codes=("validation_failed",),
    ),
    Route(
        method="POST",
        path="/v1/webhooks/deliveries/{id}/redeliver",
        handler=redeliver,
        name="redeliverWebhook",
        tag="Webhooks",
        summary="Redeliver a webhook",
        text="Send it again with the same id and the same bytes, on a new retry schedule, whatever its status.",
        body=EmptyBody,
        answers={202: examples.SENT_AGAIN},
        codes=_SENDING_CODES,
    ),
    Route(
        method="POST",
        path="/v1/webhooks/redeliver",
        handler=redeliver_many,
        name="redeliverWebhooks",
        tag="Webhooks",
        summary="Redeliver webhooks created in a time range",
        text="All dead letters created since a time or between two times; or the delivered webhooks.",
        body=RedeliverBody,
        sends=examples.REDELIVER,
        answers={202: Redelivered(count=3)},
        codes=_SENDING_CODES,
    ),
    Route(
        method="POST",
        path="/v1/webhooks/test",
        handler=send_test,
        name="sendTestWebhook",
        tag="Webhooks",
        summary="Send a test webhook",
        text="Send a webhook of type `webhook.test`, which is not about a payment, to test the endpoint.",
        body=EmptyBody,
        answers={202: examples.TEST},
        codes=(*_SENDING_CODES, "low_disk", "storage_budget_exceeded"),
    ),
    Route(
        method="POST",
        path="/v1/webhooks/enable",
        handler=enable,
        name="enableWebhookEndpoint",
        tag="Webhooks",
        summary="Enable the webhook endpoint",
        text="Send webhooks again to an endpoint that was disabled because it answered 410, or because every attempt"
        " failed for five days.",
        body=EnableBody,
        sends=examples.ENABLE,
        answers={200: ENABLED},
        codes=_SENDING_CODES,
    ),
)
"""The routes for webhooks."""
