"""Build a change: move a payment and its operation, then turn the difference into one version with its event, or none.

Each versioned change is one version, one event and one webhook.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.core.commands import Kind
from gateway.core.errors import Reason
from gateway.core.event_details import details_of_change
from gateway.core.facts import Cause, Observation
from gateway.core.payment import OPEN, Alert, AlertCode, Operation, Payment, PaymentEvent, Review, ReviewReason, Status
from gateway.core.plugin_returns import MAX_MEMORY_PAIRS
from gateway.core.review_details import review_detail
from gateway.core.state_members import members_after

_versioned = attrgetter(
    "state",
    "money",
    "captured",
    "refunded",
    "disputed",
    "provider_reference",
    "redirect_url",
    "instructions",
    "failure",
    "review",
    "replaced_by",
)
"""The members whose change makes a new version; an alert and a declined tenant command make one too."""


MAX_UNKNOWN_STATUSES = 10
"""Unknown status words that are kept per payment: a provider may invent a new one with every lookup."""


MAX_SECOND_PAYMENTS = 10
"""Further successful transactions that are kept per payment."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a fact: the payment and operation as they are now, the event of the new version, if there is one.

    ``refusal`` is the reason to refuse the callback that reported the fact. ``left_out`` are names of its memory for
    which there was no room.
    """

    payment: Payment
    operation: Operation | None
    event: PaymentEvent | None = None
    refusal: Reason | None = None
    left_out: tuple[str, ...] = ()

    @property
    def open_operation(self) -> Operation | None:
        """The operation, if it is open."""
        return self.operation if self.operation is not None and self.operation.is_open else None


class ChangeBuilder(msgspec.Struct, kw_only=True):
    """A change while it is worked out; ``finish_change`` makes it a ``Change``. ``seen``: the observation behind it.

    ``ended``: the payment's other operations, where one is reported. ``is_news``: the fact says something that no
    state and no total shows.
    """

    payment: Payment
    operation: Operation | None
    alerts: list[str]
    details: dict[str, str]
    seen: Observation | None = None
    ended: Sequence[Operation] = ()
    refusal: Reason | None = None
    type: str | None = None
    is_news: bool = False
    left_out: tuple[str, ...] = ()

    def set(self, **members: Any) -> None:
        """Change members of the payment."""
        self.payment = replace(self.payment, **members)

    def set_operation(self, status: Status, **members: Any) -> None:
        """Change the operation's status and members, if there is one."""
        if self.operation is not None:
            if status not in OPEN:
                members["repeatable"] = None  # nobody asks again
            self.operation = replace(self.operation, status=status, **members)

    def remember(self, memory: Mapping[str, str]) -> None:
        """Keep what the plugin asks to: a name that is known gets its new value, a new one its place while there is."""
        kept = dict(self.payment.memory)
        for name, value in memory.items():
            if name in kept or len(kept) < MAX_MEMORY_PAIRS:
                kept[name] = value
        self.left_out = tuple(name for name in memory if name not in kept)
        if kept != self.payment.memory:
            self.set(memory=kept)
            self.is_news = True

    def note_status(self, word: str | None) -> None:
        """Make a version for a status word that the plugin does not know: one for each word, up to the maximum."""
        known = self.payment.unknown_statuses
        if word is not None and word not in known and len(known) < MAX_UNKNOWN_STATUSES:
            self.set(unknown_statuses=(*known, word))
            self.details["unknown_status"] = word
            self.type = self.type or "payment.updated"

    def note_second_payment(self, transaction: str, at: datetime) -> None:
        """Raise the review flag for a transaction that pays a second time: once for each, up to the maximum.

        One beyond it makes a version only where no review is open: a sender could make any number of them.
        """
        known = self.payment.paid_again_by
        if transaction in known:
            return
        self.flag(ReviewReason.CONTRADICTION, at)
        self.details["paid_again_by"] = transaction
        if len(known) < MAX_SECOND_PAYMENTS:
            self.set(paid_again_by=(*known, transaction))
            self.type = self.type or "payment.updated"

    def flag(self, reason: ReviewReason, at: datetime, detail: str | None = None) -> None:
        """Raise the review flag, with a sentence. The first reason stays until an operator clears it."""
        if self.payment.review is None:
            detail = detail or review_detail(reason, self.payment, self.seen)
            self.set(review=Review(reason=reason, since=at, detail=detail))
            self.details |= {"review": reason, "detail": detail}


def finish_change(
    before: Payment,
    operation: Operation | None,
    builder: ChangeBuilder,
    *,
    cause: Cause,
    messages: Mapping[str, str],
    at: datetime,
) -> Change:
    """Compare with what was before: one new version and its event, or none. ``messages``: alert texts by code."""
    touched = builder.operation is not None and builder.operation != operation
    if builder.operation is not None and touched:
        builder.operation = replace(builder.operation, updated_at=at)
        builder.details["operation_id"] = builder.operation.id
        if builder.operation.not_sent_before:
            builder.details["account"] = builder.operation.account
            builder.details["not_sent"] = ", ".join(builder.operation.not_sent_before)
    alerts = tuple([Alert(code=AlertCode(code), message=messages[code]) for code in builder.alerts if code in messages])
    is_moved = alerts or builder.type or builder.payment.state is not before.state
    if not is_moved and _versioned(builder.payment) == _versioned(before):
        payment = _without_alerts(builder.payment) if _ended_quietly(operation, builder.operation) else builder.payment
        return Change(payment=payment, operation=builder.operation, refusal=builder.refusal, left_out=builder.left_out)
    members = members_after(before, builder.payment, at)
    after = replace(builder.payment, version=before.version + 1, updated_at=at, alerts=alerts, **members)
    event = PaymentEvent(
        type=_type_of(before, after, builder.type),
        version=after.version,
        cause=cause,
        state_before=before.state,
        state_after=after.state,
        at=at,
        details=details_of_change(before, after, builder.operation if touched else None, builder.seen, cause)
        | builder.details,
    )
    return Change(
        payment=after, operation=builder.operation, event=event, refusal=builder.refusal, left_out=builder.left_out
    )


def _without_alerts(payment: Payment) -> Payment:
    return replace(payment, alerts=()) if payment.alerts else payment


def _ended_quietly(before: Operation | None, after: Operation | None) -> bool:
    """Whether a command of the tenant ended just now and was its own effect: the newest change, and one without alerts.

    What another command did may have been shown before its reply came, with the alerts of that version.
    """
    if before is None or after is None or not after.is_tenants or not before.is_open or after.is_open:
        return False
    return after.kind is Kind.UPDATE or after.status is not Status.SUCCEEDED


def _type_of(before: Payment, after: Payment, named: str | None) -> str:
    if after.state is not before.state or after.refunded != before.refunded:
        return f"payment.{after.state}"
    if after.disputed != before.disputed:
        return "payment.disputed"
    if after.review is not None and before.review is None:
        return "payment.review"
    return named or "payment.updated"
