"""What an event says besides its states: amounts, references, the provider's own words. Texts only. Pure.

One place fills them in, by comparing the payment before and after; what only a rule knows (why a review was raised, who
decided) is noted by that rule.
"""

from __future__ import annotations

from gateway.core.commands import Kind
from gateway.core.facts import Cause, Observation
from gateway.core.ids import refund_id
from gateway.core.money import as_text
from gateway.core.payment import Failure, Operation, Payment, State, Status

_MADE_BY = {State.CAPTURED: (Kind.CAPTURE, Kind.CANCEL), State.CANCELED: (Kind.CANCEL,)}
"""State -> the commands that lead to it from here, the usual one first (a cancel releases the rest of a payment that is
captured in parts); a lookup that shows it without one shows somebody else's work."""

Details = dict[str, str]


def details_of_change(
    before: Payment, after: Payment, operation: Operation | None, seen: Observation | None, cause: Cause
) -> Details:
    """The details of one version. ``operation``: the one whose outcome this is, if any; ``seen``: what was proved."""
    found: Details = {}
    _add_amounts(found, before, after)
    if operation is not None and not operation.is_open and operation.kind is not Kind.CREATE:
        _add_outcome(found, operation)
    if found:
        found["currency"] = after.money.currency
    if after.failure is not None and after.failure != before.failure:
        _add_failure(found, after.failure)
    if seen is not None:
        _add_shown(found, before, after, seen)
    is_moved = found or after.state is not before.state or after.provider_reference != before.provider_reference
    if is_moved and after.provider_reference is not None:
        found["provider_reference"] = after.provider_reference
    if cause is Cause.LOOKUP and after.state is not before.state and after.state in _MADE_BY:
        _add_maker(found, after.state, operation)
    return found


def details_of_create(payment: Payment, operation: Operation) -> dict[str, str]:
    """The details of a payment's first version."""
    money = payment.money
    return {"operation_id": operation.id, "amount": money.text(), "currency": money.currency}


def _add_amounts(found: Details, before: Payment, after: Payment) -> None:
    money = after.money
    if after.captured != before.captured:
        found["amount_captured"] = as_text(after.captured, money)
    if after.disputed != before.disputed:
        found["amount"] = as_text(after.disputed - before.disputed, money)
        found["amount_disputed"] = as_text(after.disputed, money)
    if after.refunded != before.refunded:
        found["amount"] = as_text(after.refunded - before.refunded, money)
        found["amount_refunded"] = as_text(after.refunded, money)
    elif money is not before.money and money != before.money:
        found["amount"], found["amount_before"] = money.text(), before.money.text()


def _add_outcome(found: Details, operation: Operation) -> None:
    """Which refund this is, or which command did not succeed; every other outcome shows in the payment's amounts."""
    if operation.kind is Kind.REFUND:
        found["refund_id"] = refund_id(operation.id)
    if operation.kind is Kind.REFUND or operation.status is not Status.SUCCEEDED:
        found["kind"], found["amount"] = operation.kind, f"{operation.amount:f}"
    if operation.failure is not None:
        _add_failure(found, operation.failure)


def _add_failure(found: Details, failure: Failure) -> None:
    found["failure"] = failure.code
    if failure.provider_code:
        found["provider_code"] = failure.provider_code


def _add_shown(found: Details, before: Payment, after: Payment, seen: Observation) -> None:
    """The provider's word, and what it named where that raised the review flag."""
    if seen.raw_status is not None:
        found["provider_status"] = seen.raw_status
    if after.review is None or before.review is not None:
        return
    if seen.amount is not None and seen.amount != after.money.amount:
        found["provider_amount"] = f"{seen.amount:f}"
    if seen.currency is not None and seen.currency != after.money.currency:
        found["provider_currency"] = seen.currency
    if seen.provider_reference is not None and seen.provider_reference != after.provider_reference:
        found["provider_named"] = seen.provider_reference


def _add_maker(found: Details, state: State, operation: Operation | None) -> None:
    """Nobody here asked for what a lookup shows, as when a provider gives a payment up."""
    made_by = _MADE_BY[state]
    if operation is None or operation.kind not in made_by:
        found["made_elsewhere"] = "true"
        found["note"] = f"{state} at the provider; no {made_by[0]} from here was under way"
