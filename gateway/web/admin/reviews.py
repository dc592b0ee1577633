"""Operators' routes for what only a person can decide: payments under review, operations whose outcome is unknown."""

from __future__ import annotations

from functools import partial
from operator import attrgetter
from typing import Annotated, Literal

import msgspec

from gateway.core.commands import Url
from gateway.core.errors import invalid
from gateway.core.facts import OperationResolved, ReviewResolved
from gateway.core.money import Amount
from gateway.core.payment import Payment, Status
from gateway.core.plugin_returns import MAX_ID_CHARACTERS
from gateway.core.view_types import OperationView
from gateway.core.views import payment_view, rfc3339
from gateway.drivers.store.reads import OpenOperation
from gateway.flows.payments import read, review
from gateway.web.api.payments import listed_payment
from gateway.web.query_parameters import ALL_LIMIT, CURSOR, parameters, section_of
from gateway.web.request import Actor, OperatorCall
from gateway.web.responses import Reply
from gateway.web.routing import Route

Sentence = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
Reference = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_CHARACTERS)]
Version = Annotated[int, msgspec.Meta(ge=1)] | None
"""Of the payment as the operator saw it: refused where it has moved since."""


class ResolveReview(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``state`` only where the recorded one is wrong, ``amount_refunded`` where the provider denied a refund's end."""

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
    amount_refunded: Amount | None = None
    redirect_url: Url | None = None
    version: Version = None


class ResolveOperation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an operation of unknown outcome ended, who says so and why; of a create what the provider's portal shows."""

    outcome: Literal["succeeded", "declined", "written_off"]
    reason: Sentence
    actor: Actor = None
    redirect_url: Url | None = None
    provider_reference: Reference | None = None
    version: Version = None


class OpenOperationView(OperationView, frozen=True, kw_only=True):
    """An operation whose outcome is unknown, with its tenant and payment."""

    tenant: str
    payment_id: str
    note: str | None  # type: ignore[assignment]  # operators always get it, null without a note
    created_at: str


def open_operation_view(operation: OpenOperation) -> OpenOperationView:
    """Show an operation whose outcome is unknown."""
    return OpenOperationView(
        id=operation.id,
        kind=operation.kind,
        status=operation.status,
        failure=None,
        tenant=operation.tenant,
        payment_id=operation.payment_id,
        note=operation.note,
        created_at=rfc3339(operation.created_at),
    )


async def reviews(call: OperatorCall) -> Reply:
    """``GET /admin/v1/reviews``."""
    read_page = partial(read.reviews, call.gw)
    return await call.page(read_page, section_of(call.query), listed_payment, id_of=attrgetter("payment.id"))


def _of_review(call: OperatorCall, body: ResolveReview) -> ReviewResolved:
    return ReviewResolved(
        actor=call.actor(body.actor),
        reason=body.reason,
        state=body.state,
        refunded=body.amount_refunded,
        redirect_url=body.redirect_url,
    )


async def check_review(call: OperatorCall) -> Payment:
    """Check what is asked of a review; nothing is done."""
    body = call.body(ResolveReview)
    loaded, _ = await review.checked_review(call.gw, call.id, _of_review(call, body), body.version)
    return loaded.payment


async def resolve_review(call: OperatorCall) -> Reply:
    """``POST /admin/v1/reviews/{payment_id}/resolve``."""
    body = call.body(ResolveReview)
    act = call.act(actor=body.actor, reason=body.reason)
    decided = _of_review(call, body)
    payment = await review.resolve_review(call.gw, call.id, decided, act, version=body.version)
    return Reply(view=payment_view(payment, None))


async def operations(call: OperatorCall) -> Reply:
    """``GET /admin/v1/operations?status=unknown``."""
    if call.query.get("status", "unknown") != "unknown":
        raise invalid(("status", "only unknown can be asked for"))
    read_page = partial(call.gw.store.list_open_operations, Status.UNKNOWN)
    return await call.page(read_page, section_of(call.query), open_operation_view)


def _of_operation(call: OperatorCall, body: ResolveOperation) -> OperationResolved:
    return OperationResolved(
        actor=call.actor(body.actor),
        reason=body.reason,
        outcome=body.outcome,
        redirect_url=body.redirect_url,
        provider_reference=body.provider_reference,
    )


async def check_operation(call: OperatorCall) -> Payment:
    """Check what is asked of an operation; nothing is done."""
    body = call.body(ResolveOperation)
    return (await review.checked_operation(call.gw, call.id, _of_operation(call, body), body.version)).payment


async def resolve_operation(call: OperatorCall) -> Reply:
    """``POST /admin/v1/operations/{id}/resolve``."""
    body = call.body(ResolveOperation)
    act = call.act(actor=body.actor, reason=body.reason, subject=call.id, details={"outcome": body.outcome})
    decided = _of_operation(call, body)
    payment = await review.resolve_operation(call.gw, call.id, decided, act, version=body.version)
    return Reply(view=payment_view(payment, None))


ROUTES: tuple[Route[OperatorCall], ...] = (
    Route(
        method="GET",
        path="/admin/v1/reviews",
        handler=reviews,
        query=parameters(limit=ALL_LIMIT, cursor=CURSOR),
    ),
    Route(
        method="POST",
        path="/admin/v1/reviews/{payment_id}/resolve",
        handler=resolve_review,
        body=ResolveReview,
        needs_approval=True,
        check=check_review,
    ),
    Route(
        method="GET",
        path="/admin/v1/operations",
        handler=operations,
        query=parameters(limit=ALL_LIMIT, cursor=CURSOR, status="`unknown`, the only one that can be asked for."),
    ),
    Route(
        method="POST",
        path="/admin/v1/operations/{id}/resolve",
        handler=resolve_operation,
        body=ResolveOperation,
        needs_approval=True,
        check=check_operation,
    ),
)
"""The routes for reviews and operations."""
