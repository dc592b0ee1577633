"""Take over the totals that a provider shows: they only grow, and a smaller one than known is old news."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from gateway.core.change import ChangeBuilder
from gateway.core.payment import ReviewReason


def apply_disputed_total(builder: ChangeBuilder, disputed: Decimal, at: datetime) -> None:
    """Take over a higher disputed total. Where nothing was captured on record, there is nothing to take back: flag."""
    payment = builder.payment
    if disputed and not payment.captured:
        builder.flag(ReviewReason.CONTRADICTION, at)
    elif disputed > payment.disputed:
        builder.set(disputed=disputed)
