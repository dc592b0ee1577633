"""What operators hear of a payment's change: a review, a refused step, a success too late, an unknown word."""

from __future__ import annotations

import pytest

from gateway.core.change import Change
from gateway.core.facts import Cause, DeadlineNear, Observation, Stage
from gateway.core.payment import State
from gateway.flows.change_occurrences import occurrences_of
from gateway.flows.occurrences import Occurrence as Had
from tests.support.factories.payments import apply_fact, make_payment, saw

CAPTURED = saw(Stage.CAPTURED)


def found_in(change: Change) -> dict[str, object]:
    """Occurrence -> its reason, or the provider's word."""
    return {what: fields.get("reason", fields.get("provider_status")) for what, fields in occurrences_of(change)}


@pytest.mark.parametrize(
    ("state", "seen", "cause", "expected"),
    [
        (State.AWAITING_CUSTOMER, CAPTURED, Cause.CALLBACK, {}),
        (State.CAPTURED, CAPTURED, Cause.LOOKUP, {}),
        (State.CAPTURED, CAPTURED, Cause.CALLBACK, {Had.TRANSITION_REFUSED: "repeated_final"}),
        (
            State.AUTHORIZED,
            saw(Stage.FAILED),
            Cause.LOOKUP,
            {Had.TRANSITION_REFUSED: "contradiction", Had.REVIEW_RAISED: "contradiction"},
        ),
        (
            State.FAILED,
            CAPTURED,
            Cause.CALLBACK,
            {
                Had.TRANSITION_REFUSED: "repeated_final",
                Had.REVIEW_RAISED: "contradiction",
                Had.SUCCESS_AFTER_FAILURE: "failed",
            },
        ),
        (
            State.CANCELED,
            CAPTURED,
            Cause.LOOKUP,
            {
                Had.TRANSITION_REFUSED: "contradiction",
                Had.REVIEW_RAISED: "contradiction",
                Had.SUCCESS_AFTER_FAILURE: "canceled",
            },
        ),
        (State.AWAITING_CUSTOMER, saw(Stage.CAPTURED, currency="EUR"), Cause.LOOKUP, {Had.REVIEW_RAISED: "currency"}),
        (
            State.AWAITING_CUSTOMER,
            saw(raw_status="in doubt"),
            Cause.LOOKUP,
            {Had.UNKNOWN_PROVIDER_STATUS: "in doubt"},
        ),
    ],
)
def test_a_change_is_what_happened(state: State, seen: Observation, cause: Cause, expected: dict[str, object]) -> None:
    """By whom it was reported too: of a callback the refusal decides, else the review that was raised."""
    change = apply_fact(make_payment(state), seen, cause=cause)
    assert found_in(change) == expected


def test_a_capture_deadline_is_told_of() -> None:
    """The warning that the clock makes has the payment."""
    change = apply_fact(make_payment(State.AUTHORIZED), DeadlineNear(), cause=Cause.CLOCK)
    ((what, fields),) = occurrences_of(change)
    assert (what, fields["payment_id"]) == (Had.CAPTURE_DEADLINE_NEAR, change.payment.id)
