"""A payment, its operations and its events, as they are stored. They change only in ``core/states.py``."""

import enum
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.core.commands import CaptureMode, Checkout, Customer, Kind, Order
from gateway.core.facts import Cause, Declined, Form, Stage, Succeeded
from gateway.core.money import Money


class State(enum.StrEnum):
    """Where a payment stands for its tenant."""

    CREATED = "created"
    AWAITING_CUSTOMER = "awaiting_customer"
    PROCESSING = "processing"
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    CANCELED = "canceled"
    FAILED = "failed"
    EXPIRED = "expired"


class Status(enum.StrEnum):
    """How an operation stands; ``sending`` and ``unknown`` have no outcome yet. There is no way back to ``sending``."""

    SENDING = "sending"
    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"
    WRITTEN_OFF = "written_off"


OPEN = frozenset({Status.SENDING, Status.UNKNOWN})
"""Operations without an outcome; a payment has at most one."""


class FailureCode(enum.StrEnum):
    """Why a payment or an operation failed."""

    DECLINED = "declined"
    NOT_SENT = "not_sent"
    NOT_CREATED = "not_created"
    NOT_DONE = "not_done"


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """``code`` is ours, ``provider_code`` the provider's own word where it said one."""

    code: FailureCode
    message: str
    provider_code: str | None = None


class ReviewReason(enum.StrEnum):
    """Why a payment is under review."""

    AMOUNT = "amount"
    CURRENCY = "currency"
    REFERENCE = "reference"
    CONTRADICTION = "contradiction"
    PAID_LATE = "paid_late"
    TWO_LIVE_ORDERS = "two_live_orders"
    REFUND_UNCLEAR = "refund_unclear"
    REFUND_REVERSED = "refund_reversed"


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """A flag, not a state: it stops tenants' commands, never facts.

    ``detail`` says what was seen and what was expected; a review that was stored before it existed has none.
    """

    reason: ReviewReason
    since: datetime
    detail: str | None = None


class AlertCode(enum.StrEnum):
    """What an alert is about."""

    CUSTOMER_WILL_BE_NOTIFIED = "customer_will_be_notified"
    INCREASE_OVER_LIMIT = "increase_over_limit"
    NEW_CHECKOUT_STARTED = "new_checkout_started"
    CUSTOMER_NOTIFIED_OF_CANCEL = "customer_notified_of_cancel"
    CAPTURE_DEADLINE_NEAR = "capture_deadline_near"


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence for the tenant's own admin user."""

    code: Annotated[AlertCode, Meta(description="What it is about.")]
    message: Annotated[str, Meta(description="The provider's sentence, to be shown as it stands.")]


class Before(msgspec.Struct, frozen=True, kw_only=True):
    """The facts before an operation: its outcome is evaluated against them."""

    amount: Decimal
    captured: Decimal
    refunded: Decimal
    stage: Stage | None = None


ACCEPTED = "provider_pending"
"""The note of an operation that the provider accepted without doing it yet."""


class Repeatable(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What it takes to send an operation's request again (``repeats.py``): its digest, and its command as a document.

    A create's command follows from its payment. ``under_way_until``: when a repetition has ended for certain, unless
    its end is known.
    """

    digest: str
    command: str = ""
    under_way_until: datetime | None = None


class OperationSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a payment's list shows of its open operation. ``note`` says why it is unknown."""

    id: str
    kind: Kind
    status: Status
    note: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether its outcome is still to come."""
        return self.status in OPEN


class Operation(OperationSummary, frozen=True, kw_only=True, omit_defaults=True):
    """One changing call to a provider, stored before its first byte leaves.

    ``amount``: the new total (update), what to capture or refund, else the payment's total. ``order`` and ``reason``
    are the command's. ``contrary_since`` is when a lookup first showed that it had no effect. ``account`` is where
    it was sent. ``answers_with`` is the payment whose request made it, where that is
    another one (a successor's create answers with the payment it replaces). ``not_sent_before`` are account and id of
    the operations it follows, which were not sent. ``provider_id`` is the provider's own id of it, ``reported``
    the outcome that a callback or a lookup reported while it was still being sent.
    ``final``: of a capture where several may follow each other, whether no more does; else None.
    ``repeatable`` is for commands that the provider lets repeat. ``node`` is the process that sends it, where several
    share the store.
    """

    tenant: str
    payment_id: str
    account: str
    amount: Decimal
    before: Before
    created_at: datetime
    updated_at: datetime
    idempotency_key: str | None = None
    answers_with: str | None = None
    not_sent_before: tuple[str, ...] = ()
    order: Order | None = None
    reason: str | None = None
    failure: Failure | None = None
    contrary_since: datetime | None = None
    provider_id: str | None = None
    reported: Succeeded | Declined | None = None
    final: bool | None = None
    repeatable: Repeatable | None = None
    node: str | None = None

    @property
    def is_tenants(self) -> bool:
        """Whether a tenant asked for it; completions and the like are the gateway's own."""
        return self.idempotency_key is not None


class PaymentSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A payment without what was bought: all that is shown of it, and what decides how it moves.

    Amounts are major units of ``money.currency``; ``accepted_amount`` is what a rise is measured from. ``completed``:
    the provider needs no completion, or one succeeded. ``deadline_warnings`` counts those given since it was
    authorized. ``revision`` counts every write of the row, versioned or not: a write based on an older one is refused.
    ``authorized_at``, ``captured_at`` and ``canceled_at`` are the times of the versions that reached it, by the
    gateway's clock; a payment that was stored before they existed has none. ``unknown_statuses`` are words of the
    provider that the plugin does not know, each reported once; ``paid_again_by`` are transactions that were proved to
    succeed after another one had captured it, each reported once. ``memory`` is what its plugin asked to keep.
    ``denied_operations`` have ended, and the provider said otherwise of them afterwards, each reported once.
    ``stated``: an operator entered where it stands and the provider has not confirmed it yet; the transaction that was
    named, "" for none.
    """

    id: str
    tenant: str
    account: str
    provider: str
    merchant_reference: str
    money: Money
    accepted_amount: Decimal
    created_at: datetime
    updated_at: datetime
    state: State = State.CREATED
    provider_reference: str | None = None
    captured: Decimal = Decimal(0)
    refunded: Decimal = Decimal(0)
    disputed: Decimal = Decimal(0)
    redirect_url: str | None = None
    instructions: Mapping[str, str] = msgspec.field(default_factory=dict)
    customer_notified: bool = False
    completed: bool = True
    review: Review | None = None
    failure: Failure | None = None
    alerts: tuple[Alert, ...] = ()
    replaces: str | None = None
    replaced_by: str | None = None
    capture_by: datetime | None = None
    expires_at: datetime | None = None
    expired_at: datetime | None = None
    authorized_at: datetime | None = None
    captured_at: datetime | None = None
    canceled_at: datetime | None = None
    unknown_statuses: tuple[str, ...] = ()
    paid_again_by: tuple[str, ...] = ()
    denied_operations: tuple[str, ...] = ()
    stated: str | None = None
    deadline_warnings: int = 0
    version: int = 1
    revision: int = 0
    deposit_method: str | None = None
    metadata: Mapping[str, str] = msgspec.field(default_factory=dict)
    memory: Mapping[str, str] = msgspec.field(default_factory=dict)


class Payment(PaymentSummary, frozen=True, kw_only=True, omit_defaults=True):
    """The truth about one payment: its summary, and the purchase, which is kept for later commands and shown nowhere.

    The purchase is written once and may be large; lists do not read it. ``form`` comes with the page's address.
    ``erased_at`` is when personal data was taken out of it (``personal_data.py``).
    """

    customer: Customer = Customer()
    order: Order = Order()
    checkout: Checkout = Checkout()
    fields: Mapping[str, str] = msgspec.field(default_factory=dict)
    return_url: str | None = None
    cancel_url: str | None = None
    capture: CaptureMode | None = None
    form: Form | None = None
    erased_at: datetime | None = None


class EventType(enum.StrEnum):
    """What happened to a payment; also the type of the webhook that says so."""

    CREATED = "payment.created"
    AWAITING_CUSTOMER = "payment.awaiting_customer"
    PROCESSING = "payment.processing"
    AUTHORIZED = "payment.authorized"
    CAPTURED = "payment.captured"
    PARTIALLY_REFUNDED = "payment.partially_refunded"
    REFUNDED = "payment.refunded"
    CANCELED = "payment.canceled"
    FAILED = "payment.failed"
    EXPIRED = "payment.expired"
    UPDATED = "payment.updated"
    CAPTURE_DEADLINE_NEAR = "payment.capture_deadline_near"
    DISPUTED = "payment.disputed"
    REVIEW = "payment.review"
    DECLINED = "operation.declined"


WEBHOOK_TEST = "webhook.test"
"""The type of a webhook that a tenant asked for to try its endpoint; it belongs to no payment."""

WEBHOOK_TYPES = (*EventType, WEBHOOK_TEST)
"""Every ``type`` a webhook can have (Standard Webhooks body)."""


class PaymentEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One version of a payment: what happened, and who reported it. It is one line of the timeline and one webhook.

    ``request_id``: of the request that caused it, a tenant's, a provider's or an operator's; None for none.
    """

    type: str
    version: int
    cause: Cause
    state_before: State | None
    state_after: State
    at: datetime
    details: Mapping[str, str] = msgspec.field(default_factory=dict)
    request_id: str | None = None
