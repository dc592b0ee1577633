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
    provider_code: Annotated[str | None, Meta(description="The provider's own code, where it gave one.")]


class ReviewView(msgspec.Struct, frozen=True, kw_only=True):
    """A person must look at the payment; until then no command is taken for it."""

    reason: Annotated[ReviewReason, Meta(description="What the person must look at.")]
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
    status: Annotated[Status, Meta(description="How it ended; `sending` or `unknown` while the outcome is open.")]
    note: Annotated[str, Meta(description="Why its outcome is unknown; absent otherwise.")] | UnsetType = UNSET
    failure: Annotated[FailureView | None, Meta(description="Why it failed; null when it did not.")]


class PaymentView(msgspec.Struct, frozen=True, kw_only=True):
    """A payment. Customer, order and fields are kept for later commands and not returned."""

    id: Annotated[str, Meta(description="The payment, `pay_…`; ids sort by time.")]
    tenant: Annotated[str, Meta(description="The tenant it belongs to.")]
    account: Annotated[str, Meta(description="The tenant's account at the provider.")]
    provider: Annotated[str, Meta(description="The provider that takes the money.")]
    merchant_reference: Annotated[str, Meta(description="The tenant's own name of the payment, as given.")]
    provider_reference: Annotated[str | None, Meta(description="The provider's name of it; null until it is known.")]
    state: Annotated[State, Meta(description="Where the payment stands.")]
    amount: Annotated[AmountText, Meta(description="What was agreed, in major units with all digits of the currency.")]
    currency: Annotated[str, Meta(description="ISO 4217, or a currency of the gateway's settings.")]
    amount_captured: Annotated[AmountText, Meta(description="The total taken so far.")]
    amount_refunded: Annotated[AmountText, Meta(description="The total returned so far.")]
    redirect_url: Annotated[
        Link | None, Meta(description="Where the customer pays; null until it is known, and once nothing can be paid.")
    ]
    customer_notified: Annotated[bool, Meta(description="Whether the provider writes to the customer itself.")]
    pending_operation: Annotated[PendingView | None, Meta(description="The operation whose outcome is still open.")]
    review: Annotated[ReviewView | None, Meta(description="Set while a person must look at the payment.")]
    failure: Annotated[FailureView | None, Meta(description="Why the payment failed; null when it did not.")]
    alerts: Annotated[tuple[Alert, ...], Meta(description="Sentences to show to the tenant's own staff.")]
    replaces: Annotated[str | None, Meta(description="The payment that this one was begun for, at a higher total.")]
    replaced_by: Annotated[str | None, Meta(description="The payment that takes the place of this one.")]
    capture_by: Annotated[Time | None, Meta(description="From when on the provider may give an authorized payment up.")]
    expires_at: Annotated[Time | None, Meta(description="When the payment expires, if nothing happens.")]
    authorized_at: Annotated[Time | None, Meta(description="When it was authorized, by the gateway's clock.")]
    captured_at: Annotated[Time | None, Meta(description="When the money was taken, by the gateway's clock.")]
    canceled_at: Annotated[Time | None, Meta(description="When it was canceled, by the gateway's clock.")]
    metadata: Annotated[Mapping[str, str], Meta(description="The tenant's own pairs, as given.")]
    version: Annotated[int, Meta(description="Grows by one with every change; each version is one webhook.")]
    created_at: Annotated[Time, Meta(description="When the payment was created.")]
    updated_at: Annotated[Time, Meta(description="When its newest version was made.")]


class PaymentWithOperation(PaymentView, frozen=True, kw_only=True):
    """A payment, and the operation that this request made. The answer of create, capture, cancel and update."""

    operation: Annotated[OperationView, Meta(description="What this request asked for, and how it ended.")]


class RefundView(msgspec.Struct, frozen=True, kw_only=True):
    """A refund: the operation that returns money."""

    id: Annotated[str, Meta(description="The refund, `ref_…`, with the digits of its operation.")]
    payment_id: Annotated[str, Meta(description="The payment whose money is returned.")]
    amount: Annotated[AmountText, Meta(description="How much is returned.")]
    currency: Annotated[str, Meta(description="The payment's currency.")]
    status: Annotated[Status, Meta(description="How it ended; one that is declined or not sent frees its amount.")]
    reason: Annotated[str | None, Meta(description="The tenant's reason, as given.")]
    note: Annotated[str, Meta(description="Why its outcome is unknown; absent otherwise.")] | UnsetType = UNSET
    failure: Annotated[FailureView | None, Meta(description="Why it failed; null when it did not.")]
    created_at: Annotated[Time, Meta(description="When it was asked for.")]


class RefundWithPayment(RefundView, frozen=True, kw_only=True):
    """A refund together with its payment as it is now."""

    payment: Annotated[PaymentView, Meta(description="The payment as it is now.")]


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a payment's timeline: one version of it."""

    id: Annotated[str, Meta(description="The event, `evt_…`; also the `webhook-id`.")]
    type: Annotated[EventType, Meta(description="What happened.")]
    version: Annotated[int, Meta(description="The payment's version that it made.")]
    cause: Annotated[Cause, Meta(description="Who reported it.")]
    state_before: Annotated[State | None, Meta(description="The state before; null for the first event.")]
    state_after: Annotated[State, Meta(description="The state after.")]
    at: Annotated[Time, Meta(description="When the gateway recorded it.")]
    details: Annotated[Mapping[str, str], Meta(description="What else is known, as pairs of text.")]


class WebhookData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``data`` of a webhook; ``refund`` where the change is a refund's outcome, nothing in a test."""

    payment: Annotated[PaymentView, Meta(description="The payment as this change left it.")] | None = None
    refund: Annotated[RefundView, Meta(description="The refund, where the change is its outcome.")] | None = None


class WebhookBody(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook's body: made once, stored, sent as these bytes on every try."""

    type: Annotated[str, Meta(description="What happened.")]
    timestamp: Annotated[Time, Meta(description="When it happened.")]
    data: Annotated[WebhookData, Meta(description="What changed.")]


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """One try of a webhook."""

    at: Annotated[Time, Meta(description="When the try began.")]
    status_code: Annotated[int | None, Meta(description="The status of the endpoint's answer; null for none.")]
    error: Annotated[
        Literal["connect_failed", "timeout", "connection_lost", "bad_http"] | None,
        Meta(description="Why there was no answer; null when there was one."),
    ]


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook on its way."""

    id: Annotated[str, Meta(description="The delivery, `dlv_…`.")]
    type: Annotated[WebhookType, Meta(description="The webhook's type.")]
    payment_id: Annotated[str | None, Meta(description="The payment it is about; null for a test.")]
    status: Annotated[DeliveryStatus, Meta(description="`pending`, `delivered`, or `dead` after the last try.")]
    next_attempt_at: Annotated[Time | None, Meta(description="When it is tried next; null when it is not.")]
    attempts: Annotated[list[AttemptView], Meta(description="The newest tries, oldest first.")]


class EndpointView(msgspec.Struct, frozen=True, kw_only=True):
    """Where the tenant's webhooks go, and whether they arrive."""

    url: Annotated[Link, Meta(description="The address in the settings.")]
    enabled: Annotated[bool, Meta(description="False while nothing is sent there.")]
    failing_since: Annotated[Time | None, Meta(description="Since when no try succeeded; null while they do.")]
    disabled_at: Annotated[Time | None, Meta(description="When it was disabled; null while it is enabled.")]
    reason: Annotated[
        Literal["gone", "failing"] | None,
        Meta(description="Why it is disabled: it answered 410, or it only failed for five days."),
    ]
