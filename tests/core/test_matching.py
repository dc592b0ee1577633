"""Which facts match a payment, and what a mismatch leads to: a review, a refusal, or nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.commands import Kind
from gateway.core.errors import Reason
from gateway.core.facts import (
    Cause,
    Observation,
    Stage,
)
from gateway.core.payment import Review, ReviewReason, State, Status
from gateway.core.review_details import review_detail
from tests.support.factories.payments import (
    AT,
    LATER,
    WITHOUT_LOOKUPS,
    apply_fact,
    make_operation,
    make_payment,
    saw,
    status_of,
)

# What does not fit

MISFITS: list[tuple[str, dict[str, Any], Observation, ReviewReason, Reason]] = [
    ("currency", {}, saw(currency="EUR"), ReviewReason.CURRENCY, Reason.CURRENCY),
    ("amount", {}, saw(Stage.CAPTURED, amount="99.99"), ReviewReason.AMOUNT, Reason.AMOUNT),
    ("amount zero", {}, saw(Stage.CAPTURED, amount="0.00"), ReviewReason.AMOUNT, Reason.AMOUNT),
    ("amount digits", {}, saw(Stage.CAPTURED, amount="100.001"), ReviewReason.AMOUNT, Reason.AMOUNT),
    ("amount nan", {}, saw(Stage.CAPTURED, amount="NaN"), ReviewReason.AMOUNT, Reason.AMOUNT),
    ("captured digits", {}, saw(Stage.CAPTURED, captured="60.001"), ReviewReason.AMOUNT, Reason.AMOUNT),
    ("captured negative", {}, saw(Stage.CAPTURED, captured="-60.00"), ReviewReason.AMOUNT, Reason.AMOUNT),
    ("captured nothing", {}, saw(Stage.CAPTURED, captured="0.00"), ReviewReason.AMOUNT, Reason.AMOUNT),
    ("captured too much", {}, saw(Stage.CAPTURED, captured="100.01"), ReviewReason.AMOUNT, Reason.AMOUNT),
    (
        "captured more than before",
        {"state": State.CAPTURED, "captured": Decimal("60.00")},
        saw(Stage.CAPTURED, captured="100.00"),
        ReviewReason.AMOUNT,
        Reason.AMOUNT,
    ),
    ("refunded digits", {"state": State.CAPTURED}, saw(refunded="1.001"), ReviewReason.AMOUNT, Reason.AMOUNT),
    ("refunded negative", {"state": State.CAPTURED}, saw(refunded="-1.00"), ReviewReason.AMOUNT, Reason.AMOUNT),
    ("disputed digits", {"state": State.CAPTURED}, saw(disputed="1.001"), ReviewReason.AMOUNT, Reason.AMOUNT),
    ("disputed negative", {"state": State.CAPTURED}, saw(disputed="-1.00"), ReviewReason.AMOUNT, Reason.AMOUNT),
    ("disputed too much", {"state": State.CAPTURED}, saw(disputed="100.01"), ReviewReason.AMOUNT, Reason.AMOUNT),
    ("refunded too much", {"state": State.CAPTURED}, saw(refunded="100.01"), ReviewReason.AMOUNT, Reason.AMOUNT),
    (
        "refunded more than captured",
        {"state": State.CAPTURED, "captured": Decimal("60.00")},
        saw(Stage.CAPTURED, refunded="60.01"),
        ReviewReason.AMOUNT,
        Reason.AMOUNT,
    ),
    ("payment id", {}, saw(Stage.CAPTURED, payment_id="pay_2"), ReviewReason.REFERENCE, Reason.NOT_FOUND),
    ("merchant reference", {}, saw(merchant_reference="SO-2"), ReviewReason.REFERENCE, Reason.NOT_FOUND),
    (
        "provider reference",
        {"provider_reference": "CK-1"},
        saw(Stage.CAPTURED, provider_reference="CK-2"),
        ReviewReason.REFERENCE,
        Reason.IN_PROGRESS,
    ),
]


@pytest.mark.parametrize(("what", "members", "seen", "review", "refusal"), MISFITS, ids=[row[0] for row in MISFITS])
def test_misfit(what: str, members: dict[str, Any], seen: Observation, review: ReviewReason, refusal: Reason) -> None:
    """A proved fact that cannot be this payment's moves nothing but the review flag, and its callback is refused."""
    payment = make_payment(**members)
    change = apply_fact(payment, seen, cause=Cause.CALLBACK)
    flagged = replace(payment, review=Review(reason=review, since=LATER, detail=review_detail(review, payment, seen)))
    assert change.payment == replace(flagged, version=payment.version + 1, updated_at=LATER)
    assert change.refusal is refusal
    assert change.event is not None
    assert change.event.type == "payment.review"


@pytest.mark.parametrize(("what", "members", "seen", "review", "refusal"), MISFITS, ids=[row[0] for row in MISFITS])
def test_misfit_in_a_reply(
    what: str, members: dict[str, Any], seen: Observation, review: ReviewReason, refusal: Reason
) -> None:
    """A reply with wrong ids or amounts leaves its operation unknown and says nothing of the payment."""
    capture = make_operation(Kind.CAPTURE, Status.SENDING)
    payment = make_payment(**members)
    change = apply_fact(payment, seen, operation=capture, cause=Cause.REPLY)
    assert (change.payment, change.event, status_of(change)) == (payment, None, Status.UNKNOWN)


@pytest.mark.parametrize(
    "seen",
    [
        saw(Stage.CAPTURED, currency="USD", amount="100", payment_id="pay_1", merchant_reference="SO-1"),
        saw(Stage.CAPTURED, amount="100.000", captured="100.0", refunded="0"),
        saw(Stage.CAPTURED, provider_reference="CK-1"),
    ],
)
def test_what_fits(seen: Observation) -> None:
    """Equal values fit, however many zeros they have."""
    assert apply_fact(make_payment(), seen).payment.state is State.CAPTURED


def test_an_amount_may_be_what_was_captured() -> None:
    """After a partial capture the provider may show that part as the amount."""
    payment = make_payment(State.CAPTURED, captured=Decimal("60.00"))
    assert apply_fact(payment, saw(Stage.CAPTURED, amount="60.00")).payment == payment


def test_an_amount_may_be_that_of_an_open_update() -> None:
    """While an update is open both its amount and the one before fit."""
    update = make_operation(Kind.UPDATE, amount=Decimal("80.00"))
    for amount in ("80.00", "100.00"):
        assert apply_fact(make_payment(), saw(amount=amount), operation=update).payment.review is None


def test_a_smaller_captured_total_is_old_news() -> None:
    """A smaller total than known moves nothing and contradicts nothing."""
    payment = make_payment(State.CAPTURED)
    for captured in ("0.00", "60.00"):
        assert apply_fact(payment, saw(Stage.CAPTURED, captured=captured)).payment == payment


def test_the_first_review_reason_stands() -> None:
    """A second reason does not replace the first, and makes no version."""
    payment = make_payment(review=Review(reason=ReviewReason.REFERENCE, since=AT))
    assert apply_fact(payment, saw(currency="EUR")).payment == payment


def test_review_does_not_stop_facts() -> None:
    """A payment under review still moves by proof."""
    payment = make_payment(review=Review(reason=ReviewReason.REFERENCE, since=AT))
    assert apply_fact(payment, saw(Stage.CAPTURED)).payment.state is State.CAPTURED


# References of attempts


def test_processing_under_another_reference_is_refused() -> None:
    """Two processing callbacks with different references, both present, are two attempts."""
    payment = make_payment(State.PROCESSING, provider_reference="T-1")
    change = apply_fact(
        payment, saw(Stage.PROCESSING, provider_reference="T-2"), cause=Cause.CALLBACK, policy=WITHOUT_LOOKUPS
    )
    assert (change.payment, change.event, change.refusal) == (payment, None, Reason.IN_PROGRESS)


@pytest.mark.parametrize(("known", "named"), [("T-1", None), (None, "T-2"), ("T-1", "T-1"), (None, None)])
def test_an_absent_reference_is_no_difference(known: str | None, named: str | None) -> None:
    """Where one of the two names no reference there is no second attempt."""
    payment = make_payment(State.PROCESSING, provider_reference=known)
    seen = saw(Stage.PROCESSING, provider_reference=named)
    assert apply_fact(payment, seen, cause=Cause.CALLBACK, policy=WITHOUT_LOOKUPS).refusal is None


@pytest.mark.parametrize("state", [State.AWAITING_CUSTOMER, State.PROCESSING, State.EXPIRED])
@pytest.mark.parametrize("stage", [Stage.CAPTURED, Stage.FAILED])
def test_a_different_reference_in_the_final_callback_is_applied_and_noted(state: State, stage: Stage) -> None:
    """Where the reference is not a lookup key, the final callback's own counts; the one before is kept in the event."""
    payment = make_payment(state, provider_reference="T-1")
    change = apply_fact(payment, saw(stage, provider_reference="T-2"), cause=Cause.CALLBACK, policy=WITHOUT_LOOKUPS)
    assert (change.payment.provider_reference, change.refusal) == ("T-2", None)
    assert change.event is not None
    assert change.event.details["provider_reference_before"] == "T-1"


@pytest.mark.parametrize("state", [State.CAPTURED, State.FAILED, State.EXPIRED])
def test_a_callback_that_moves_nothing_changes_no_reference(state: State) -> None:
    """A reference is replaced only together with a later stage."""
    payment = make_payment(state, provider_reference="T-1")
    seen = saw(Stage.PROCESSING, provider_reference="T-2")
    assert apply_fact(payment, seen, cause=Cause.CALLBACK, policy=WITHOUT_LOOKUPS).payment == payment
