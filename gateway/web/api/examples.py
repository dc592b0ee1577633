"""What the OpenAPI document shows: one order of the shipped settings, from its creation to its refund.

``CREATES`` can be sent as they stand to a gateway with the shipped settings. The answers are values of the types that
are answered with, so an example cannot lack a member.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import asdict, replace

from gateway.core.commands import Kind
from gateway.core.facts import Cause
from gateway.core.payment import WEBHOOK_TEST, Alert, AlertCode, EventType, FailureCode, State, Status
from gateway.core.problem_guides import OPERATION
from gateway.core.problem_guides import PAYMENT as PAYMENT_ID
from gateway.core.view_types import (
    AttemptView,
    DeliveryView,
    EndpointView,
    EventView,
    FailureView,
    OperationView,
    PaymentView,
    PaymentWithOperation,
    PendingView,
    RefundView,
    RefundWithPayment,
)

REFERENCE = "SO-7001"
"""The order's reference. Every text that must be new for a new payment holds it: ``/docs`` puts a fresh one there."""

CALLBACK_ID = "cb_01a2dd2a5f0c7e3b9d1f4a6b8c0e2d54"
DELIVERY_ID, EVENT_ID = "dlv_01a2dd2a5f0c7e3b9d1f4a6b8c0e2d53", "evt_01a2dd2a5f0c7e3b9d1f4a6b8c0e2d52"

CREATE: Mapping[str, Any] = {
    "merchant_reference": REFERENCE,
    "amount": "1067.33",
    "currency": "USD",
    "account": "creditkey-main",
    "customer": {"id": "C-88", "name": "Dana Reyes", "email": "dana@reyes.example", "phone": "+1 253 555 0142"},
    "order": {
        "items": [{"merchant_id": "PJ-1", "name": "Pallet jack", "price": "471.25", "quantity": 2}],
        "charges": {
            "total": "942.50",
            "shipping": "60.00",
            "tax": "84.83",
            "discount_amount": "20.00",
            "grand_total": "1067.33",
        },
        "billing_address": {
            "first_name": "Dana",
            "last_name": "Reyes",
            "company_name": "Reyes Supply",
            "email": "dana@reyes.example",
            "address1": "12 Dock Rd",
            "city": "Tacoma",
            "state": "WA",
            "zip": "98421",
            "phone_number": "253-555-0142",
        },
    },
    "checkout": {"mode": "link", "contact_method": "email"},
    "return_url": "https://erp.acme.example/paid",
    "cancel_url": "https://erp.acme.example/gave-up",
    "metadata": {"warehouse": "7"},
}
CREATE_BY_METHOD: Mapping[str, Any] = {
    "merchant_reference": REFERENCE,
    "amount": "162.48",
    "currency": "USD",
    "deposit_method": "bank",
    "customer": {"id": "C-88", "name": "Dana Reyes", "email": "dana@reyes.example", "nationality": "us"},
    "fields": {"custom_1": "VIP"},
    "return_url": "https://erp.acme.example/paid",
}
CREATES = {
    "An order": CREATE,
    "A deposit method (under an Idempotency-Key of its own)": CREATE_BY_METHOD,
}
UPDATE = {"amount": "1100.00", "order": {"charges": {"total": "1100.00", "grand_total": "1100.00"}}}
CAPTURE = {"merchant_status": "shipped"}
REFUND = {"amount": "25.00", "reason": "one carton was damaged"}
REDELIVER = {"created_after": "2026-01-02T00:00:00Z", "status": "dead"}
ENABLE = {"redeliver": True}

PAYMENT = PaymentView(
    id=PAYMENT_ID,
    tenant="acme",
    account="creditkey-main",
    provider="creditkey",
    merchant_reference=REFERENCE,
    provider_reference="CK-TST1001",
    state=State.AWAITING_CUSTOMER,
    amount="1067.33",
    currency="USD",
    amount_captured="0.00",
    amount_refunded="0.00",
    amount_disputed="0.00",
    redirect_url="https://checkout.creditkey.example/CK-TST1001",
    instructions={},
    customer_notified=True,
    pending_operation=None,
    review=None,
    failure=None,
    alerts=(),
    replaces=None,
    replaced_by=None,
    capture_by=None,
    expires_at="2026-02-01T03:04:05.678Z",
    authorized_at=None,
    captured_at=None,
    canceled_at=None,
    metadata={"warehouse": "7"},
    version=2,
    created_at="2026-01-02T03:04:05.678Z",
    updated_at="2026-01-02T03:04:06.012Z",
)
_NOTIFIED = Alert(
    code=AlertCode.CUSTOMER_WILL_BE_NOTIFIED,
    message="You have selected Credit Key as the payment method. A new notification will be sent to the customer to"
    " complete this order.",
)
_LATER = "2026-01-03T08:00:00.000Z"
_UNKNOWN_YET = {"provider_reference": None, "redirect_url": None, "customer_notified": False}
_ENDED = {"expires_at": None, "updated_at": _LATER}
_DEAD = {**_ENDED, "redirect_url": None}
_AUTHORIZED = replace(
    PAYMENT,
    state=State.AUTHORIZED,
    capture_by="2026-02-02T08:00:00.000Z",
    authorized_at=_LATER,
    version=3,
    **_ENDED,
)
_CAPTURED = replace(
    _AUTHORIZED,
    state=State.CAPTURED,
    amount_captured="1067.33",
    capture_by=None,
    captured_at="2026-01-05T09:00:00.000Z",
    updated_at="2026-01-05T09:00:00.000Z",
    version=4,
)
_DECLINED = FailureView(code=FailureCode.DECLINED, message="the provider declined it", provider_code="declined")

AT: Mapping[State, PaymentView] = {
    State.CREATED: replace(PAYMENT, state=State.CREATED, version=1, updated_at=PAYMENT.created_at, **_UNKNOWN_YET),
    State.AWAITING_CUSTOMER: PAYMENT,
    State.PROCESSING: replace(PAYMENT, state=State.PROCESSING, version=3, updated_at=_LATER),
    State.AUTHORIZED: _AUTHORIZED,
    State.CAPTURED: _CAPTURED,
    State.PARTIALLY_REFUNDED: replace(_CAPTURED, state=State.PARTIALLY_REFUNDED, amount_refunded="25.00", version=5),
    State.REFUNDED: replace(_CAPTURED, state=State.REFUNDED, amount_refunded="1067.33", version=5),
    State.CANCELED: replace(PAYMENT, state=State.CANCELED, canceled_at=_LATER, version=3, **_DEAD),
    State.FAILED: replace(PAYMENT, state=State.FAILED, failure=_DECLINED, version=3, **_DEAD),
    State.EXPIRED: replace(PAYMENT, state=State.EXPIRED, version=3, updated_at=PAYMENT.expires_at),
}
"""The payment in every state."""

UPDATED_PAYMENT = replace(PAYMENT, amount="1100.00", version=3)


_NOTE = "http_502 (HTTP 502, text/html, 1204 bytes, an HTML page)"


def _ended(payment: PaymentView, kind: Kind) -> PaymentWithOperation:
    """The answer of a request whose operation succeeded."""
    operation = OperationView(id=OPERATION, kind=kind, status=Status.SUCCEEDED, failure=None)
    return PaymentWithOperation(**asdict(payment), operation=operation)


def _open(payment: PaymentView, kind: Kind) -> PaymentWithOperation:
    """The answer of a request whose operation has no outcome yet."""
    operation = OperationView(id=OPERATION, kind=kind, status=Status.UNKNOWN, note=_NOTE, failure=None)
    return PaymentWithOperation(**asdict(_pending(payment, kind)), operation=operation)


def _pending(payment: PaymentView, kind: Kind) -> PaymentView:
    return replace(payment, pending_operation=PendingView(id=OPERATION, kind=kind, status=Status.UNKNOWN, note=_NOTE))


CREATED = {
    201: _ended(replace(PAYMENT, alerts=(_NOTIFIED,)), Kind.CREATE),
    202: _open(AT[State.CREATED], Kind.CREATE),
}
UPDATED = {200: _ended(UPDATED_PAYMENT, Kind.UPDATE), 202: _open(PAYMENT, Kind.UPDATE)}
CAPTURED = {200: _ended(_CAPTURED, Kind.CAPTURE), 202: _open(_AUTHORIZED, Kind.CAPTURE)}
CANCELED = {200: _ended(AT[State.CANCELED], Kind.CANCEL), 202: _open(PAYMENT, Kind.CANCEL)}

REFUND_VIEW = RefundView(
    id="ref_" + OPERATION.removeprefix("op_"),
    payment_id=PAYMENT_ID,
    amount="25.00",
    currency="USD",
    status=Status.SUCCEEDED,
    reason="one carton was damaged",
    failure=None,
    created_at="2026-01-05T10:00:00.000Z",
)
REFUND_WITH_PAYMENT = RefundWithPayment(**asdict(REFUND_VIEW), payment=AT[State.PARTIALLY_REFUNDED])
REFUNDED = {
    201: REFUND_WITH_PAYMENT,
    202: replace(REFUND_WITH_PAYMENT, status=Status.UNKNOWN, note=_NOTE, payment=_pending(_CAPTURED, Kind.REFUND)),
}

EVENT = EventView(
    id=EVENT_ID,
    type=EventType.AWAITING_CUSTOMER,
    version=2,
    cause=Cause.REPLY,
    state_before=State.CREATED,
    state_after=State.AWAITING_CUSTOMER,
    at=PAYMENT.updated_at,
    details={"operation_id": OPERATION},
)

ENDPOINT = EndpointView(
    url="https://erp.acme.example/hooks", enabled=True, failing_since=None, disabled_at=None, reason=None
)
DELIVERED = DeliveryView(
    id=DELIVERY_ID,
    type=EventType.AWAITING_CUSTOMER,
    payment_id=PAYMENT_ID,
    status="delivered",
    next_attempt_at=None,
    attempts=[AttemptView(at="2026-01-02T03:04:06.020Z", status_code=204, error=None)],
)
SENT_AGAIN = replace(DELIVERED, status="pending", next_attempt_at=_LATER)
TEST = replace(SENT_AGAIN, type=WEBHOOK_TEST, payment_id=None, attempts=[])
