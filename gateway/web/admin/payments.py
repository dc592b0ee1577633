"""Operators' routes for payments: list them, state an outcome, list those without news, look them up."""

from __future__ import annotations

from functools import partial
from operator import attrgetter
from typing import Annotated, Literal

import msgspec

from gateway.core.errors import invalid
from gateway.core.facts import PaymentResolved
from gateway.core.money import Amount
from gateway.core.payment import Payment, State
from gateway.core.views import payment_view
from gateway.drivers.store.reads import PaymentFilter, SilentFilter
from gateway.flows.payments import read, resolve, sync_range
from gateway.flows.payments.sync_range import QueuedAccount, SyncFilter
from gateway.web.admin.reviews import Reference, Sentence, Version
from gateway.web.api.payments import listed_payment
from gateway.web.api.webhooks import Time
from gateway.web.query_parameters import (
    ALL_LIMIT,
    CURSOR,
    LIMIT,
    TIME,
    cursor_of,
    limit_of,
    one_of,
    parameters,
    period_of,
    section_of,
)
from gateway.web.request import Actor, OperatorCall
from gateway.web.responses import Reply
from gateway.web.routing import Route

KnownState = Literal[
    "awaiting_customer",
    "processing",
    "authorized",
    "captured",
    "partially_refunded",
    "refunded",
    "canceled",
    "failed",
    "expired",
]
"""The states that an operator can enter: all but ``created``, of which nothing is known."""


class ResolvePayment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the payment stands at the provider, and why that is known. Totals that are left out follow from the state.

    ``version``: of the payment as the operator saw it; without it the payment may have moved meanwhile.
    """

    state: KnownState
    reason: Sentence
    actor: Actor = None
    provider_reference: Reference | None = None
    amount_captured: Amount | None = None
    amount_refunded: Amount | None = None
    version: Version = None


class SyncPayments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which payments to look at again, where the provider can be asked: by id, or made since a time and before another.

    ``dry_run``: count them.
    """

    payment_ids: Annotated[list[str], msgspec.Meta(min_length=1, max_length=100)] | None = None
    since: Time | None = None
    until: Time | None = None
    tenant: str | None = None
    account: str | None = None
    state: Literal["created"] | KnownState | None = None
    reason: Sentence | None = None
    actor: Actor = None
    dry_run: bool = False


class QueuedView(msgspec.Struct, frozen=True, kw_only=True):
    """How many payments are looked at again, or would be: in all, and of each account that has any."""

    dry_run: bool
    queued: int
    data: list[QueuedAccount]


async def payments(call: OperatorCall) -> Reply:
    """``GET /admin/v1/payments``."""
    query, tenants = call.query, call.tenants()
    since, until = period_of(query)
    wanted = PaymentFilter(
        limit=limit_of(query),
        cursor=cursor_of(query),
        account=query.get("account"),
        state=one_of("state", query, [str(state) for state in State]),
        since=since,
        until=until,
        merchant_reference=query.get("merchant_reference"),
        provider_reference=query.get("provider_reference"),
    )
    found = partial(read.newest, call.gw.store, call.gw.settings, tenants)
    return await call.page(found, wanted, listed_payment, id_of=attrgetter("payment.id"), slice_of=wanted.limit + 1)


def _decided(call: OperatorCall, body: ResolvePayment) -> PaymentResolved:
    return PaymentResolved(
        actor=call.actor(body.actor),
        reason=body.reason,
        state=body.state,
        provider_reference=body.provider_reference,
        captured=body.amount_captured,
        refunded=body.amount_refunded,
    )


async def check_payment(call: OperatorCall) -> Payment:
    """Check what is asked of a payment; nothing is done."""
    body = call.body(ResolvePayment)
    loaded, _ = await resolve.checked(call.gw, call.id, _decided(call, body), body.version)
    return loaded.payment


async def resolve_payment(call: OperatorCall) -> Reply:
    """``POST /admin/v1/payments/{id}/resolve``."""
    body = call.body(ResolvePayment)
    decided = _decided(call, body)
    totals = {"amount_captured": body.amount_captured, "amount_refunded": body.amount_refunded}
    given = {name: f"{amount:f}" for name, amount in totals.items() if amount is not None}
    act = call.act(actor=body.actor, reason=body.reason, details=given)
    payment = await resolve.resolve_payment(call.gw, call.id, decided, act, version=body.version)
    return Reply(view=payment_view(payment, None))


async def sync(call: OperatorCall) -> Reply:
    """``POST /admin/v1/payments/sync``."""
    body = call.body(SyncPayments)
    wanted = SyncFilter(account=body.account, state=body.state, since=body.since, until=body.until)
    details = {name: str(value) for name, value in msgspec.structs.asdict(wanted).items() if value is not None}
    act = call.act(actor=body.actor, reason=body.reason, tenant=body.tenant, details=details)
    tenants = call.tenants_named(body.tenant, "$.tenant")
    if body.payment_ids is None:
        found = await sync_range.sync_range(call.gw, tenants, wanted, act, dry_run=body.dry_run)
    elif details:
        raise invalid(*((f"$.{name}", "belongs to a range: leave it out, or payment_ids") for name in details))
    else:
        found = await sync_range.sync_named(call.gw, tenants, body.payment_ids, act, dry_run=body.dry_run)
    return Reply(view=QueuedView(dry_run=body.dry_run, queued=sum(one.count for one in found), data=found))


async def silent(call: OperatorCall) -> Reply:
    """``GET /admin/v1/payments/silent``."""
    call.tenants()
    query, section, (since, until) = call.query, section_of(call.query), period_of(call.query)
    wanted = SilentFilter(
        limit=section.limit,
        cursor=section.cursor,
        tenant=query.get("tenant"),
        since=since,
        until=until,
    )
    return await call.page(partial(read.silent, call.gw), wanted, listed_payment, id_of=attrgetter("payment.id"))


ROUTES: tuple[Route[OperatorCall], ...] = (
    Route(
        method="GET",
        path="/admin/v1/payments",
        handler=payments,
        query=parameters(
            tenant="Only payments of this tenant.",
            account="Only payments of accounts of this name.",
            state=("Only payments in this state.", State),
            since=("Only payments created at this time or later.", TIME),
            until=("Only payments created at this time or earlier.", TIME),
            merchant_reference="Only payments with this reference.",
            provider_reference="Only payments with this reference of the provider.",
            limit=LIMIT,
            cursor=CURSOR,
        ),
    ),
    Route(
        method="GET",
        path="/admin/v1/payments/silent",
        handler=silent,
        query=parameters(
            tenant="Only payments of this tenant.",
            since=("Only payments made at this time or later.", TIME),
            until=("Only payments made before this time.", TIME),
            limit=ALL_LIMIT,
            cursor=CURSOR,
        ),
    ),
    Route(method="POST", path="/admin/v1/payments/sync", handler=sync, body=SyncPayments),
    Route(
        method="POST",
        path="/admin/v1/payments/{id}/resolve",
        handler=resolve_payment,
        body=ResolvePayment,
        needs_approval=True,
        check=check_payment,
    ),
)
"""The routes for payments."""
