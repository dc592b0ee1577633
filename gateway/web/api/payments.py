"""Tenants' routes for payments. Each handler translates the request, calls one flow and answers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from operator import attrgetter, itemgetter
from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from gateway.core.errors import TenantError
from gateway.core.payment import State
from gateway.core.request_bodies import CaptureBody, CreateBody, EmptyBody, UpdateBody
from gateway.core.view_types import EventView, PaymentView
from gateway.core.views import event_view, payment_view
from gateway.drivers.settings import Tenant
from gateway.drivers.store.reads import ListedPayment, PaymentFilter
from gateway.flows.payments import create as create_flow
from gateway.flows.payments import lookup, read
from gateway.flows.payments.cancel import cancel_payment
from gateway.flows.payments.capture import capture_payment
from gateway.flows.payments.command_checks import command_refusals
from gateway.flows.payments.create_validation import content_refusals
from gateway.flows.payments.idempotency import Answer
from gateway.flows.payments.update import update_payment
from gateway.web.api import examples
from gateway.web.app_keys import LIMITS
from gateway.web.query_parameters import (
    ALL_LIMIT,
    CURSOR,
    LIMIT,
    MAP,
    REPLY,
    TIME,
    cursor_of,
    limit_of,
    one_of,
    parameters,
    period_of,
    section_of,
)
from gateway.web.request import TenantCall
from gateway.web.responses import Reply
from gateway.web.routing import Route


class PaymentList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of payments."""

    data: Annotated[list[PaymentView], Meta(description="The payments, newest first.")]
    next_cursor: Annotated[str | None, Meta(description="Where the next page begins; null on the last.")]


class EventList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a payment's timeline."""

    data: Annotated[list[EventView], Meta(description="The events, oldest first.")]
    next_cursor: Annotated[str | None, Meta(description="Where the next page begins; null on the last.")]


async def create(call: TenantCall) -> Answer:
    """``POST /v1/payments``."""
    claim = call.claim()

    def check(body: CreateBody) -> list[TenantError]:
        call.note_account(_account_named(call.tenant, body))
        return content_refusals(call.gw, call.tenant, body, claim.idempotency_key)

    body = call.body(CreateBody, check)
    call.note_account(_account_named(call.tenant, body))
    return await create_flow.create(call.gw, call.tenant, claim, body)


def _account_named(tenant: Tenant, body: CreateBody) -> str | None:
    """The account that a create names, by itself or by its deposit method."""
    method = tenant.deposit_methods.get(body.deposit_method or "")
    return body.account or (method.account if method is not None else None)


async def capture(call: TenantCall) -> Answer:
    """``POST /v1/payments/{id}/capture``."""
    claim = call.claim()
    return await capture_payment(call.gw, claim, call.id, call.body(CaptureBody, command_refusals))


async def update(call: TenantCall) -> Answer:
    """``PATCH /v1/payments/{id}``."""
    claim = call.claim()
    return await update_payment(call.gw, claim, call.id, call.body(UpdateBody, command_refusals))


async def cancel(call: TenantCall) -> Answer:
    """``POST /v1/payments/{id}/cancel``."""
    claim = call.claim()
    call.body(EmptyBody)
    return await cancel_payment(call.gw, claim, call.id)


async def retrieve(call: TenantCall) -> Reply:
    """``GET /v1/payments/{id}``."""
    return Reply(view=listed_payment(await read.find_summary(call.gw, call.tenant.id, call.id)))


async def list_payments(call: TenantCall) -> Reply:
    """``GET /v1/payments``: newest first, a page at a time."""
    read_page = partial(call.gw.store.payments, call.tenant.id)
    return await call.page(read_page, filter_of(call.query), listed_payment, id_of=attrgetter("payment.id"))


async def sync(call: TenantCall) -> Reply:
    """``POST /v1/payments/{id}/sync``: look the payment up at its provider. Shows alerts only of what that changed."""
    call.body(EmptyBody)
    before = await read.find_summary(call.gw, call.tenant.id, call.id)
    call.note_account(before.payment.account)
    entry = call.gw.entry(before.payment)
    if not entry.can_look_up:
        detail = f"{entry.provider.name} answers no lookups: its callbacks and the clock move this payment"
        raise TenantError("unsupported_by_provider", detail)
    call.request.app[LIMITS].take_sync(call.id)
    await lookup.refresh(call.gw, call.tenant.id, call.id, hinted=False)
    after = await read.find_summary(call.gw, call.tenant.id, call.id)
    is_changed = after.payment.version != before.payment.version
    payment = after.payment if is_changed else replace(after.payment, alerts=())
    return Reply(view=payment_view(payment, after.open_operation))


async def events(call: TenantCall) -> Reply:
    """``GET /v1/payments/{id}/events``."""
    await read.find_summary(call.gw, call.tenant.id, call.id)
    read_page = partial(call.gw.store.events, call.tenant.id, call.id)
    return await call.page(read_page, section_of(call.query), lambda row: event_view(*row), id_of=itemgetter(0))


def listed_payment(listed: ListedPayment) -> PaymentView:
    """Show a payment with its open operation."""
    return payment_view(listed.payment, listed.open_operation)


def filter_of(query: Mapping[str, str]) -> PaymentFilter:
    """Read the list's query parameters. Raises ``validation_failed`` naming the parameter."""
    created_after, created_before = period_of(query, "created_after", "created_before")
    return PaymentFilter(
        limit=limit_of(query),
        cursor=cursor_of(query),
        merchant_reference=query.get("merchant_reference"),
        state=one_of("state", query, [str(state) for state in State]),
        account=query.get("account"),
        created_after=created_after,
        created_before=created_before,
    )


COMMAND_CODES = (
    "not_found",
    "unsupported_by_provider",
    "operation_outcome_pending",
    "invalid_state",
    "under_review",
    "provider_error",
    "card_data_refused",
)
"""Error codes of the routes that change a payment."""

_NEW_PAYMENT_CODES = ("low_disk", "storage_budget_exceeded")
_CREATE_CODES = (
    *(code for code in COMMAND_CODES if code not in ("not_found", "invalid_state", "under_review")),
    "duplicate_reference",
    "unknown_account",
    "no_route",
    "currency_not_supported",
    "deposit_method_not_found",
    *_NEW_PAYMENT_CODES,
)

ROUTES: tuple[Route[TenantCall], ...] = (
    Route(
        method="POST",
        path="/v1/payments",
        handler=create,
        query=parameters(map=MAP, reply=REPLY),
        body=CreateBody,
        is_idempotent=True,
        name="createPayment",
        tag="Payments",
        summary="Create a payment",
        text="Create a payment at its provider. 201 once the outcome is known, even if the provider declined it: check"
        " `operation.status` and `state`. Then send the customer to `redirect_url`, unless the provider contacts the"
        " customer itself.",
        sends_any=examples.CREATES,
        answers=examples.CREATED,
        codes=_CREATE_CODES,
    ),
    Route(
        method="GET",
        path="/v1/payments",
        handler=list_payments,
        query=parameters(
            merchant_reference="Only payments with this reference.",
            state=("Only payments in this state.", State),
            account="Only payments of this account.",
            created_after=("Only payments created after this time.", TIME),
            created_before=("Only payments created before this time.", TIME),
            limit=LIMIT,
            cursor=CURSOR,
            reply=REPLY,
        ),
        name="listPayments",
        tag="Payments",
        summary="List payments",
        text="Newest first, one page at a time: pass `next_cursor` as `cursor` until it is null.",
        answers={200: PaymentList(data=[examples.PAYMENT], next_cursor=None)},
        codes=("validation_failed",),
    ),
    Route(
        method="GET",
        path="/v1/payments/{id}",
        handler=retrieve,
        query=parameters(reply=REPLY),
        name="getPayment",
        tag="Payments",
        summary="Retrieve a payment",
        text="The payment in its current state.",
        answers={200: examples.PAYMENT},
        codes=("not_found", "validation_failed"),
    ),
    Route(
        method="POST",
        path="/v1/payments/{id}/capture",
        handler=capture,
        query=parameters(map=MAP, reply=REPLY),
        body=CaptureBody,
        is_idempotent=True,
        name="capturePayment",
        tag="Payments",
        summary="Capture a payment",
        text="Take the money of an authorized payment, for example when the order ships. All that is left is captured"
        " unless `amount` is given; the rest is released. Where `captures` of the account is `many`, the rest may be"
        " captured later, until a capture is `final`.",
        sends=examples.CAPTURE,
        answers=examples.CAPTURED,
        codes=(*COMMAND_CODES, "amount_too_large"),
    ),
    Route(
        method="PATCH",
        path="/v1/payments/{id}",
        handler=update,
        query=parameters(map=MAP, reply=REPLY),
        body=UpdateBody,
        is_idempotent=True,
        name="updatePayment",
        tag="Payments",
        summary="Update a payment",
        text="Change the amount or the order before the capture. An increase above the provider's limit is refused,"
        " unless `allow_new_checkout` starts a new checkout for the new total.",
        sends=examples.UPDATE,
        answers=examples.UPDATED,
        codes=(*COMMAND_CODES, "increase_over_limit", *_NEW_PAYMENT_CODES),
    ),
    Route(
        method="POST",
        path="/v1/payments/{id}/cancel",
        handler=cancel,
        query=parameters(reply=REPLY),
        body=EmptyBody,
        is_idempotent=True,
        name="cancelPayment",
        tag="Payments",
        summary="Cancel a payment",
        text="Cancel (void) a payment before it is captured, or what is left of one that is captured in part.",
        answers=examples.CANCELED,
        codes=COMMAND_CODES,
    ),
    Route(
        method="POST",
        path="/v1/payments/{id}/sync",
        handler=sync,
        query=parameters(reply=REPLY),
        body=EmptyBody,
        name="syncPayment",
        tag="Payments",
        summary="Sync a payment with its provider",
        text="Look the payment up at its provider now, and return it as it is after that. At most once a second.",
        answers={200: examples.PAYMENT},
        codes=("not_found", "unsupported_by_provider", "provider_error"),
    ),
    Route(
        method="GET",
        path="/v1/payments/{id}/events",
        handler=events,
        query=parameters(limit=ALL_LIMIT, cursor=CURSOR),
        name="listPaymentEvents",
        tag="Payments",
        summary="List the events of a payment",
        text="The payment's timeline, oldest first: one event for each version.",
        answers={200: EventList(data=[examples.EVENT], next_cursor=None)},
        codes=("not_found", "validation_failed"),
    ),
)
"""The routes for payments."""
