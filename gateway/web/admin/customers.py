"""Operators' routes for what is kept about a customer: export it, erase it.

Both are POST: nobody's address is in a URL, and so in no log.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Annotated

import msgspec

from gateway.core import documents
from gateway.core.errors import invalid
from gateway.core.personal_data import Eraser, Kind, Subject, identifying
from gateway.core.view_types import EventView, PaymentView
from gateway.core.views import event_view, payment_view, rfc3339
from gateway.drivers.store.reads import PaymentSnapshot
from gateway.flows import audit
from gateway.flows.customers import erase
from gateway.flows.customers.erase import Found
from gateway.flows.customers.export import Kept, kept_about
from gateway.flows.customers.find import payments_of, tenants_of, unlinked_callbacks
from gateway.flows.masks import Masks
from gateway.web.admin.callbacks import CallbackDetail, callback_detail
from gateway.web.request import Actor, OperatorCall
from gateway.web.responses import Reply
from gateway.web.routing import Route

Words = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class CustomerBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which customer: exactly one of the three. ``tenant``: only of this one."""

    email: Words | None = None
    phone: Words | None = None
    customer_id: Words | None = None
    tenant: Words | None = None


class ExportBody(CustomerBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One page of what is kept: at most ``limit`` payments, after the one that ``cursor`` names."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 50
    cursor: Words | None = None


class EraseBody(CustomerBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``apply``: erase; without it nothing is changed, and the answer says what would be."""

    apply: bool = False
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)] | None = None
    actor: Actor = None


class OperationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An operation, with what its request said."""

    id: str
    kind: str
    status: str
    amount: str
    reason: str | None
    created_at: str


class WebhookRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook and its body."""

    id: str
    type: str
    status: str
    body: msgspec.Raw


class CustomerPayment(msgspec.Struct, frozen=True, kw_only=True):
    """All that is kept about one payment. ``purchase``: customer, order, checkout, fields, addresses of pages."""

    payment: PaymentView
    purchase: msgspec.Raw
    operations: list[OperationRecord]
    events: list[EventView]
    webhooks: list[WebhookRecord]
    callbacks: list[CallbackDetail]


class CustomerExport(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a customer's payments, oldest first; ``next_cursor`` is null on the last.

    ``callbacks``, on the first: those that belong to no payment and name the customer.
    """

    data: list[CustomerPayment]
    callbacks: list[CallbackDetail]
    next_cursor: str | None


class TenantErasure(Found, frozen=True, kw_only=True):
    """What was erased, or would be, of one tenant."""

    tenant: str


class ErasureView(Found, frozen=True, kw_only=True):
    """What was erased, or would be. ``subject`` is how the audit trail calls the customer."""

    applied: bool
    subject: str
    tenants: list[TenantErasure]


async def export_customer(call: OperatorCall) -> Reply:
    """``POST /admin/v1/customers/export``."""
    body = call.body(ExportBody)
    subject, tenants = _subject(body), await _tenants(call, body)
    found = [one async for one in payments_of(call.gw, tenants, subject)]
    left = sorted((one for one in found if one.payment.id > (body.cursor or "")), key=lambda one: one.payment.id)
    page = left[: body.limit]
    act = call.act(subject=erase.name_of(call.gw, subject), tenant=body.tenant, details={"payments": len(page)})
    await audit.note(call.gw, act)
    shown = [_shown(await kept_about(call.gw, one), call.gw.masks) for one in page]
    unlinked = [await _unlinked(call, tenant, subject, found) for tenant in tenants if not body.cursor]
    next_cursor = page[-1].payment.id if len(left) > len(page) else None
    return Reply(view=CustomerExport(data=shown, callbacks=[*chain(*unlinked)], next_cursor=next_cursor))


async def _unlinked(
    call: OperatorCall, tenant: str, subject: Subject, found: Sequence[PaymentSnapshot]
) -> list[CallbackDetail]:
    """Callbacks of a tenant that belong to no payment and name the customer."""
    payments = [one.payment for one in found if one.payment.tenant == tenant]
    eraser = Eraser({*subject.texts, *(text for payment in payments for text in identifying(payment))})
    rows = await unlinked_callbacks(call.gw, tenant, eraser)
    whole = [await call.gw.store.inbox.find([tenant], row.id) for row in rows]
    return [callback_detail(row, call.gw.masks) for row in whole if row is not None]


async def erase_customer(call: OperatorCall) -> Reply:
    """``POST /admin/v1/customers/erase``. Once begun it goes on, also without the caller."""
    body = call.body(EraseBody)
    subject = _subject(body)
    case = await erase.look_into(call.gw, await _tenants(call, body), subject)
    name = erase.name_of(call.gw, subject)
    if body.apply:
        act = call.act(actor=body.actor, reason=body.reason, subject=name, tenant=body.tenant)
        await call.gw.tasks.finish(f"erase {name}", erase.erase(call.gw, case, act))
    tenants = [TenantErasure(tenant=tenant, **msgspec.structs.asdict(one)) for tenant, one in case.found.items()]
    found = msgspec.structs.asdict(case.total)
    return Reply(view=ErasureView(applied=body.apply, subject=name, tenants=tenants, **found))


def _subject(body: CustomerBody) -> Subject:
    """Whom a body names. Raises ``validation_failed``."""
    kinds: tuple[Kind, ...] = ("email", "phone", "customer_id")
    given = [(kind, text) for kind in kinds if (text := getattr(body, kind)) is not None]
    if len(given) != 1:
        raise invalid(("$", "needs exactly one of email, phone, customer_id"))
    subject = Subject(kind=given[0][0], written=given[0][1])
    if not subject.value:
        raise invalid((f"$.{subject.kind}", "must name somebody: of a phone number the digits count"))
    return subject


async def _tenants(call: OperatorCall, body: CustomerBody) -> list[str]:
    known = await tenants_of(call.gw)
    if body.tenant is not None and body.tenant not in known:
        raise invalid(("$.tenant", f"is not known; known are {', '.join(known)}"))
    return known if body.tenant is None else [body.tenant]


def _shown(kept: Kept, masks: Masks) -> CustomerPayment:
    payment = kept.snapshot.payment
    return CustomerPayment(
        payment=payment_view(payment, kept.snapshot.open_operation),
        purchase=msgspec.Raw(documents.encode_purchase(payment).encode()),
        operations=[
            OperationRecord(
                id=one.id,
                kind=one.kind,
                status=one.status,
                amount=payment.money.with_amount(one.amount).text(),
                reason=one.reason,
                created_at=rfc3339(one.created_at),
            )
            for one in kept.operations
        ],
        events=[event_view(event_id, event) for event_id, event in kept.events],
        webhooks=[
            WebhookRecord(id=row.id, type=row.type, status=row.status, body=msgspec.Raw(row.body.encode()))
            for row in kept.webhooks
        ],
        callbacks=[callback_detail(row, masks) for row in kept.callbacks],
    )


ROUTES: tuple[Route[OperatorCall], ...] = (
    Route(method="POST", path="/admin/v1/customers/export", handler=export_customer, body=ExportBody, role="admin"),
    Route(
        method="POST",
        path="/admin/v1/customers/erase",
        handler=erase_customer,
        body=EraseBody,
        role="admin",
        needs_approval=True,
    ),
)
"""The routes for customers."""
