"""The webhooks: one operation and one schema for each type, so that a receiver can switch on ``type``."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.core.payment import WEBHOOK_TEST, EventType, ReviewReason, State
from gateway.core.view_types import PaymentView, RefundView, ReviewView
from gateway.web.api.examples import AT, EVENT_ID, PAYMENT, REFUND_VIEW, UPDATED_PAYMENT
from gateway.web.openapi.schemas import ref

TYPES = (PaymentView, RefundView)
"""What a webhook holds."""

TEXTS: dict[str, tuple[str, str]] = {
    EventType.CREATED: ("A payment was created", "It is stored, but not sent to its provider yet."),
    EventType.AWAITING_CUSTOMER: ("A payment waits for its customer", "The customer can pay now at `redirect_url`."),
    EventType.PROCESSING: ("A payment is being processed", "The customer has paid; the provider has not finished yet."),
    EventType.AUTHORIZED: ("A payment was authorized", "The money can be captured, until `capture_by`."),
    EventType.CAPTURED: ("A payment was captured", "Money was taken: `amount_captured`."),
    EventType.PARTIALLY_REFUNDED: ("A payment was refunded in part", "Sent for every further partial refund too."),
    EventType.REFUNDED: ("A payment was refunded", "All that was captured was returned."),
    EventType.CANCELED: ("A payment was canceled", "It was canceled before its capture; no money was taken."),
    EventType.FAILED: ("A payment failed", "`failure` says why; no money was taken."),
    EventType.EXPIRED: (
        "A payment expired",
        "Nothing happened until `expires_at`. A late payment is still accepted for a while.",
    ),
    EventType.UPDATED: ("A payment was changed", "A change without a type of its own, such as a new amount."),
    EventType.CAPTURE_DEADLINE_NEAR: (
        "A capture is due",
        "The payment must be captured before `capture_by`. Sent twice.",
    ),
    EventType.DISPUTED: (
        "A payment was disputed",
        "The customer takes money back through the bank: `amount_disputed`. The state stays.",
    ),
    EventType.REVIEW: ("A payment must be reviewed", "A person must review it; `review` says why."),
    EventType.DECLINED: ("A command was declined", "The provider declined what the tenant asked for."),
    WEBHOOK_TEST: ("A test", "Sent by `POST /v1/webhooks/test`; it is not about a payment."),
}
"""Summary and description of every type."""

HEADERS = {
    "webhook-id": ("Identifies the webhook: the same for every attempt. Use it to ignore repetitions.", EVENT_ID),
    "webhook-timestamp": ("When this attempt was made, in Unix seconds; part of what is signed.", "1767323046"),
    "webhook-signature": (
        "One signature for each active secret, `v1,` and base64, separated by blanks. Verify it over the raw body, as"
        " Standard Webhooks says.",
        "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    ),
}
"""What a receiver verifies a webhook with."""

_REVIEWED = ReviewView(
    reason=ReviewReason.AMOUNT,
    since="2026-01-03T08:00:00.000Z",
    detail="the provider shows 967.33 USD; this payment is of 1067.33 USD",
)
_PAYMENTS: dict[str, PaymentView] = {
    **{f"payment.{state}": payment for state, payment in AT.items()},
    EventType.UPDATED: UPDATED_PAYMENT,
    EventType.CAPTURE_DEADLINE_NEAR: AT[State.AUTHORIZED],
    EventType.DISPUTED: replace(AT[State.CAPTURED], amount_disputed="1067.33", version=5),
    EventType.REVIEW: replace(AT[State.PROCESSING], review=_REVIEWED),
    EventType.DECLINED: AT[State.AUTHORIZED],
}
"""The payment that the example of a type shows."""

_DATA = {
    "description": "A payment after one change.",
    "type": "object",
    "properties": {
        "payment": {"description": "The payment after this change.", **ref(PaymentView)},
        "refund": {"description": "The refund, if the change is its outcome.", **ref(RefundView)},
    },
    "required": ["payment"],
}
_SOME_DATA = {"description": "What changed.", "$ref": "#/components/schemas/WebhookData"}
_NO_DATA = {"description": "Empty.", "type": "object"}


def webhooks() -> dict[str, Any]:
    """An operation of the tenant's own endpoint for every type."""
    return {kind: {"post": _operation(kind, *texts)} for kind, texts in TEXTS.items()}


def schemas() -> dict[str, Any]:
    """The bodies' schemas by name, with ``type`` a constant."""
    bodies = {_name_of(kind): _schema(kind, texts[0]) for kind, texts in TEXTS.items()}
    return {"WebhookData": _DATA, **bodies}


def _operation(kind: str, summary: str, description: str) -> dict[str, Any]:
    content = {"schema": {"$ref": f"#/components/schemas/{_name_of(kind)}"}, "example": _example(kind)}
    return {
        "operationId": f"on{_name_of(kind).removesuffix('Webhook')}",
        "tags": ["Webhooks"],
        "summary": summary,
        "description": description,
        "security": [],
        "parameters": [_header(name, *about) for name, about in HEADERS.items()],
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {
            "2XX": {"description": "Received. The body is not read."},
            "410": {"description": "This endpoint is gone: the gateway disables it."},
            "default": {"description": "Any other answer is a failed attempt, which is repeated."},
        },
    }


def _header(name: str, text: str, example: str) -> dict[str, Any]:
    schema = {"type": "string"}
    return {"name": name, "in": "header", "required": True, "description": text, "schema": schema, "example": example}


def _schema(kind: str, summary: str) -> dict[str, Any]:
    members = {
        "type": {"type": "string", "const": kind, "description": "What happened."},
        "timestamp": {"type": "string", "format": "date-time", "description": "When it happened."},
        "data": _NO_DATA if kind == WEBHOOK_TEST else _SOME_DATA,
    }
    return {"description": f"{summary}.", "type": "object", "properties": members, "required": list(members)}


def _example(kind: str) -> dict[str, Any]:
    if kind == WEBHOOK_TEST:
        return {"type": kind, "timestamp": PAYMENT.updated_at, "data": {}}
    payment = _PAYMENTS[kind]
    data = {"payment": msgspec.to_builtins(payment)}
    if payment.amount_refunded != "0.00":
        data["refund"] = msgspec.to_builtins(REFUND_VIEW)
    return {"type": kind, "timestamp": payment.updated_at, "data": data}


def _name_of(kind: str) -> str:
    """``payment.partially_refunded`` is ``PaymentPartiallyRefundedWebhook``."""
    words = kind.removeprefix("webhook.").replace("_", ".").split(".")
    return "".join(word.capitalize() for word in words) + "Webhook"
