"""Two payments under one reference: one is replaced, is reinstated, or both are flagged for review."""

from __future__ import annotations

from datetime import datetime

from gateway.core.change import Change, ChangeBuilder, finish_change
from gateway.core.facts import Cause
from gateway.core.payment import Operation, Payment, ReviewReason
from gateway.core.rules import Rules


def mark_replaced(payment: Payment, successor: str, *, rules: Rules, at: datetime) -> Change:
    """Mark a payment as replaced by ``successor``: it takes no capture or update any more, only a cancel."""
    builder = ChangeBuilder(
        payment=payment, operation=None, alerts=["new_checkout_started"], details={"successor": successor}
    )
    builder.set(replaced_by=successor)
    return finish_change(payment, None, builder, cause=Cause.TENANT, messages=rules.messages, at=at)


def reinstate(payment: Payment, operation: Operation | None, *, cause: Cause, at: datetime) -> Change:
    """Reinstate a payment whose replacement ended without payment."""
    builder = ChangeBuilder(
        payment=payment, operation=operation, alerts=[], details={"successor": payment.replaced_by or ""}
    )
    builder.set(replaced_by=None)
    return finish_change(payment, operation, builder, cause=cause, messages={}, at=at)


def flag_two_live_orders(payment: Payment, operation: Operation | None, *, cause: Cause, at: datetime) -> Change:
    """Flag a payment whose order may be live beside another order for the same reference."""
    builder = ChangeBuilder(payment=payment, operation=operation, alerts=[], details={})
    builder.flag(ReviewReason.TWO_LIVE_ORDERS, at)
    return finish_change(payment, operation, builder, cause=cause, messages={}, at=at)
