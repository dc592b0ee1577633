"""Totals that a provider shows beside its stage: they grow, whatever the state, and never shrink."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gateway.core.errors import Reason
from gateway.core.facts import Cause, Observation, Stage
from gateway.core.payment import ReviewReason, State
from tests.support.factories.payments import TAKEN, apply_fact, make_payment, saw

# Disputes


@pytest.mark.parametrize("state", sorted(TAKEN))
@pytest.mark.parametrize("stage", [Stage.CAPTURED, Stage.UNKNOWN, Stage.AUTHORIZED])
def test_a_dispute_is_a_version_and_moves_no_state(state: State, stage: Stage) -> None:
    """In every state in which money was taken, with whatever stage the provider still shows."""
    made = apply_fact(make_payment(state), saw(stage, disputed="30.00"), cause=Cause.CALLBACK)
    assert (made.payment.state, made.payment.disputed, made.refusal) == (state, Decimal("30.00"), None)
    assert made.event is not None
    assert (made.event.type, made.event.version) == ("payment.disputed", 6)
    details = made.event.details
    assert (details["amount"], details["amount_disputed"], details["currency"]) == ("30.00", "30.00", "USD")


def test_a_second_dispute_says_what_came_with_it() -> None:
    """``amount`` is what was disputed with this event, ``amount_disputed`` the total."""
    payment = make_payment(State.CAPTURED, disputed=Decimal("30.00"))
    event = apply_fact(payment, saw(Stage.CAPTURED, disputed="45.50")).event
    assert event is not None
    assert (event.details["amount"], event.details["amount_disputed"]) == ("15.50", "45.50")


@pytest.mark.parametrize("total", ["0.00", "29.99", "30.00"])
def test_a_smaller_total_is_old_news(total: str) -> None:
    """It moves nothing; a callback that says nothing else is answered as over."""
    payment = make_payment(State.CAPTURED, disputed=Decimal("30.00"))
    made = apply_fact(payment, saw(Stage.CAPTURED, disputed=total), cause=Cause.CALLBACK)
    assert (made.payment.disputed, made.event, made.refusal) == (Decimal("30.00"), None, Reason.REPEATED_FINAL)


@pytest.mark.parametrize("state", sorted(set(State) - TAKEN))
def test_a_dispute_of_what_was_never_captured_is_for_a_person(state: State) -> None:
    """Money that the gateway has no record of cannot be taken back."""
    made = apply_fact(make_payment(state), saw(disputed="5.00"))
    assert (made.payment.state, made.payment.disputed) == (state, Decimal(0))
    assert made.payment.review is not None
    assert made.payment.review.reason is ReviewReason.CONTRADICTION


@pytest.mark.parametrize("seen", [saw(), saw(disputed="0.00")])
def test_no_dispute_raises_nothing(seen: Observation) -> None:
    """Most providers always say zero."""
    assert apply_fact(make_payment(State.AUTHORIZED), seen).payment.review is None


def test_captured_and_disputed_in_one_look() -> None:
    """The state gives the type; the total is there all the same."""
    made = apply_fact(make_payment(State.AUTHORIZED), saw(Stage.CAPTURED, captured="100.00", disputed="100.00"))
    assert made.event is not None
    assert (made.event.type, made.payment.disputed) == ("payment.captured", Decimal("100.00"))


def test_disputed_and_refunded_in_one_look() -> None:
    """``amount`` is what was refunded, as in every event of a refund."""
    made = apply_fact(make_payment(State.CAPTURED), saw(Stage.CAPTURED, refunded="10.00", disputed="20.00"))
    assert made.event is not None
    details = made.event.details
    assert made.event.type == "payment.partially_refunded"
    assert (details["amount"], details["amount_refunded"], details["amount_disputed"]) == ("10.00", "10.00", "20.00")
