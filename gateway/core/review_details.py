"""Why a payment is under review, as one sentence for people: what was seen, and what was expected. Pure.

The texts of providers in it were cleaned and masked when they were read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from gateway.core.facts import Observation, Stage
from gateway.core.matching import paid_again_by
from gateway.core.payment import Payment, ReviewReason

MAX_DETAIL_CHARACTERS = 500
"""Characters of a sentence."""

UNRECORDED_CAPTURE = "more was captured than the restored store knew of: who asked for it was on record until then"
UNRECORDED_REFUND = "more was refunded than the restored store knew of: who asked for it was on record until then"


def review_detail(reason: ReviewReason, payment: Payment, seen: Observation | None) -> str:
    """Say what raised the review flag of a payment. ``seen``: what the provider said; None where it said nothing."""
    return _SENTENCES[reason](payment, seen or Observation(stage=Stage.UNKNOWN))[:MAX_DETAIL_CHARACTERS]


def _amount(payment: Payment, seen: Observation) -> str:
    money = payment.money
    if payment.stated is not None and seen.stage is Stage.CAPTURED:
        shown = seen.amount if seen.captured is None else seen.captured
        total = "a success" if shown is None else f"{shown:f} {money.currency} captured"
        return f"the provider shows {total}; an operator entered {payment.captured:f} {money.currency}"
    found = ", ".join(_amounts(payment, seen)) or "an amount that does not fit"
    return f"the provider shows {found}; this payment is of {money.text()} {money.currency}"


def _amounts(payment: Payment, seen: Observation) -> Iterator[str]:
    """The amounts that do not fit, each with what is on record."""
    agreed, taken = payment.money.amount, payment.captured
    if seen.amount is not None and seen.amount not in (agreed, taken):
        yield f"{seen.amount:f} {seen.currency or payment.money.currency}"
    if seen.captured not in (None, taken) or (seen.captured == 0 and seen.stage is Stage.CAPTURED):
        yield f"{seen.captured:f} captured"
    if seen.refunded not in (None, payment.refunded):
        yield f"{seen.refunded:f} refunded"
    if seen.disputed not in (None, payment.disputed):
        yield f"{seen.disputed:f} disputed"


def _currency(payment: Payment, seen: Observation) -> str:
    return f"the provider shows {seen.currency}; this payment is in {payment.money.currency}"


def _reference(payment: Payment, seen: Observation) -> str:
    pairs = (
        ("payment", seen.payment_id, payment.id),
        ("reference", seen.merchant_reference, payment.merchant_reference),
        ("key", seen.provider_reference, payment.provider_reference),
    )
    named = [f"{name} {theirs} where this is {ours}" for name, theirs, ours in pairs if theirs not in (None, ours)]
    return f"the provider shows {', '.join(named) or 'another order'}"


def _contradiction(payment: Payment, seen: Observation) -> str:
    if seen.disputed and not payment.captured:
        return (
            f"the provider shows {seen.disputed:f} disputed; this payment is {payment.state}, and nothing was captured"
        )
    if seen.stage is Stage.UNKNOWN:
        return f"the provider refused to begin this payment, which is {payment.state} by its own word"
    second = paid_again_by(payment, seen)
    if second is not None:
        was = payment.provider_reference
        return f"the provider shows a success of {second}; this payment is {was}: the customer may have paid twice"
    status = f" (status {seen.raw_status})" if seen.raw_status else ""
    theirs, ours = seen.provider_reference, payment.provider_reference
    another = f"; it names {theirs}, this payment is {ours}" if None not in (theirs, ours) and theirs != ours else ""
    return f"the provider shows {seen.stage}{status}; this payment is {payment.state}{another}"


def _paid_late(payment: Payment, seen: Observation) -> str:
    ended = "" if payment.expired_at is None else f" at {payment.expired_at:%Y-%m-%d %H:%M} UTC"
    return f"the provider shows {seen.stage}; this payment expired{ended}, and the time for late payments is over"


def _two_live_orders(payment: Payment, _: Observation) -> str:
    other = payment.replaced_by or payment.replaces
    beside = f"{other} and this payment" if other else "this payment and another"
    return f"{beside} may both be paid: they are for one reference, {payment.merchant_reference}"


def _refund_unclear(payment: Payment, seen: Observation) -> str:
    total = "no total" if seen.refunded is None else f"{seen.refunded:f} refunded"
    status = f" and status {seen.raw_status}" if seen.raw_status else ""
    return f"the provider shows {total}{status}; on record are {payment.refunded:f} {payment.money.currency} refunded"


def _refund_reversed(payment: Payment, _: Observation) -> str:
    return f"a refund did not succeed after all; on record are {payment.refunded:f} {payment.money.currency} refunded"


_SENTENCES: Mapping[ReviewReason, Callable[[Payment, Observation], str]] = {
    ReviewReason.AMOUNT: _amount,
    ReviewReason.CURRENCY: _currency,
    ReviewReason.REFERENCE: _reference,
    ReviewReason.CONTRADICTION: _contradiction,
    ReviewReason.PAID_LATE: _paid_late,
    ReviewReason.TWO_LIVE_ORDERS: _two_live_orders,
    ReviewReason.REFUND_UNCLEAR: _refund_unclear,
    ReviewReason.REFUND_REVERSED: _refund_reversed,
}
