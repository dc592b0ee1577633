"""What a fact means to a payment of a restored store: what happened since the backup is not on record. Pure."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from gateway.core.change import Change
from gateway.core.facts import Cause
from gateway.core.payment import Payment, Review, ReviewReason
from gateway.core.review_details import UNRECORDED_REFUND


def flag_possible_duplicate_refund(before: Payment, change: Change, *, at: datetime) -> Change:
    """Raise the review flag where more was refunded than the store knew of: by whom, its record may have told.

    A tenant may repeat the very refund that was forgotten; nothing tells it from a new one. So it takes the place of
    another flag: who clears that one, perhaps for the second time, would not know. What a person rules is not doubted.
    """
    payment, event = change.payment, change.event
    if event is None or event.cause is Cause.OPERATOR:
        return change
    if payment.refunded <= before.refunded:
        return change
    review = Review(reason=ReviewReason.REFUND_UNCLEAR, since=at, detail=UNRECORDED_REFUND)
    details = {**event.details, "review": review.reason, "detail": UNRECORDED_REFUND, "restored": "true"}
    return replace(change, payment=replace(payment, review=review), event=replace(event, details=details))
