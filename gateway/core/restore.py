"""After a restore from a backup: flag what may repeat a change that the restored store does not have. Pure."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from gateway.core.change import Change
from gateway.core.facts import Cause
from gateway.core.payment import Payment, Review, ReviewReason, State
from gateway.core.review_details import UNRECORDED_CAPTURE, UNRECORDED_REFUND


def flag_possible_duplicate(before: Payment, change: Change, *, at: datetime) -> Change:
    """Raise the review flag where the provider shows more refunded, or captured in parts, than the restored store knew.

    The tenant may send that same refund or part again, and nothing distinguishes it from a new one. The flag replaces
    another one: an operator who clears that one would not learn of this. A change by an operator is not flagged.
    """
    payment, event = change.payment, change.event
    if event is None or event.cause is Cause.OPERATOR:
        return change
    if payment.refunded > before.refunded:
        reason, detail = ReviewReason.REFUND_UNCLEAR, UNRECORDED_REFUND
    elif payment.captured > before.captured and payment.state is State.AUTHORIZED:
        reason, detail = ReviewReason.AMOUNT, UNRECORDED_CAPTURE
    else:
        return change
    review = Review(reason=reason, since=at, detail=detail)
    details = {**event.details, "review": review.reason, "detail": detail, "restored": "true"}
    return replace(change, payment=replace(payment, review=review), event=replace(event, details=details))
