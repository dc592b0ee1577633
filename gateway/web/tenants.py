"""What tenants call. Each handler translates, calls one flow and answers; ``routes.py`` has the whole list."""

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
from gateway.core.request_bodies import CaptureBody, CreateBody, EmptyBody, RefundBody, UpdateBody
from gateway.core.view_types import EventView, PaymentView, RefundWithPayment
from gateway.core.views import event_view, payment_view, refund_with_payment
from gateway.drivers.settings import Rate
from gateway.drivers.store.reads import PaymentFilter
from gateway.flows.payments import create as create_flow
from gateway.flows.payments import lookup, modify
from gateway.flows.payments.create_validation import check_currency, content_refusals
from gateway.flows.payments.idempotency import Answer
from gateway.web import catalogue
from gateway.web.keys import LIMITS
from gateway.web.listing import (
    cursor_of,
    given,
    limit_of,
    listed_payment,
    one_of,
    section_of,
    time_of,
)
from gateway.web.route import Call, Reply

SYNC_RATE = Rate(per_second=1, burst=5)
"""How often one payment may be synced."""


class PaymentList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of payments."""

    data: Annotated[list[PaymentView], Meta(description="The payments, newest first.")]
    next_cursor: Annotated[str | None, Meta(description="Where the next page begins; null on the last.")]


class RefundList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a payment's refunds."""

    data: Annotated[list[RefundWithPayment], Meta(description="The refunds, oldest first.")]
    next_cursor: Annotated[str | None, Meta(description="Where the next page begins; null on the last.")]


class EventList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a payment's timeline."""

    data: Annotated[list[EventView], Meta(description="The events, oldest first.")]
    next_cursor: Annotated[str | None, Meta(description="Where the next page begins; null on the last.")]


async def create(call: Call) -> Answer:
    """``POST /v1/payments``."""
    claim = call.claim()
    judge = partial(content_refusals, call.gw, call.tenant, idempotency_key=claim.idempotency_key)
    body = call.body(CreateBody, judge)
    call.note_account(body.account)
    return await create_flow.create(call.gw, call.tenant, claim, body)


async def capture(call: Call) -> Answer:
    """``POST /v1/payments/{id}/capture``."""
    claim = call.claim()
    return await modify.capture(call.gw, claim, call.payment_id, call.body(CaptureBody, modify.content_refusals))


async def update(call: Call) -> Answer:
    """``PATCH /v1/payments/{id}``."""
    claim = call.claim()
    return await modify.update(call.gw, claim, call.payment_id, call.body(UpdateBody, modify.content_refusals))


async def cancel(call: Call) -> Answer:
    """``POST /v1/payments/{id}/cancel``."""
    claim = call.claim()
    call.body(EmptyBody)
    return await modify.cancel(call.gw, claim, call.payment_id)


async def refund(call: Call) -> Answer:
    """``POST /v1/payments/{id}/refunds``."""
    claim = call.claim()
    return await modify.refund(call.gw, claim, call.payment_id, call.body(RefundBody, modify.content_refusals))


async def refunds(call: Call) -> Reply:
    """``GET /v1/payments/{id}/refunds``."""
    listed = await modify.find_summary(call.gw, call.tenant.id, call.payment_id)
    return await call.page(
        partial(call.gw.store.refunds, call.tenant.id, call.payment_id),
        section_of(call.request.query),
        partial(refund_with_payment, listed.payment, listed.open_operation),
    )


async def read(call: Call) -> Reply:
    """``GET /v1/payments/{id}``."""
    listed = await modify.find_summary(call.gw, call.tenant.id, call.payment_id)
    return Reply(view=payment_view(listed.payment, listed.open_operation))


async def list_payments(call: Call) -> Reply:
    """``GET /v1/payments``: newest first, a page at a time."""
    return await call.page(
        partial(call.gw.store.payments, call.tenant.id),
        filter_of(call.request.query),
        listed_payment,
        id_of=attrgetter("payment.id"),
    )


async def sync(call: Call) -> Reply:
    """``POST /v1/payments/{id}/sync``: ask the provider now. Alerts are those of what the lookup changed."""
    call.body(EmptyBody)
    listed = await modify.find_summary(call.gw, call.tenant.id, call.payment_id)
    entry = call.gw.entry(listed.payment)
    if not entry.can_look_up:
        detail = f"{entry.provider.name} answers no lookups: its callbacks and the clock move this payment"
        raise TenantError("unsupported_by_provider", detail)
    wait = call.request.app[LIMITS].syncs.take(call.payment_id, SYNC_RATE)
    if wait:
        limit = f"one payment may be synced {SYNC_RATE.per_second:g} time per second ({SYNC_RATE.burst} at once)"
        raise TenantError("rate_limited", f"{limit}: repeat after Retry-After", retry_after=wait)
    await lookup.follow_up(call.gw, call.tenant.id, call.payment_id, hinted=False)
    now = await modify.find_summary(call.gw, call.tenant.id, call.payment_id)
    is_changed = now.payment.version != listed.payment.version
    payment = now.payment if is_changed else replace(now.payment, alerts=())
    return Reply(view=payment_view(payment, now.open_operation))


async def events(call: Call) -> Reply:
    """``GET /v1/payments/{id}/events``."""
    await modify.find_summary(call.gw, call.tenant.id, call.payment_id)
    return await call.page(
        partial(call.gw.store.events, call.tenant.id, call.payment_id),
        section_of(call.request.query),
        lambda row: event_view(*row),
        id_of=itemgetter(0),
    )


async def accounts(call: Call) -> Reply:
    """``GET /v1/accounts``."""
    return Reply(view=catalogue.accounts(call.gw, call.tenant))


async def deposit_methods(call: Call) -> Reply:
    """``GET /v1/deposit-methods``."""
    query = given(call.request.query)
    currency = query["currency"].upper() if "currency" in query else None
    check_currency(call.gw, currency)
    return Reply(
        view=catalogue.deposit_methods(
            call.tenant,
            currency=currency,
            amount=catalogue.amount_of(query.get("amount")),
            language=query.get("lang"),
        )
    )


def filter_of(query: Mapping[str, str]) -> PaymentFilter:
    """The list's query parameters; an empty one says nothing. Raises ``validation_failed`` naming the parameter."""
    query = given(query)
    return PaymentFilter(
        limit=limit_of(query),
        cursor=cursor_of(query),
        merchant_reference=query.get("merchant_reference"),
        state=one_of("state", query, [str(state) for state in State]),
        account=query.get("account"),
        created_after=time_of("created_after", query),
        created_before=time_of("created_before", query),
    )
