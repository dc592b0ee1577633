"""The public form of payments, operations and events, made for answers and webhooks alike."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from gateway.core.commands import Kind
from gateway.core.ids import refund_id
from gateway.core.money import as_text
from gateway.core.payment import (
    EventType,
    Failure,
    Operation,
    OperationSummary,
    PaymentEvent,
    PaymentSummary,
    Review,
)
from gateway.core.state_members import NOT_PAYABLE
from gateway.core.view_types import (
    EventView,
    FailureView,
    OperationView,
    PaymentView,
    PendingView,
    RefundView,
    RefundWithPayment,
    ReviewView,
    WebhookBody,
    WebhookData,
)


@functools.lru_cache(256)  # a payment shows one moment in several places
def rfc3339(at: datetime) -> str:
    """UTC with milliseconds and ``Z``."""
    utc = at if at.tzinfo is UTC else at.astimezone(UTC)  # converting costs more than writing
    text = msgspec.json.encode(utc).decode()  # in quotes, with microseconds or none: a third of what isoformat costs
    return f"{text[1:24]}Z" if utc.microsecond else f"{text[1:20]}.000Z"


def optional_rfc3339(at: datetime | None) -> str | None:
    """The same for a time that may be absent."""
    return None if at is None else rfc3339(at)


def payment_view(payment: PaymentSummary, open_operation: OperationSummary | None) -> PaymentView:
    """Show a payment; ``open_operation`` is the one without an outcome, if it has one."""
    return PaymentView(**_payment_members(payment, open_operation))


def event_view(event_id: str, event: PaymentEvent) -> EventView:
    """Show one event of the timeline."""
    return EventView(
        id=event_id,
        type=EventType(event.type),
        version=event.version,
        cause=event.cause,
        state_before=event.state_before,
        state_after=event.state_after,
        at=rfc3339(event.at),
        details=event.details,
    )


def refund_view(payment: PaymentSummary, refund: Operation) -> RefundView:
    """Show a refund."""
    return RefundView(**_refund_members(payment, refund))


def refund_with_payment(
    payment: PaymentSummary, open_operation: OperationSummary | None, refund: Operation
) -> RefundWithPayment:
    """Show a refund together with its payment."""
    return RefundWithPayment(**_refund_members(payment, refund), payment=payment_view(payment, open_operation))


def payment_json(payment: PaymentSummary, open_operation: OperationSummary | None) -> bytes:
    """Write a payment's view, which its webhook and the answer to its request then hold as it is."""
    return msgspec.json.encode(_payment_members(payment, open_operation))  # no Struct that is made only to be written


def operation_answer(payment: PaymentSummary, view: bytes, operation: Operation) -> bytes:
    """The body a tenant's changing request is answered with. ``view``: the payment's, as ``payment_json`` writes it."""
    if operation.kind is Kind.REFUND:
        return _with_member(to_json(refund_view(payment, operation)), b"payment", view)
    return _with_member(view, b"operation", to_json(_operation_view(operation)))


def webhook_body(event: PaymentEvent, view: bytes, refund: RefundView | None = None) -> bytes:
    """Make the bytes of one webhook. ``view``: the payment's, as ``payment_json`` writes it."""
    data = b'{"payment":%b}' % view
    if refund is not None:
        data = _with_member(data, b"refund", to_json(refund))
    return b'{"type":"%b","timestamp":"%b","data":%b}' % (event.type.encode(), rfc3339(event.at).encode(), data)


def webhook_test_body(kind: str, at: datetime) -> bytes:
    """Make the bytes of a test webhook, which reports no change."""
    return to_json(WebhookBody(type=kind, timestamp=rfc3339(at), data=WebhookData()))


def to_json(view: msgspec.Struct) -> bytes:
    """Write a view."""
    return msgspec.json.encode(view)


def _payment_members(payment: PaymentSummary, open_operation: OperationSummary | None) -> dict[str, Any]:
    # ``x and f(x)``: nearly every member may be absent, nearly every total is zero, and every payment pays for a call.
    money, zero = payment.money, _zero(payment.money.digits)
    is_payable = payment.state not in NOT_PAYABLE
    return {
        "id": payment.id,
        "tenant": payment.tenant,
        "account": payment.account,
        "provider": payment.provider,
        "merchant_reference": payment.merchant_reference,
        "provider_reference": payment.provider_reference,
        "state": str(payment.state),
        "amount": money.text(),
        "currency": money.currency,
        "amount_captured": as_text(payment.captured, money) if payment.captured else zero,
        "amount_refunded": as_text(payment.refunded, money) if payment.refunded else zero,
        "amount_disputed": as_text(payment.disputed, money) if payment.disputed else zero,
        "redirect_url": payment.redirect_url if is_payable else None,
        "instructions": payment.instructions if is_payable else {},
        "customer_notified": payment.customer_notified,
        "pending_operation": open_operation and _pending_operation(open_operation),
        "review": payment.review and _review(payment.review),
        "failure": payment.failure and _failure(payment.failure),
        "alerts": payment.alerts,
        "replaces": payment.replaces,
        "replaced_by": payment.replaced_by,
        "capture_by": payment.capture_by and rfc3339(payment.capture_by),
        "expires_at": payment.expires_at and rfc3339(payment.expires_at),
        "authorized_at": payment.authorized_at and rfc3339(payment.authorized_at),
        "captured_at": payment.captured_at and rfc3339(payment.captured_at),
        "canceled_at": payment.canceled_at and rfc3339(payment.canceled_at),
        "metadata": payment.metadata,
        "version": payment.version,
        "created_at": rfc3339(payment.created_at),
        "updated_at": rfc3339(payment.updated_at),
    }


def _with_member(written: bytes, name: bytes, value: bytes) -> bytes:
    """A written object that has members, with one more at its end."""
    return b'%b,"%b":%b}' % (written[:-1], name, value)


def _operation_view(operation: Operation) -> OperationView:
    return OperationView(
        id=operation.id,
        kind=operation.kind,
        status=operation.status,
        note=_note(operation),
        failure=None if operation.failure is None else _failure(operation.failure),
    )


def _refund_members(payment: PaymentSummary, refund: Operation) -> dict[str, Any]:
    return {
        "id": refund_id(refund.id),
        "payment_id": payment.id,
        "amount": as_text(refund.amount, payment.money),
        "currency": payment.money.currency,
        "status": str(refund.status),
        "reason": refund.reason,
        "note": _note(refund),
        "failure": refund.failure and _failure(refund.failure),
        "created_at": rfc3339(refund.created_at),
    }


@functools.cache
def _zero(digits: int) -> str:
    return f"{Decimal(0):.{digits}f}"


def _pending_operation(operation: OperationSummary) -> PendingView | None:
    if not operation.is_open:
        return None
    return PendingView(id=operation.id, kind=operation.kind, status=operation.status, note=_note(operation))


def _note(operation: OperationSummary) -> str | UnsetType:
    """Why an outcome is unknown, where that can be said; once it is known, the note is for operators only."""
    return operation.note if operation.is_open and operation.note is not None else UNSET


def _review(review: Review) -> ReviewView:
    return ReviewView(reason=review.reason, since=rfc3339(review.since), detail=review.detail)


def _failure(failure: Failure) -> FailureView:
    return FailureView(code=failure.code, message=failure.message, provider_code=failure.provider_code)
