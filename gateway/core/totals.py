"""Take over the totals that a provider shows: they only grow; a total below the known one is outdated, and ignored."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from gateway.core.change import ChangeBuilder
from gateway.core.commands import Kind
from gateway.core.payment import ReviewReason, State


def note_captured_total(builder: ChangeBuilder, captured: Decimal, at: datetime) -> None:
    """Take over the captured total that a provider shows; a person looks at that of a payment that was canceled."""
    if captured and builder.payment.state is State.CANCELED:
        builder.flag(ReviewReason.CONTRADICTION, at)
    else:
        apply_captured_total(builder, captured)


def apply_captured_total(builder: ChangeBuilder, captured: Decimal, *, closes: bool = False) -> None:
    """Take over a higher captured total of a payment that is captured in parts.

    It stays ``authorized`` while some of its amount is open; ``closes``: what is open is released.
    """
    payment = builder.payment
    if payment.state is not State.AUTHORIZED:
        return
    if captured > payment.captured:
        builder.set(captured=captured)
        if builder.operation is None or builder.operation.kind is not Kind.CAPTURE:
            builder.details["made_elsewhere"] = "true"
    if closes or captured >= payment.money.amount:
        builder.set(state=State.CAPTURED)
        builder.is_news = True


def apply_disputed_total(builder: ChangeBuilder, disputed: Decimal, at: datetime) -> None:
    """Take over a higher disputed total. Where nothing was captured on record, there is nothing to take back: flag."""
    payment = builder.payment
    if disputed and not payment.captured:
        builder.flag(ReviewReason.CONTRADICTION, at)
    elif disputed > payment.disputed:
        builder.set(disputed=disputed)
