"""A proved callback is judged in a fixed order: the first thing that is wrong is the answer."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.callback_rules import Evaluation, evaluate
from gateway.core.errors import Reason
from gateway.core.facts import Event, Observation, Recorded, Refused, Repeated, Stage, Verdict
from gateway.core.payment import Payment, ReviewReason, State
from tests.support.factories.payments import AT, LATER, make_payment, make_policy, saw

WINDOW = (timedelta(hours=24), timedelta(hours=24))
POLICY = make_policy(lookups=False, time_window=WINDOW)
PAID = saw(Stage.CAPTURED, currency="USD", amount="100.00", payment_id="pay_1")


def event(observation: Observation = PAID, occurred_at: datetime | None = AT, **members: Any) -> Event:
    """A proved callback about the payment of these tests."""
    return Event(event_id="e-1", observation=observation, occurred_at=occurred_at, **members)


def judged(
    said: Event, payment: Payment | None = None, *, seen_before: bool = False, at: datetime = LATER
) -> Evaluation:
    """The judgement of an event."""
    return evaluate(payment or make_payment(), None, said, seen_before=seen_before, policy=POLICY, at=at)


def test_a_good_event_is_recorded_and_moves_the_payment() -> None:
    """Nothing wrong: the payment moves and the sender gets success."""
    judgement = judged(event())
    assert judgement.verdict == Recorded()
    assert judgement.change is not None
    assert judgement.change.payment.state is State.CAPTURED


WRONG: dict[str, dict[str, Any]] = {
    "status": {"problem": Reason.STATUS},
    "seen before": {},
    "currency": {"observation": {"currency": "EUR"}},
    "amount": {"observation": {"amount": Decimal("99.99")}},
    "time": {"occurred_at": AT - timedelta(days=2)},
    "state": {},
}
"""What can be wrong, in the order in which it is judged."""

ANSWERS: dict[str, Verdict] = {
    "status": Refused(reason=Reason.STATUS),
    "seen before": Repeated(is_final=True),
    "currency": Refused(reason=Reason.CURRENCY),
    "amount": Refused(reason=Reason.AMOUNT),
    "time": Refused(reason=Reason.TIME),
    "state": Refused(reason=Reason.REPEATED_FINAL),
}


@pytest.mark.parametrize("first", list(WRONG))
def test_the_first_wrong_thing_is_the_answer(first: str) -> None:
    """With everything from one point of the order on wrong, the answer names that point."""
    wrong = list(WRONG)[list(WRONG).index(first) :]
    changes: dict[str, Any] = {}
    for name in wrong:
        changes = {
            **WRONG[name],
            **changes,
            "observation": {**WRONG[name].get("observation", {}), **changes.get("observation", {})},
        }
    said = event(**{**changes, "observation": replace(PAID, **changes.get("observation", {}))})
    judgement = judged(said, make_payment(State.FAILED), seen_before="seen before" in wrong)
    assert judgement.verdict == ANSWERS[first]


@pytest.mark.parametrize(
    ("problem", "currency", "amount", "reason"),
    [
        (Reason.AMOUNT, "EUR", None, Reason.CURRENCY),
        (Reason.TIME, "EUR", "1.00", Reason.CURRENCY),
        (Reason.TIME, "USD", "1.00", Reason.AMOUNT),
        (Reason.CURRENCY, None, "1.00", Reason.CURRENCY),
        (Reason.AMOUNT, "USD", None, Reason.AMOUNT),
        (Reason.TIME, "USD", "100.00", Reason.TIME),
    ],
)
def test_what_the_plugin_could_not_read_has_its_place(
    problem: Reason, currency: str | None, amount: str | None, reason: Reason
) -> None:
    """Checks before the plugin's problem are judged as usual; then the problem is the answer."""
    given = {} if amount is None else {"amount": amount}
    assert judged(event(saw(Stage.CAPTURED, currency=currency, **given), problem=problem)).verdict == Refused(
        reason=reason
    )


@pytest.mark.parametrize(
    "said", [event(problem=Reason.STATUS), event(problem=Reason.TIME), event(problem=Reason.AMOUNT)]
)
def test_a_refusal_for_its_form_changes_nothing(said: Event) -> None:
    """An event that could not be read whole does not touch the payment."""
    assert judged(said).change is None


@pytest.mark.parametrize(
    ("observation", "review"),
    [
        (replace(PAID, currency="EUR"), ReviewReason.CURRENCY),
        (replace(PAID, amount=Decimal("99.99")), ReviewReason.AMOUNT),
    ],
)
def test_a_proved_misfit_raises_the_review_flag(observation: Observation, review: ReviewReason) -> None:
    """A proved currency or amount that does not fit is refused and flagged, and moves nothing."""
    change = judged(event(observation)).change
    assert change is not None
    assert change.payment.review is not None
    assert (change.payment.review.reason, change.payment.state) == (review, State.AWAITING_CUSTOMER)


@pytest.mark.parametrize(
    ("state", "is_final"),
    [
        (State.AWAITING_CUSTOMER, False),
        (State.PROCESSING, False),
        (State.AUTHORIZED, False),
        (State.EXPIRED, False),
        (State.CAPTURED, True),
        (State.REFUNDED, True),
        (State.FAILED, True),
        (State.CANCELED, True),
    ],
)
def test_a_repetition_changes_nothing(state: State, is_final: bool) -> None:
    """An event that was applied before is answered as repeated, and says whether the payment moves further."""
    judgement = judged(event(), make_payment(state), seen_before=True)
    assert (judgement.verdict, judgement.change) == (Repeated(is_final=is_final), None)
    assert judgement.payment == judgement.payment_after == make_payment(state)


@pytest.mark.parametrize(
    ("occurred_at", "fits"),
    [
        (AT - WINDOW[0], True),
        (AT - WINDOW[0] - timedelta(milliseconds=1), False),
        (LATER + WINDOW[1], True),
        (LATER + WINDOW[1] + timedelta(milliseconds=1), False),
        (None, True),
    ],
)
def test_the_time_window(occurred_at: datetime | None, fits: bool) -> None:
    """The window begins before the payment's creation and ends after now; both ends belong to it."""
    expected = Recorded() if fits else Refused(reason=Reason.TIME)
    assert judged(event(occurred_at=occurred_at)).verdict == expected


def test_without_a_window_any_time_fits() -> None:
    """An account without a time window does not judge the time."""
    said = event(occurred_at=AT - timedelta(days=9000))
    judgement = evaluate(make_payment(), None, said, seen_before=False, policy=make_policy(lookups=False), at=LATER)
    assert judgement.verdict == Recorded()


def test_a_merchant_reference_of_another_payment_is_not_found() -> None:
    """An event that names another merchant reference is not about this payment; a person must look."""
    judgement = judged(event(replace(PAID, merchant_reference="SO-2")))
    assert judgement.verdict == Refused(reason=Reason.NOT_FOUND)
    assert judgement.change is not None
    assert judgement.change.payment.review is not None


def test_in_progress_under_another_attempt() -> None:
    """Processing under one reference is refused as in progress when another processing comes under a second."""
    payment = make_payment(State.PROCESSING, provider_reference="T-1")
    said = event(saw(Stage.PROCESSING, provider_reference="T-2", currency="USD", amount="100.00"))
    assert judged(said, payment).verdict == Refused(reason=Reason.IN_PROGRESS)
