"""After a restore from a backup: flag what may repeat a change that the restored store does not have. Pure."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from gateway.core.change import Change
from gateway.core.facts import Cause
from gateway.core.payment import Payment, Review, ReviewReason
from gateway.core.review_details import UNRECORDED_REFUND


def flag_possible_duplicate_refund(before: Payment, change: Change, *, at: datetime) -> Change:
    """Raise the review flag where the provider shows more refunded than the restored store has on record.

    The tenant may send that same refund again, and nothing distinguishes it from a new one. The flag replaces another
    one: an operator who clears that one would not learn of this. A change by an operator is not flagged.
    """
    payment, event = change.payment, change.event
    if event is None or event.cause is Cause.OPERATOR:
        return change
    if payment.refunded <= before.refunded:
        return change
    review = Review(reason=ReviewReason.REFUND_UNCLEAR, since=at, detail=UNRECORDED_REFUND)
    details = {**event.details, "review": review.reason, "detail": UNRECORDED_REFUND, "restored": "true"}
    return replace(change, payment=replace(payment, review=review), event=replace(event, details=details))
