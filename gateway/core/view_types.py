"""What tenants read, as types: payments, operations, refunds, events and webhooks. ``views.py`` makes them.

Times are RFC 3339 UTC with milliseconds, amounts decimal text with the currency's digits. The descriptions go into the
OpenAPI document (``web/openapi``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.core.commands import Kind
from gateway.core.facts import Cause
from gateway.core.payment import WEBHOOK_TYPES, Alert, EventType, FailureCode, ReviewReason, State, Status

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time", "examples": ["2026-01-02T03:04:05.678Z"]})]
Link = Annotated[str, Meta(extra_json_schema={"format": "uri"})]
AmountText = Annotated[str, Meta(extra_json_schema={"pattern": r"^-?[0-9]+(\.[0-9]+)?$", "examples": ["1067.33"]})]
WebhookType = Annotated[str, Meta(extra_json_schema={"enum": WEBHOOK_TYPES})]
DeliveryStatus = Literal["pending", "delivered", "dead"]


class FailureView(msgspec.Struct, frozen=True, kw_only=True):
    """Why a payment or an operation failed."""

    code: Annotated[FailureCode, Meta(description="What happened.")]
    message: Annotated[str, Meta(description="A sentence for people.")]
    provider_code: Annotated[str | None, Meta(description="The provider's own code, if it gave one.")]


class ReviewView(msgspec.Struct, frozen=True, kw_only=True):
    """A person must review the payment; until then no command is accepted for it."""

    reason: Annotated[ReviewReason, Meta(description="Why the payment must be reviewed.")]
    since: Annotated[Time, Meta(description="When the review began.")]
    detail: Annotated[
        str | None, Meta(description="What was seen, and what was expected; null for a review of an older gateway.")
    ]


class PendingView(msgspec.Struct, frozen=True, kw_only=True):
    """The operation whose outcome is open: its status is `sending` or `unknown`."""

    id: Annotated[str, Meta(description="The operation, `op_…`.")]
    kind: Annotated[Kind, Meta(description="What it does.")]
    status: Annotated[Status, Meta(description="`sending` or `unknown`.")]
    note: Annotated[str, Meta(description="Why its outcome is unknown; absent otherwise.")] | UnsetType = UNSET


class OperationView(msgspec.Struct, frozen=True, kw_only=True):
    """The operation that this request made: one changing call to the provider."""

    id: Annotated[str, Meta(description="The operation, `op_…`.")]
    kind: Annotated[Kind, Meta(description="What it does.")]
    status: Annotated[Status, Meta(description="Its outcome; `sending` or `unknown` while that is open.")]
    note: Annotated[str, Meta(description="Why its outcome is unknown; absent otherwise.")] | UnsetType = UNSET
    failure: Annotated[FailureView | None, Meta(description="Why it failed; null if it did not.")]


class PaymentView(msgspec.Struct, frozen=True, kw_only=True):
    """A payment. Customer, order and fields are kept for later commands and not returned."""

    id: Annotated[str, Meta(description="The payment, `pay_…`; ids sort by time.")]
    tenant: Annotated[str, Meta(description="The tenant it belongs to.")]
    account: Annotated[str, Meta(description="The tenant's account at the provider.")]
    provider: Annotated[str, Meta(description="The provider that collects the money.")]
    merchant_reference: Annotated[str, Meta(description="The tenant's own reference of the payment, as given.")]
    provider_reference: Annotated[str | None, Meta(description="The provider's reference; null until it is known.")]
    state: Annotated[State, Meta(description="The state of the payment.")]
    amount: Annotated[
        AmountText, Meta(description="The agreed amount, in major units with all digits of the currency.")
    ]
    currency: Annotated[str, Meta(description="ISO 4217, or a currency of the gateway's settings.")]
    amount_captured: Annotated[AmountText, Meta(description="The total captured so far.")]
    amount_refunded: Annotated[AmountText, Meta(description="The total refunded so far.")]
    amount_disputed: Annotated[
        AmountText, Meta(description="The total that customers have disputed so far, such as by a chargeback.")
    ]
    redirect_url: Annotated[
        Link | None,
        Meta(description="Where the customer pays; null until it is known, and when nothing can be paid any more."),
    ]
    instructions: Annotated[
        Mapping[str, str],
        Meta(
            description="What the customer needs to pay without a page, as pairs of text, such as bank details or the"
            " payload of a QR code; empty for none, and when nothing can be paid any more."
        ),
    ]
    customer_notified: Annotated[bool, Meta(description="Whether the provider contacts the customer itself.")]
    pending_operation: Annotated[PendingView | None, Meta(description="The operation whose outcome is still open.")]
    review: Annotated[ReviewView | None, Meta(description="Set while a person must review the payment.")]
    failure: Annotated[FailureView | None, Meta(description="Why the payment failed; null if it did not.")]
    alerts: Annotated[tuple[Alert, ...], Meta(description="Messages to show to the tenant's staff.")]
    replaces: Annotated[str | None, Meta(description="The payment that this one replaces, with a higher total.")]
    replaced_by: Annotated[str | None, Meta(description="The payment that replaces this one.")]
    capture_by: Annotated[
        Time | None, Meta(description="The time after which the provider may void an authorized payment.")
    ]
    expires_at: Annotated[Time | None, Meta(description="When the payment expires if nothing happens.")]
    authorized_at: Annotated[Time | None, Meta(description="When it was authorized, by the gateway's clock.")]
    captured_at: Annotated[Time | None, Meta(description="When it was captured, by the gateway's clock.")]
    canceled_at: Annotated[Time | None, Meta(description="When it was canceled, by the gateway's clock.")]
    metadata: Annotated[Mapping[str, str], Meta(description="The tenant's own key-value pairs, as given.")]
    version: Annotated[
        int, Meta(description="Increases by one with every change; there is one webhook for each version.")
    ]
    created_at: Annotated[Time, Meta(description="When the payment was created.")]
    updated_at: Annotated[Time, Meta(description="When its latest version was made.")]


class PaymentWithOperation(PaymentView, frozen=True, kw_only=True):
    """A payment, and the operation that this request made. The answer of create, capture, cancel and update."""

    operation: Annotated[OperationView, Meta(description="The operation of this request, and its outcome.")]


class RefundView(msgspec.Struct, frozen=True, kw_only=True):
    """A refund: the operation that returns money."""

    id: Annotated[str, Meta(description="The refund, `ref_…`, with the digits of its operation.")]
    payment_id: Annotated[str, Meta(description="The payment whose money is returned.")]
    amount: Annotated[AmountText, Meta(description="The amount that is returned.")]
    currency: Annotated[str, Meta(description="The payment's currency.")]
    status: Annotated[Status, Meta(description="Its outcome; the amount of a declined or unsent refund is free again.")]
    reason: Annotated[str | None, Meta(description="The tenant's reason, as given.")]
    note: Annotated[str, Meta(description="Why its outcome is unknown; absent otherwise.")] | UnsetType = UNSET
    failure: Annotated[FailureView | None, Meta(description="Why it failed; null if it did not.")]
    created_at: Annotated[Time, Meta(description="When it was requested.")]


class RefundWithPayment(RefundView, frozen=True, kw_only=True):
    """A refund together with its payment as it is now."""

    payment: Annotated[PaymentView, Meta(description="The payment as it is now.")]


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a payment's timeline, for one version of it."""

    id: Annotated[str, Meta(description="The event, `evt_…`; also the `webhook-id`.")]
    type: Annotated[EventType, Meta(description="What happened.")]
    version: Annotated[int, Meta(description="The version of the payment after it.")]
    cause: Annotated[Cause, Meta(description="What caused it.")]
    state_before: Annotated[State | None, Meta(description="The state before; null for the first event.")]
    state_after: Annotated[State, Meta(description="The state after.")]
    at: Annotated[Time, Meta(description="When the gateway recorded it.")]
    details: Annotated[Mapping[str, str], Meta(description="Further details, as pairs of text.")]


class WebhookData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``data`` of a webhook; ``refund`` where the change is a refund's outcome, nothing in a test."""

    payment: Annotated[PaymentView, Meta(description="The payment after this change.")] | None = None
    refund: Annotated[RefundView, Meta(description="The refund, if the change is its outcome.")] | None = None


class WebhookBody(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook's body: made once, stored, sent as these bytes on every attempt."""

    type: Annotated[str, Meta(description="What happened.")]
    timestamp: Annotated[Time, Meta(description="When it happened.")]
    data: Annotated[WebhookData, Meta(description="What changed.")]


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to deliver a webhook."""

    at: Annotated[Time, Meta(description="When the attempt began.")]
    status_code: Annotated[int | None, Meta(description="The status of the endpoint's answer; null for none.")]
    error: Annotated[
        Literal["connect_failed", "timeout", "connection_lost", "bad_http"] | None,
        Meta(description="Why there was no answer; null if there was one."),
    ]


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True):
    """The delivery of a webhook."""

    id: Annotated[str, Meta(description="The delivery, `dlv_…`.")]
    type: Annotated[WebhookType, Meta(description="The webhook's type.")]
    payment_id: Annotated[str | None, Meta(description="The payment it is about; null for a test.")]
    status: Annotated[DeliveryStatus, Meta(description="`pending`, `delivered`, or `dead` after the last attempt.")]
    next_attempt_at: Annotated[Time | None, Meta(description="When the next attempt is due; null if none is planned.")]
    attempts: Annotated[list[AttemptView], Meta(description="The latest attempts, oldest first.")]


class EndpointView(msgspec.Struct, frozen=True, kw_only=True):
    """The endpoint that receives the tenant's webhooks, and whether deliveries succeed."""

    url: Annotated[Link, Meta(description="The URL in the settings.")]
    enabled: Annotated[bool, Meta(description="Whether webhooks are sent to it.")]
    failing_since: Annotated[
        Time | None, Meta(description="The time since which every attempt has failed; null while attempts succeed.")
    ]
    disabled_at: Annotated[Time | None, Meta(description="When it was disabled; null while it is enabled.")]
    reason: Annotated[
        Literal["gone", "failing"] | None,
        Meta(description="Why it is disabled: it answered 410, or every attempt failed for five days."),
    ]
