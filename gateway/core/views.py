"""The public form of payments, operations and events, made for answers and webhooks alike."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from gateway.core.commands import Kind
from gateway.core.ids import refund_id
from gateway.core.money import Money
from gateway.core.payment import (
    EventType,
    Failure,
    Operation,
    OperationSummary,
    Payment,
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
    PaymentWithOperation,
    PendingView,
    RefundView,
    RefundWithPayment,
    ReviewView,
    WebhookBody,
    WebhookData,
)


@functools.lru_cache(256)  # one moment stands in several places of a payment's views
def rfc3339(at: datetime) -> str:
    """UTC with milliseconds and ``Z``."""
    utc = at if at.tzinfo is UTC else at.astimezone(UTC)  # converting costs more than writing
    return utc.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def payment_view(payment: PaymentSummary, open_operation: OperationSummary | None) -> PaymentView:
    """Show a payment; ``open_operation`` is the one without an outcome, if it has one."""
    return PaymentView(**_payment_members(payment, open_operation))


def payment_with_operation(
    payment: Payment, open_operation: Operation | None, operation: Operation
) -> PaymentWithOperation:
    """Show a payment together with the operation a request made."""
    shown = OperationView(
        id=operation.id,
        kind=operation.kind,
        status=operation.status,
        note=_note(operation),
        failure=_failure(operation.failure),
    )
    return PaymentWithOperation(**_payment_members(payment, open_operation), operation=shown)


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


def operation_answer(payment: Payment, open_operation: Operation | None, operation: Operation) -> bytes:
    """The body a tenant's changing request is answered with."""
    if operation.kind is Kind.REFUND:
        return to_json(refund_with_payment(payment, open_operation, operation))
    return to_json(payment_with_operation(payment, open_operation, operation))


def webhook_body(
    event: PaymentEvent, payment: Payment, open_operation: Operation | None, refund: RefundView | None = None
) -> bytes:
    """Make the bytes of one webhook."""
    data = WebhookData(payment=payment_view(payment, open_operation), refund=refund)
    return to_json(WebhookBody(type=event.type, timestamp=rfc3339(event.at), data=data))


def webhook_test_body(kind: str, at: datetime) -> bytes:
    """Make the bytes of a test webhook, which reports no change."""
    return to_json(WebhookBody(type=kind, timestamp=rfc3339(at), data=WebhookData()))


def to_json(view: msgspec.Struct) -> bytes:
    """Write a view."""
    return msgspec.json.encode(view)


def _payment_members(payment: PaymentSummary, open_operation: OperationSummary | None) -> dict[str, Any]:
    money = payment.money
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
        "amount_captured": _text(money, payment.captured),
        "amount_refunded": _text(money, payment.refunded),
        "redirect_url": None if payment.state in NOT_PAYABLE else payment.redirect_url,
        "customer_notified": payment.customer_notified,
        "pending_operation": _pending_operation(open_operation),
        "review": _review(payment.review),
        "failure": _failure(payment.failure),
        "alerts": payment.alerts,
        "replaces": payment.replaces,
        "replaced_by": payment.replaced_by,
        "capture_by": _time(payment.capture_by),
        "expires_at": _time(payment.expires_at),
        "authorized_at": _time(payment.authorized_at),
        "captured_at": _time(payment.captured_at),
        "canceled_at": _time(payment.canceled_at),
        "metadata": payment.metadata,
        "version": payment.version,
        "created_at": rfc3339(payment.created_at),
        "updated_at": rfc3339(payment.updated_at),
    }


def _refund_members(payment: PaymentSummary, refund: Operation) -> dict[str, Any]:
    return {
        "id": refund_id(refund.id),
        "payment_id": payment.id,
        "amount": _text(payment.money, refund.amount),
        "currency": payment.money.currency,
        "status": str(refund.status),
        "reason": refund.reason,
        "note": _note(refund),
        "failure": _failure(refund.failure),
        "created_at": rfc3339(refund.created_at),
    }


def _text(money: Money, amount: object) -> str:
    return f"{amount:.{money.digits}f}"


def _time(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(at)


def _pending_operation(operation: OperationSummary | None) -> PendingView | None:
    if operation is None or not operation.is_open:
        return None
    return PendingView(id=operation.id, kind=operation.kind, status=operation.status, note=_note(operation))


def _note(operation: OperationSummary) -> str | UnsetType:
    """Why an outcome is unknown, where that can be said; once it is known, the note is for operators only."""
    return operation.note if operation.is_open and operation.note is not None else UNSET


def _review(review: Review | None) -> ReviewView | None:
    if review is None:
        return None
    return ReviewView(reason=review.reason, since=rfc3339(review.since), detail=review.detail)


def _failure(failure: Failure | None) -> FailureView | None:
    if failure is None:
        return None
    return FailureView(code=failure.code, message=failure.message, provider_code=failure.provider_code)
