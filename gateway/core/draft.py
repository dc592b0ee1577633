"""A change in the making: payment and operation being moved, then one version with its event, or none.

Each versioned change is one version, one event, one webhook.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.core.commands import Kind
from gateway.core.details import of_change
from gateway.core.errors import Reason
from gateway.core.facts import Cause, Observation
from gateway.core.payment import Alert, AlertCode, Operation, Payment, PaymentEvent, Review, ReviewReason, Status
from gateway.core.reviewed import review_detail
from gateway.core.truth import made_true

_VERSIONED = (
    "state",
    "money",
    "captured",
    "refunded",
    "provider_reference",
    "redirect_url",
    "failure",
    "review",
    "replaced_by",
)
"""Members whose change makes a new version; an alert and a declined tenant command make one too."""


MOST_UNKNOWN_STATUSES = 10
"""Unknown status words of one payment that are noted: a provider may invent a new one with every look."""


MOST_SECOND_PAYMENTS = 10
"""Transactions of one payment that are remembered as second ones; each further one is told whenever it comes."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a fact did: payment and operation as they are now, the event if a version was made, a callback's refusal."""

    payment: Payment
    operation: Operation | None
    event: PaymentEvent | None = None
    refusal: Reason | None = None

    @property
    def pending(self) -> Operation | None:
        """The operation, if it is open."""
        return self.operation if self.operation is not None and self.operation.is_open else None


class Draft(msgspec.Struct, kw_only=True):
    """The change being made; ``finish`` turns it into a version, if it is one. ``seen`` is what brought it about."""

    payment: Payment
    operation: Operation | None
    alerts: list[str]
    details: dict[str, str]
    seen: Observation | None = None
    refusal: Reason | None = None
    type: str | None = None

    def set(self, **members: Any) -> None:
        """Change members of the payment."""
        self.payment = replace(self.payment, **members)

    def settle(self, status: Status, **members: Any) -> None:
        """Change the operation's status and members, if there is one."""
        if self.operation is not None:
            self.operation = replace(self.operation, status=status, **members)

    def note_status(self, word: str | None) -> None:
        """Make a version for a status word that is not known here: once per word, and only for the first few."""
        known = self.payment.unknown_statuses
        if word is not None and word not in known and len(known) < MOST_UNKNOWN_STATUSES:
            self.set(unknown_statuses=(*known, word))
            self.details["unknown_status"] = word
            self.type = self.type or "payment.updated"

    def note_second_payment(self, transaction: str, at: datetime) -> None:
        """Raise the review flag for a transaction that pays once more: once per transaction, for the first few."""
        known = self.payment.paid_again_by
        if transaction not in known:
            self.flag(ReviewReason.CONTRADICTION, at)
            self.details["paid_again_by"] = transaction
            self.set(paid_again_by=(*known, transaction)[:MOST_SECOND_PAYMENTS])
            self.type = self.type or "payment.updated"

    def flag(self, reason: ReviewReason, at: datetime) -> None:
        """Raise the review flag; the first reason stands until a person clears it."""
        if self.payment.review is None:
            detail = review_detail(reason, self.payment, self.seen)
            self.set(review=Review(reason=reason, since=at, detail=detail))
            self.details |= {"review": reason, "detail": detail}


def finish(
    before: Payment,
    operation: Operation | None,
    draft: Draft,
    *,
    cause: Cause,
    messages: Mapping[str, str],
    at: datetime,
) -> Change:
    """Compare with what was before: one new version and its event, or none. ``messages``: alert texts by code."""
    touched = draft.operation is not None and draft.operation != operation
    if draft.operation is not None and touched:
        draft.operation = replace(draft.operation, updated_at=at)
        draft.details["operation_id"] = draft.operation.id
        if draft.operation.not_sent_before:
            draft.details["account"] = draft.operation.account
            draft.details["not_sent"] = ", ".join(draft.operation.not_sent_before)
    alerts = tuple(Alert(code=AlertCode(code), message=messages[code]) for code in draft.alerts if code in messages)
    changed = any(getattr(before, name) != getattr(draft.payment, name) for name in _VERSIONED)
    if not (changed or alerts or draft.type):
        payment = _without_alerts(draft.payment) if _ended_quietly(operation, draft.operation) else draft.payment
        return Change(payment=payment, operation=draft.operation, refusal=draft.refusal)
    versioned = {"version": before.version + 1, "updated_at": at, "alerts": alerts}
    after = replace(draft.payment, **versioned, **made_true(before, draft.payment, at))
    event = PaymentEvent(
        type=_type_of(before, after, draft.type),
        version=after.version,
        cause=cause,
        state_before=before.state,
        state_after=after.state,
        at=at,
        details=of_change(before, after, draft.operation if touched else None, draft.seen, cause) | draft.details,
    )
    return Change(payment=after, operation=draft.operation, event=event, refusal=draft.refusal)


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
    if after.review is not None and before.review is None:
        return "payment.review"
    return named or "payment.updated"
