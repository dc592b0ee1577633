"""Tenants' routes for the refunds of a payment."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.core.request_bodies import RefundBody
from gateway.core.view_types import RefundWithPayment
from gateway.core.views import refund_with_payment
from gateway.flows.payments import read
from gateway.flows.payments.command_checks import command_refusals
from gateway.flows.payments.idempotency import Answer
from gateway.flows.payments.refund import refund_payment
from gateway.web.api import examples
from gateway.web.api.payments import COMMAND_CODES
from gateway.web.query_parameters import ALL_LIMIT, CURSOR, MAP, REPLY, parameters, section_of
from gateway.web.request import TenantCall
from gateway.web.responses import Reply
from gateway.web.routing import Route


class RefundList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a payment's refunds."""

    data: Annotated[list[RefundWithPayment], Meta(description="The refunds, oldest first.")]
    next_cursor: Annotated[str | None, Meta(description="Where the next page begins; null on the last.")]


async def refund(call: TenantCall) -> Answer:
    """``POST /v1/payments/{id}/refunds``."""
    claim = call.claim()
    return await refund_payment(call.gw, claim, call.id, call.body(RefundBody, command_refusals))


async def refunds(call: TenantCall) -> Reply:
    """``GET /v1/payments/{id}/refunds``."""
    listed = await read.find_summary(call.gw, call.tenant.id, call.id)
    read_page = partial(call.gw.store.refunds, call.tenant.id, call.id)
    return await call.page(
        read_page, section_of(call.query), partial(refund_with_payment, listed.payment, listed.open_operation)
    )


ROUTES: tuple[Route[TenantCall], ...] = (
    Route(
        method="POST",
        path="/v1/payments/{id}/refunds",
        handler=refund,
        query=parameters(map=MAP, reply=REPLY),
        body=RefundBody,
        is_idempotent=True,
        name="createRefund",
        tag="Refunds",
        summary="Refund a payment",
        text="Return captured money: all that is left unless `amount` is given.",
        sends=examples.REFUND,
        answers=examples.REFUNDED,
        codes=(*COMMAND_CODES, "amount_too_large"),
    ),
    Route(
        method="GET",
        path="/v1/payments/{id}/refunds",
        handler=refunds,
        query=parameters(limit=ALL_LIMIT, cursor=CURSOR, reply=REPLY),
        name="listRefunds",
        tag="Refunds",
        summary="List the refunds of a payment",
        text="Oldest first, one page at a time: pass `next_cursor` as `cursor` until it is null.",
        answers={200: RefundList(data=[examples.REFUND_WITH_PAYMENT], next_cursor=None)},
        codes=("not_found", "validation_failed"),
    ),
)
"""The routes for refunds."""
