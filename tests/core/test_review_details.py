"""The sentence that a review has: what was seen and what was expected, for every reason."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core import documents
from gateway.core.facts import Cause, Stage
from gateway.core.payment import Review, ReviewReason, State
from gateway.core.review_details import review_detail
from gateway.core.states import apply
from tests.support.factories.payments import AT, LATER, POLICY, TOTAL, make_payment, saw

AMOUNT, CURRENCY, REFERENCE = ReviewReason.AMOUNT, ReviewReason.CURRENCY, ReviewReason.REFERENCE
CONTRADICTION, PAID_LATE = ReviewReason.CONTRADICTION, ReviewReason.PAID_LATE
TWO, UNCLEAR = ReviewReason.TWO_LIVE_ORDERS, ReviewReason.REFUND_UNCLEAR
HELD: dict[str, Any] = {"provider_reference": "PHP-1"}


@pytest.mark.parametrize(
    ("reason", "payment", "seen", "sentence"),
    [
        (AMOUNT, {}, saw(amount="90.00"), "the provider shows 90.00 USD; this payment is of 100.00 USD"),
        (AMOUNT, {}, saw(amount="90.005"), "the provider shows 90.005 USD; this payment is of 100.00 USD"),
        (
            AMOUNT,
            {},
            saw(Stage.CAPTURED, amount="100.00", captured="150.00"),
            "the provider shows 150.00 captured; this payment is of 100.00 USD",
        ),
        (AMOUNT, {}, saw(disputed="101"), "the provider shows 101 disputed; this payment is of 100.00 USD"),
        (
            CONTRADICTION,
            {"state": State.AUTHORIZED},
            saw(Stage.AUTHORIZED, disputed="5.00"),
            "the provider shows 5.00 disputed; this payment is authorized, and nothing was captured",
        ),
        (AMOUNT, {}, saw(refunded="-1"), "the provider shows -1 refunded; this payment is of 100.00 USD"),
        (
            AMOUNT,
            {},
            saw(amount="120.00", captured="120.00"),
            "the provider shows 120.00 USD, 120.00 captured; this payment is of 100.00 USD",
        ),
        (CURRENCY, {}, saw(currency="EUR"), "the provider shows EUR; this payment is in USD"),
        (REFERENCE, {}, saw(merchant_reference="SO-2"), "the provider shows reference SO-2 where this is SO-1"),
        (REFERENCE, HELD, saw(provider_reference="PHP-2"), "the provider shows key PHP-2 where this is PHP-1"),
        (
            CONTRADICTION,
            {"state": State.FAILED},
            saw(Stage.CAPTURED, raw_status="1"),
            "the provider shows captured (status 1); this payment is failed",
        ),
        (
            CONTRADICTION,
            {"state": State.CAPTURED, **HELD},
            saw(Stage.FAILED, provider_reference="PHP-2"),
            "the provider shows failed; this payment is captured; it names PHP-2, this payment is PHP-1",
        ),
        (
            CONTRADICTION,
            {"state": State.CAPTURED, "captured": TOTAL, **HELD},
            saw(Stage.CAPTURED, provider_reference="PHP-2"),
            "the provider shows a success of PHP-2; this payment is PHP-1: the customer may have paid twice",
        ),
        (
            PAID_LATE,
            {"state": State.EXPIRED, "expired_at": AT},
            saw(Stage.CAPTURED),
            "the provider shows captured; this payment expired at 2026-01-02 03:04 UTC, and the time for late payments"
            " is over",
        ),
        (
            TWO,
            {"replaced_by": "pay_2"},
            None,
            "pay_2 and this payment may both be paid: they are for one reference, SO-1",
        ),
        (TWO, {}, None, "this payment and another may both be paid: they are for one reference, SO-1"),
        (
            UNCLEAR,
            {},
            saw(Stage.CANCELED, refunded="0.00", raw_status="canceled"),
            "the provider shows 0.00 refunded and status canceled; on record are 0 USD refunded",
        ),
    ],
)
def test_what_was_seen_and_expected(reason: ReviewReason, payment: dict[str, Any], seen: Any, sentence: str) -> None:
    """With both numbers or both names."""
    assert review_detail(reason, make_payment(**payment), seen) == sentence


def test_a_flag_that_a_fact_raises_has_its_sentence() -> None:
    """The payment and its event say the same."""
    seen = saw(Stage.AUTHORIZED, amount="90.00")
    made = apply(make_payment(State.AUTHORIZED), None, seen, cause=Cause.LOOKUP, policy=POLICY, at=LATER)
    assert made.payment.review is not None
    assert made.event is not None
    assert made.payment.review.detail == "the provider shows 90.00 USD; this payment is of 100.00 USD"
    assert made.event.details["detail"] == made.payment.review.detail


def test_every_reason_has_a_sentence_without_anything_seen() -> None:
    """A refused create and two orders are found without an observation."""
    assert all(review_detail(reason, make_payment(), None) for reason in ReviewReason)


def test_a_sentence_ends() -> None:
    """However long a provider's reference is."""
    assert len(review_detail(REFERENCE, make_payment(), saw(merchant_reference="x" * 9000))) == 500


def test_a_review_that_was_stored_without_a_sentence_is_read() -> None:
    """Stores of an older gateway have none."""
    payment = make_payment(review=Review(reason=AMOUNT, since=AT, detail="x"))
    older = documents.encode(payment).replace(',"detail":"x"', "")
    assert documents.payment(older).review == Review(reason=AMOUNT, since=AT)
