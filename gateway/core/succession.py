"""Two payments under one reference: a payment makes way for a successor, stands again, or must be looked at."""

from __future__ import annotations

from datetime import datetime

from gateway.core.draft import Change, Draft, finish
from gateway.core.facts import Cause
from gateway.core.payment import Operation, Payment, ReviewReason
from gateway.core.rules import Rules


def replaced(payment: Payment, successor: str, *, rules: Rules, at: datetime) -> Change:
    """The payment makes way for its successor: its capture and update stop, its cancel stays."""
    draft = Draft(payment=payment, operation=None, alerts=["new_checkout_started"], details={"successor": successor})
    draft.set(replaced_by=successor)
    return finish(payment, None, draft, cause=Cause.TENANT, messages=rules.messages, at=at)


def released(payment: Payment, operation: Operation | None, *, cause: Cause, at: datetime) -> Change:
    """The successor came to nothing: the payment stands for itself again."""
    draft = Draft(payment=payment, operation=operation, alerts=[], details={"successor": payment.replaced_by or ""})
    draft.set(replaced_by=None)
    return finish(payment, operation, draft, cause=cause, messages={}, at=at)


def two_live_orders(payment: Payment, operation: Operation | None, *, cause: Cause, at: datetime) -> Change:
    """Two orders for one reference may both stand: a person must look at both."""
    draft = Draft(payment=payment, operation=operation, alerts=[], details={})
    draft.flag(ReviewReason.TWO_LIVE_ORDERS, at)
    return finish(payment, operation, draft, cause=cause, messages={}, at=at)
