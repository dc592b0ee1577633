"""What a provider says, read by its plugin: facts. None of them sets a state; ``core/states.py`` does that."""

import enum
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import ClassVar
from urllib.parse import urlencode

import msgspec
from msgspec.structs import replace

from gateway.core.errors import Reason
from gateway.core.wire import HttpRequest


class Stage(enum.StrEnum):
    """Where the payment stands at the provider. ``unknown``: the provider named a status nobody here knows, or none."""

    AWAITING_CUSTOMER = "awaiting_customer"
    PROCESSING = "processing"
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    FAILED = "failed"
    CANCELED = "canceled"
    UNKNOWN = "unknown"


class Succeeded(msgspec.Struct, frozen=True, kw_only=True, tag="succeeded"):
    """An operation had its effect."""


class Declined(msgspec.Struct, frozen=True, kw_only=True, tag="declined"):
    """A definite no. ``code`` is the provider's own word, ``message`` for operators and tenants (at most 500)."""

    code: str
    message: str


class OperationOutcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the provider says of one operation, such as one of several refunds.

    It is named by ``operation_id`` (ours) or by ``provider_id``, the provider's own id of it, which is remembered where
    both are given. ``outcome`` None: it is not known yet.
    """

    operation_id: str | None = None
    provider_id: str | None = None
    outcome: Succeeded | Declined | None = None


class Form(msgspec.Struct, frozen=True):
    """A page of the provider that the customer's browser reaches by posting ``fields`` to ``url``.

    ``origins``: others, such as ``https://pay.example``, to which that address redirects the browser at once.
    """

    url: str
    fields: Mapping[str, str]
    origins: tuple[str, ...] = ()

    @property
    def request(self) -> HttpRequest:
        """What the customer's browser sends."""
        headers = (("Content-Type", "application/x-www-form-urlencoded"),)
        return HttpRequest(method="POST", url=self.url, headers=headers, body=urlencode(self.fields).encode())


class Observation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Facts of one answer or callback. None = the provider did not say.

    ``captured``, ``refunded`` and ``disputed`` are cumulative totals in major units; ``currency`` is upper case.
    ``raw_status`` is the provider's own word; ``unknown_status`` is set, in words for people, where nobody here knows
    it, and is empty where a known word shows no stage. ``memory`` is kept with the payment and comes back with every
    later command; ``operations`` are outcomes of single operations. ``form`` takes the place of ``redirect_url`` where
    the page is reached by POST; ``instructions`` are what the customer needs to pay without a page, such as a QR code.
    """

    stage: Stage
    payment_id: str | None = None
    provider_reference: str | None = None
    merchant_reference: str | None = None
    currency: str | None = None
    amount: Decimal | None = None
    captured: Decimal | None = None
    refunded: Decimal | None = None
    disputed: Decimal | None = None
    redirect_url: str | None = None
    form: Form | None = None
    instructions: Mapping[str, str] = msgspec.field(default_factory=dict)
    customer_notified: bool | None = None
    raw_status: str | None = None
    unknown_status: str | None = None
    memory: Mapping[str, str] = msgspec.field(default_factory=dict)
    operations: tuple[OperationOutcome, ...] = ()

    @property
    def word_nobody_knows(self) -> str | None:
        """The status to alert people of. One that the plugin left without a stage is unknown, too."""
        if self.unknown_status is not None:
            return self.unknown_status or None
        return self.raw_status if self.stage is Stage.UNKNOWN else None


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """Accepted, not done: the operation stays unknown until a lookup or a callback resolves it."""

    observation: Observation


class Absent(msgspec.Struct, frozen=True, kw_only=True):
    """The provider answered that it knows no such payment. Only a ``FetchPayment`` may be read so.

    ``operation_id``: what it does not know is this operation (ours), such as a refund that never arrived.
    """

    operation_id: str | None = None


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A further question of a lookup, at most three per lookup. Its answer is parsed with ``memory`` beside the stored
    one, so that the plugin knows which question it answers; nothing of it is kept."""

    request: HttpRequest
    memory: Mapping[str, str] = msgspec.field(default_factory=dict)


class NeverSent(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing reached the provider. ``message`` is a sentence for the tenant.

    ``may_follow``: one new operation may follow at once (no connection was made, or the session had ended).
    """

    message: str
    may_follow: bool = False


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome is open: silence after sending, or an answer that cannot be read."""

    message: str


class Expired(msgspec.Struct, frozen=True, kw_only=True):
    """The expiry clock ran out; a soft end, which later proof may still move within grace."""


class DeadlineNear(msgspec.Struct, frozen=True, kw_only=True):
    """The capture deadline comes near; a warning, which says nothing about the provider."""


class ReviewResolved(msgspec.Struct, frozen=True, kw_only=True):
    """An operator clears the review flag; ``reason`` and ``actor`` are for the record.

    ``state`` is the payment state to enter, where the one on record is wrong; with ``captured`` the
    whole amount counts as captured, or the parts that were. ``refunded`` is the total that has gone back, where the
    provider denied how a refund ended. ``redirect_url`` is the customer's page, where the operator knows it.
    """

    actor: str
    reason: str
    state: str | None = None
    refunded: Decimal | None = None
    redirect_url: str | None = None


class OperationResolved(msgspec.Struct, frozen=True, kw_only=True):
    """An operator resolves an unknown operation. ``outcome``: ``succeeded``, ``declined`` or ``written_off``.

    ``redirect_url`` and ``provider_reference``: of a create that succeeded, where the person knows them.
    """

    actor: str
    reason: str
    outcome: str
    redirect_url: str | None = None
    provider_reference: str | None = None


class PaymentResolved(msgspec.Struct, frozen=True, kw_only=True):
    """An operator says where a payment stands, by what the provider's portal shows.

    ``captured`` and ``refunded`` are totals with the currency's digits; None: what the state and the record imply.
    """

    actor: str
    reason: str
    state: str
    provider_reference: str | None = None
    captured: Decimal | None = None
    refunded: Decimal | None = None


Fact = (
    Observation
    | Declined
    | Pending
    | Absent
    | NeverSent
    | Unknown
    | Expired
    | DeadlineNear
    | ReviewResolved
    | OperationResolved
    | PaymentResolved
)


def outcomes_in(fact: Fact) -> tuple[OperationOutcome, ...]:
    """The outcomes of single operations that a fact reports."""
    seen = fact.observation if isinstance(fact, Pending) else fact
    return seen.operations if isinstance(seen, Observation) else ()


class Cause(enum.StrEnum):
    """Who reported a change. Replies, callbacks and lookups prove it; the clock proves nothing about money."""

    TENANT = "tenant"
    REPLY = "reply"
    CALLBACK = "callback"
    LOOKUP = "lookup"
    CLOCK = "clock"
    OPERATOR = "operator"


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A proved callback. ``event_id`` is the provider's identity of it (equal for honest repeats).

    Its payment is the one that ``observation`` names: by our id, by the provider's reference or, where one live payment
    has it, by the merchant reference. ``operation``: the outcome of one operation that it reports.
    ``problem`` is the first thing of it the plugin could not read, in the order status, currency, amount, time;
    ``detail`` says for people what stood there and what belongs there.
    """

    event_id: str
    observation: Observation = Observation(stage=Stage.UNKNOWN)
    operation: OperationOutcome | None = None
    occurred_at: datetime | None = None
    problem: Reason | None = None
    detail: str | None = None

    @property
    def reported(self) -> Observation:
        """The observation, with the outcome of the operation that is reported."""
        seen = self.observation
        return seen if self.operation is None else replace(seen, operations=(*seen.operations, self.operation))


class Hint(msgspec.Struct, frozen=True, kw_only=True):
    """An unproved callback: it may cause a lookup and nothing else.

    Its payment is the one of the address, else the one named here: by our id, by the provider's reference, or by a
    merchant reference that one live payment has.
    """

    payment_id: str | None = None
    provider_reference: str | None = None
    merchant_reference: str | None = None


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """The callback is durable; its effect, if it has one, was applied."""

    name: ClassVar[str] = "recorded"
    reason: ClassVar[Reason | None] = None


class Repeated(msgspec.Struct, frozen=True, kw_only=True):
    """The callback was applied before. ``is_final``: its payment moves no further by callbacks."""

    name: ClassVar[str] = "repeated"
    reason: ClassVar[Reason | None] = None
    is_final: bool = False


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """The callback is not applied."""

    name: ClassVar[str] = "refused"
    reason: Reason


class Busy(msgspec.Struct, frozen=True, kw_only=True):
    """Not now: over the rate limit (``limited``), else a fault of the gateway. ``retry_after`` in seconds."""

    limited: bool = False
    retry_after: int = 1


StoredVerdict = Recorded | Repeated | Refused
"""A verdict that is stored in the inbox, by its ``name`` and, of a refused callback, its ``reason``."""

Verdict = StoredVerdict | Busy
