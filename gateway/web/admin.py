"""The operators' own listener: health for everyone who can reach it, the rest under an operator's key."""

from __future__ import annotations

from functools import partial
from operator import attrgetter
from typing import Annotated, Literal

import msgspec
from aiohttp import web

from gateway.core.commands import Url
from gateway.core.errors import Unavailable, invalid
from gateway.core.facts import OperationResolved, ReviewResolved
from gateway.core.payment import Status
from gateway.core.view_types import OperationView, PaymentView
from gateway.core.views import payment_view, rfc3339
from gateway.drivers.store import reads
from gateway.flows import storage_limits
from gateway.flows.payments import review
from gateway.web import deliveries, inbox
from gateway.web.keys import GATEWAY
from gateway.web.listing import listed_payment, section_of
from gateway.web.methods import add_route
from gateway.web.operators import Actor, OperatorsRoute, actor_of, asked, body_of, page, with_key
from gateway.web.pages import way_to
from gateway.web.route import Reply

SECTION = ("limit", "cursor")
"""What a list without filters can be asked for."""

Sentence = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class ResolveReview(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``state`` only where a person knows better than the records; refunded totals are never set by hand."""

    reason: Sentence
    actor: Actor = None
    state: (
        Literal[
            "awaiting_customer",
            "processing",
            "authorized",
            "captured",
            "canceled",
            "failed",
            "expired",
        ]
        | None
    ) = None
    redirect_url: Url | None = None


class ResolveOperation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an operation without an outcome is settled, by whom and why; with the customer's page of a create."""

    outcome: Literal["succeeded", "declined", "written_off"]
    reason: Sentence
    actor: Actor = None
    redirect_url: Url | None = None


class ReviewList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of the payments that a person must look at, newest first; ``next_cursor`` is null on the last."""

    data: list[PaymentView]
    next_cursor: str | None = None


class OpenOperation(OperationView, frozen=True, kw_only=True):
    """An operation without an outcome, and whose it is."""

    tenant: str
    payment_id: str
    note: str | None  # type: ignore[assignment]  # operators have it always, null where there is none
    created_at: str


def open_operation(operation: reads.OpenOperation) -> OpenOperation:
    """Show an operation without an outcome."""
    return OpenOperation(
        id=operation.id,
        kind=operation.kind,
        status=operation.status,
        failure=None,
        tenant=operation.tenant,
        payment_id=operation.payment_id,
        note=operation.note,
        created_at=rfc3339(operation.created_at),
    )


class OpenOperationList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of the operations without an outcome, oldest first; ``next_cursor`` is null on the last."""

    data: list[OpenOperation]
    next_cursor: str | None = None


async def root(request: web.Request) -> web.Response:
    """``GET /``: the way to the documentation, which the public listener has."""
    return way_to(f"{request.app[GATEWAY].public_url}/docs")


async def livez(_: web.Request) -> web.Response:
    """The process answers."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """The store takes a write and nothing is stopping. Without room for new payments, callbacks still come: ready."""
    gw = request.app[GATEWAY]
    if gw.is_stopping:
        return web.json_response({"status": "stopping"}, status=503)
    try:
        await gw.store.prove_writable(gw.clock.now())
    except Unavailable:
        return web.json_response({"status": "store unavailable"}, status=503)
    warnings = storage_limits.warnings(gw)
    return web.json_response({"status": "ok", "warnings": warnings} if warnings else {"status": "ok"})


async def reviews(request: web.Request) -> Reply:
    """``GET /admin/v1/reviews``."""
    gw = request.app[GATEWAY]
    read = partial(gw.store.reviews, list(gw.settings.tenants))
    wanted = section_of(asked(request, SECTION))
    return await page(request, read, wanted, listed_payment, id_of=attrgetter("payment.id"))


async def resolve_review(request: web.Request) -> Reply:
    """``POST /admin/v1/reviews/{payment_id}/resolve``."""
    body = await body_of(request, ResolveReview)
    actor = actor_of(request, body.actor)
    decided = ReviewResolved(actor=actor, reason=body.reason, state=body.state, redirect_url=body.redirect_url)
    payment = await review.resolve(request.app[GATEWAY], request.match_info["payment_id"], decided)
    return Reply(view=payment_view(payment, None))


async def operations(request: web.Request) -> Reply:
    """``GET /admin/v1/operations?status=unknown``."""
    query = asked(request, (*SECTION, "status"))
    if query.get("status", "unknown") != "unknown":
        raise invalid(("status", "only unknown can be asked for"))
    read = partial(request.app[GATEWAY].store.list_open_operations, Status.UNKNOWN)
    return await page(request, read, section_of(query), open_operation)


async def resolve_operation(request: web.Request) -> Reply:
    """``POST /admin/v1/operations/{id}/resolve``."""
    body = await body_of(request, ResolveOperation)
    actor = actor_of(request, body.actor)
    decided = OperationResolved(actor=actor, reason=body.reason, outcome=body.outcome, redirect_url=body.redirect_url)
    payment = await review.rule(request.app[GATEWAY], request.match_info["id"], decided)
    return Reply(view=payment_view(payment, None))


ROUTES: tuple[OperatorsRoute, ...] = (
    ("GET", "/admin/v1/reviews", reviews),
    ("POST", "/admin/v1/reviews/{payment_id}/resolve", resolve_review),
    ("GET", "/admin/v1/operations", operations),
    ("POST", "/admin/v1/operations/{id}/resolve", resolve_operation),
    *inbox.ROUTES,
    *deliveries.ROUTES,
)
"""Every route under an operator's key."""


def add_routes(app: web.Application) -> None:
    """Register the operators' routes."""
    app.router.add_get("/", root)
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    for method, path, handler in ROUTES:
        add_route(app, method, path, with_key(handler))
