"""Which occurrences a change of a payment is: a review, an unknown status word, a report that its state forbids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.core.change import Change
from gateway.core.errors import Reason
from gateway.core.facts import Cause
from gateway.core.payment import EventType, ReviewReason
from gateway.core.state_members import ENDED_UNPAID
from gateway.flows.occurrences import Occurrence

CONTRADICTIONS = frozenset({ReviewReason.CONTRADICTION, ReviewReason.PAID_LATE})
"""Reviews of what was proved and the payment's state does not allow."""

Found = Iterator[tuple[Occurrence, Mapping[str, object]]]
"""What happened, and its fields."""

_DEADLINE = EventType.CAPTURE_DEADLINE_NEAR


def occurrences_of(change: Change) -> Found:
    """Find them, each with the fields that its log line has."""
    payment, event = change.payment, change.event
    where = {"tenant": payment.tenant, "account": payment.account, "provider": payment.provider}
    where["payment_id"] = payment.id
    details = event.details if event is not None else {}
    review = details.get("review")
    if change.refusal is Reason.REPEATED_FINAL:
        yield Occurrence.TRANSITION_REFUSED, {**where, "reason": str(change.refusal)}
    elif review in CONTRADICTIONS and event is not None and event.cause is not Cause.CALLBACK:
        yield Occurrence.TRANSITION_REFUSED, {**where, "reason": str(review)}
    if review is not None:
        yield Occurrence.REVIEW_RAISED, {**where, "reason": str(review)}
    if review in CONTRADICTIONS and payment.state in ENDED_UNPAID:
        yield Occurrence.SUCCESS_AFTER_FAILURE, {**where, "reason": str(payment.state)}
    if "unknown_status" in details:
        yield Occurrence.UNKNOWN_PROVIDER_STATUS, {**where, "provider_status": details["unknown_status"]}
    if event is not None and event.type == _DEADLINE:
        yield Occurrence.CAPTURE_DEADLINE_NEAR, where
