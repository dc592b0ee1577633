"""Whether an observation can be about this payment: compare currency, totals and ids. Pure."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from msgspec.structs import replace

from gateway.core.commands import Kind
from gateway.core.facts import Observation, Stage
from gateway.core.money import quantized, rounded_down
from gateway.core.payment import Operation, Payment, ReviewReason, State, Status
from gateway.core.rules import Actual, AmountRule, Policy, Rules, amount_matches
from gateway.core.state_members import MONEY_TAKEN


def with_currency_digits(seen: Observation, digits: int, rule: AmountRule) -> Observation:
    """Give the amounts the currency's digits; one that does not fit becomes NaN, which is a mismatch."""
    received = rounded_down if isinstance(rule, Actual) and rule.round_down else quantized
    amount = _exact(seen.amount, digits, received)
    if seen.captured is seen.refunded is seen.disputed is None:
        return seen if amount is None else replace(seen, amount=amount)  # as most
    return replace(
        seen,
        amount=amount,
        captured=_exact(seen.captured, digits, quantized),
        refunded=_exact(seen.refunded, digits, quantized),
        disputed=_exact(seen.disputed, digits, quantized),
    )


def _exact(amount: Decimal | None, digits: int, made: Callable[[Decimal, int], Decimal]) -> Decimal | None:
    try:
        return None if amount is None else made(amount, digits)
    except ValueError:
        return Decimal("NaN")


def truncated_amount_details(said: Observation, seen: Observation) -> dict[str, str]:
    """The amount as it was received, for the event, where decimals beyond the currency's were cut off."""
    if said.amount is None or seen.amount is None or seen.amount.is_nan() or said.amount == seen.amount:
        return {}
    return {"amount_received": f"{said.amount:f}"}


def is_fully_refunded(payment: Payment, seen: Observation) -> bool:
    """Whether all that was captured has gone back."""
    return bool(payment.captured) and seen.refunded is not None and seen.refunded >= payment.captured


def mismatch_of(
    payment: Payment, operation: Operation | None, seen: Observation, policy: Policy
) -> ReviewReason | None:
    """Return the first thing in a proved observation that cannot belong to this payment; None when all of it can."""
    if seen.currency is not None and seen.currency != payment.money.currency:
        return ReviewReason.CURRENCY
    if not _totals_fit(payment, operation, seen, policy):
        return ReviewReason.AMOUNT
    known = payment.provider_reference
    if names_another_payment(payment, seen) or (
        policy.lookups and known and seen.provider_reference not in (None, known)
    ):
        return ReviewReason.REFERENCE
    return None


def names_another_payment(payment: Payment, seen: Observation) -> bool:
    """Whether it names a payment id or a merchant reference that belongs to another payment."""
    is_same_id = seen.payment_id in (None, payment.id)
    return not (is_same_id and seen.merchant_reference in (None, payment.merchant_reference))


def paid_again_by(payment: Payment, seen: Observation) -> str | None:
    """The transaction of a success that is not the one by which the payment was captured: money may have come twice.

    Where an operator entered the capture and named no transaction, the first success is the one.
    """
    known, named = payment.provider_reference, seen.provider_reference
    is_second = payment.state in MONEY_TAKEN and payment.stated != "" and seen.stage is Stage.CAPTURED
    return named if is_second and known is not None and named != known else None


def denies_statement(payment: Payment, seen: Observation, policy: Policy) -> bool:
    """Whether a proved success is of another total than the one that an operator entered."""
    if payment.stated is None or payment.state not in MONEY_TAKEN or seen.stage is not Stage.CAPTURED:
        return False
    if seen.captured is not None:
        return seen.captured != payment.captured
    unstated = replace(payment, captured=Decimal(0))
    return payment.captured not in (seen.amount, captured_by(unstated, None, seen, policy))


def _totals_fit(payment: Payment, operation: Operation | None, seen: Observation, policy: Policy) -> bool:
    """Whether the amounts can be this payment's: none negative, no more captured than agreed, none returned that was
    not taken, by a refund or by a dispute.

    Under a known total a smaller one is old news; a larger captured one is not once the payment is captured.
    """
    if seen.captured is seen.refunded is seen.disputed is None and seen.amount in (None, payment.money.amount):
        return True  # as most: the agreed amount, which is above zero, fits under every rule
    totals = (seen.captured, seen.refunded, seen.disputed)
    if any(amount is not None and (amount.is_nan() or amount < 0) for amount in totals):
        return False
    expected = _expected(payment, operation)
    if seen.amount is not None and not _one_fits(seen.amount, expected, policy.rules):
        return False
    if seen.captured is not None and not _captured_fits(payment, expected, seen, seen.captured, policy.rules):
        return False
    returned = max(seen.refunded or Decimal(0), seen.disputed or Decimal(0))
    if not returned:
        return True
    taken = max(payment.captured, seen.captured or Decimal(0)) or captured_by(payment, operation, seen, policy)
    return returned <= taken


def _expected(payment: Payment, operation: Operation | None) -> set[Decimal]:
    """The amounts a provider may name: the payment's, what was captured, that of an open update or capture."""
    expected = {payment.money.amount}
    if payment.captured:
        expected.add(payment.captured)
    if operation is not None and operation.kind in (Kind.UPDATE, Kind.CAPTURE):
        expected.add(operation.amount)
    return expected


def _one_fits(amount: Decimal, expected: set[Decimal], rules: Rules) -> bool:
    return not amount.is_nan() and any(amount_matches(rules.amount, amount, one) for one in expected)


def _captured_fits(payment: Payment, expected: set[Decimal], seen: Observation, total: Decimal, rules: Rules) -> bool:
    if payment.captured and payment.state is not State.AUTHORIZED:
        return total <= payment.captured
    if total == 0:
        return seen.stage is not Stage.CAPTURED
    return total <= max(expected) or _one_fits(total, expected, rules)


def captured_by(payment: Payment, operation: Operation | None, seen: Observation, policy: Policy) -> Decimal:
    """What was taken: the provider's total, else what was received (rule Actual), else the capture's, else all.

    Where parts were captured before, never less than them: the capture's comes on top, and all is what they were.
    """
    if seen.captured:
        return max(seen.captured, payment.captured)
    if isinstance(policy.rules.amount, Actual) and seen.amount is not None:
        return seen.amount
    if operation is not None and operation.kind is Kind.CAPTURE and operation.status is not Status.DECLINED:
        return max(payment.captured, operation.before.captured + operation.amount)
    return payment.captured or payment.money.amount
