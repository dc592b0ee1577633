"""What is true of a payment in each state: its dates, and the members that its state does not make untrue."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from gateway.core.commands import Kind
from gateway.core.facts import Absent, Cause, DeadlineNear, Expired, Fact, ReviewResolved, Stage
from gateway.core.payment import Failure, FailureCode, Payment, Review, ReviewReason, State
from gateway.core.rules import Policy
from gateway.core.state_members import EXPIRABLE, MAY_BE_SET, MONEY_TAKEN, NOT_PAYABLE, with_dates_at
from gateway.core.views import payment_view
from tests.core.test_states_explored import PROVIDERS, explored
from tests.support.factories.payments import (
    AT,
    LATER,
    REFUNDED,
    apply_fact,
    make_operation,
    make_payment,
    make_policy,
    saw,
)

DATES = ("authorized_at", "captured_at", "canceled_at")
REFUSED = Failure(code=FailureCode.DECLINED, message="no")
POLICY = Policy(
    rules=make_policy(capture_deadline=timedelta(days=30)).rules,
    lookups=True,
    grace=timedelta(hours=72),
    quiet_period=timedelta(0),
    expiry=timedelta(days=1),
)


def dates(payment: Payment) -> dict[str, datetime]:
    """The dates that are set."""
    return {name: getattr(payment, name) for name in DATES if getattr(payment, name) is not None}


def untrue(payment: Payment) -> list[str]:
    """Members that have a value which they cannot have in this state, and those that miss one."""
    wrong = [name for name, states in MAY_BE_SET.items() if getattr(payment, name) and payment.state not in states]
    needed: Mapping[str, frozenset[State]] = {
        "failure": frozenset({State.FAILED}),
        "captured": MONEY_TAKEN,
        "expired_at": frozenset({State.EXPIRED}),
    }
    missed = [name for name, states in needed.items() if payment.state in states and not getattr(payment, name)]
    return wrong + missed


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_member_is_true_in_every_reachable_payment(provider: str) -> None:
    """No history leads to a payment with a member that its state makes untrue."""
    assert {node.payment.state: found for node in explored(provider) if (found := untrue(node.payment))} == {}


@pytest.mark.parametrize(
    ("state", "fact", "expected"),
    [
        (State.AWAITING_CUSTOMER, saw(Stage.AUTHORIZED), {"authorized_at"}),
        (State.EXPIRED, saw(Stage.AUTHORIZED), {"authorized_at"}),
        (State.CREATED, saw(Stage.CAPTURED), {"captured_at"}),
        (State.AUTHORIZED, saw(Stage.CAPTURED), {"captured_at"}),
        (State.AUTHORIZED, saw(Stage.CAPTURED, refunded="40.00"), {"captured_at"}),
        (State.EXPIRED, saw(Stage.CAPTURED), {"captured_at"}),
        (State.AWAITING_CUSTOMER, saw(Stage.CANCELED), {"canceled_at"}),
        (State.AUTHORIZED, saw(Stage.CANCELED), {"canceled_at"}),
        (State.AWAITING_CUSTOMER, saw(Stage.PROCESSING), set()),
        (State.AWAITING_CUSTOMER, saw(Stage.FAILED), set()),
        (State.AWAITING_CUSTOMER, Expired(), set()),
        (State.AUTHORIZED, DeadlineNear(), set()),
        (State.AUTHORIZED, saw(currency="EUR"), set()),
    ],
)
def test_a_date_is_the_moment_of_the_version_that_reached_the_state(
    state: State, fact: Fact, expected: set[str]
) -> None:
    """By the gateway's clock, as the event is dated; whatever else happens sets none."""
    change = apply_fact(make_payment(state), fact, policy=POLICY)
    assert dates(change.payment) == dict.fromkeys(expected, LATER)


def test_dates_stay() -> None:
    """A refund leaves the date of the capture, a capture that of the authorization."""
    authorized = apply_fact(make_payment(), saw(Stage.AUTHORIZED), at=AT).payment
    captured = apply_fact(authorized, saw(Stage.CAPTURED)).payment
    refunded = apply_fact(captured, saw(Stage.CAPTURED, refunded="100.00"), at=LATER + timedelta(days=1)).payment
    assert dates(refunded) == {"authorized_at": AT, "captured_at": LATER}


def test_a_change_that_is_recorded_later_than_it_was_judged_is_dated_like_its_event() -> None:
    """Only what this change reached moves."""
    payment = make_payment(State.CAPTURED, authorized_at=AT, captured_at=LATER, updated_at=LATER)
    now = LATER + timedelta(minutes=5)
    moved = with_dates_at(payment, LATER, now)
    assert (moved.authorized_at, moved.captured_at, moved.updated_at) == (AT, now, now)


RICH: dict[str, Any] = {
    "failure": REFUSED,
    "capture_by": AT,
    "expires_at": AT,
    "expired_at": AT,
    "authorized_at": AT,
    "captured_at": AT,
    "canceled_at": AT,
    "review": Review(reason=ReviewReason.CONTRADICTION, since=AT),
}
"""A payment with everything set, as one stored by an older gateway may be."""

BY_HAND = sorted(set(State) - {State.CREATED, State.PARTIALLY_REFUNDED, State.REFUNDED})
"""The states that a person can set. Where money went back only ``captured`` is one: the flow refuses the others."""


@pytest.mark.parametrize(
    ("state", "decided"),
    [(state, by_hand) for state in State for by_hand in BY_HAND if by_hand in MONEY_TAKEN or state not in REFUNDED],
)
def test_what_a_person_decides_is_as_true_as_what_a_provider_proves(state: State, decided: State) -> None:
    """From every state to every state that can be set by hand: flag, failure and dates are those of the state."""
    payment = make_payment(state, **RICH)
    after = apply_fact(
        payment, ReviewResolved(actor="ops", reason="I asked", state=decided), cause=Cause.OPERATOR, policy=POLICY
    )
    assert after.payment.state is (state if decided is State.CAPTURED and state in MONEY_TAKEN else decided)
    assert (untrue(after.payment), after.payment.review) == ([], None)
    assert (after.payment.captured > 0) == (after.payment.state in MONEY_TAKEN)


def test_a_failure_goes_when_the_payment_turns_out_a_success() -> None:
    """Failed, then paid, then decided by a person: nothing speaks of a failure any more."""
    failed = apply_fact(make_payment(), saw(Stage.FAILED, raw_status="0")).payment
    flagged = apply_fact(failed, saw(Stage.CAPTURED)).payment
    assert (flagged.failure, flagged.review is not None) == (failed.failure, True)
    paid = apply_fact(
        flagged, ReviewResolved(actor="ops", reason="paid", state="captured"), cause=Cause.OPERATOR
    ).payment
    assert (paid.state, paid.failure, paid.captured_at) == (State.CAPTURED, None, LATER)


def test_a_payment_opened_again_by_hand_expires_again() -> None:
    """Its old expiry was over with its old outcome."""
    payment = apply_fact(make_payment(State.AUTHORIZED, review=RICH["review"]), saw(), policy=POLICY).payment
    decided = ReviewResolved(actor="ops", reason="not yet", state="awaiting_customer")
    after = apply_fact(payment, decided, cause=Cause.OPERATOR, policy=POLICY).payment
    assert (after.expires_at, after.authorized_at) == (LATER + timedelta(days=1), None)


@pytest.mark.parametrize("state", list(State))
def test_the_page_of_a_dead_payment_is_not_shown(state: State) -> None:
    """Nobody is sent to a page where nothing can be paid; the store keeps it, since a person may know better."""
    view = payment_view(make_payment(state, redirect_url="https://pay.example/1"), None)
    assert (view.redirect_url is None) == (state in NOT_PAYABLE)


def test_the_clock_ends_what_waits_and_nothing_else() -> None:
    """The states with an expiry date are those that the clock may end, and what it ended."""
    assert MAY_BE_SET["expires_at"] == EXPIRABLE | {State.EXPIRED}


def test_a_proved_absence_is_a_failure_with_its_reason() -> None:
    """``not_created``: the payment failed, and says why."""
    policy = make_policy(absence_proves=True)
    create = make_operation(Kind.CREATE, contrary_since=AT - timedelta(hours=1))
    after = apply_fact(make_payment(State.CREATED, expires_at=LATER), Absent(), operation=create, policy=policy).payment
    assert after.failure is not None
    assert (after.state, after.failure.code, after.expires_at) == (State.FAILED, FailureCode.NOT_CREATED, None)
