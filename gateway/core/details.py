"""What an event says besides its states: amounts, references, the provider's own words. Texts only. Pure.

One place fills them in, by comparing the payment before and after; what only a rule knows (why a review was raised, who
decided) is noted by that rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from gateway.core.commands import Kind
from gateway.core.facts import Cause, Observation
from gateway.core.ids import refund_id
from gateway.core.money import Money
from gateway.core.payment import Operation, Payment, State, Status

_MADE_BY = {State.CAPTURED: Kind.CAPTURE, State.CANCELED: Kind.CANCEL}
"""State -> the command that leads to it from here; a lookup that shows it without one shows somebody else's work."""

Pairs = Iterator[tuple[str, str]]


def of_change(
    before: Payment, after: Payment, operation: Operation | None, seen: Observation | None, cause: Cause
) -> dict[str, str]:
    """The details of one version. ``operation``: the one whose outcome this is, if any; ``seen``: what was proved."""
    found = {**dict(_amounts(before, after)), **dict(_outcome(operation))}
    if found:
        found["currency"] = after.money.currency
    if after.failure is not None and after.failure != before.failure:
        found |= _failure(after.failure.code, after.failure.provider_code)
    if seen is not None:
        found |= dict(_shown(before, after, operation, seen, cause))
    is_moved = found or after.state is not before.state or after.provider_reference != before.provider_reference
    if is_moved and after.provider_reference is not None:
        found["provider_reference"] = after.provider_reference
    return found


def of_create(payment: Payment, operation: Operation) -> dict[str, str]:
    """The details of a payment's first version."""
    money = payment.money
    return {"operation_id": operation.id, "amount": money.text(), "currency": money.currency}


def _amounts(before: Payment, after: Payment) -> Pairs:
    money = after.money
    if after.captured != before.captured:
        yield "amount_captured", _text(money, after.captured)
    if after.refunded != before.refunded:
        yield "amount", _text(money, after.refunded - before.refunded)
        yield "amount_refunded", _text(money, after.refunded)
    elif money != before.money:
        yield "amount", money.text()
        yield "amount_before", before.money.text()


def _outcome(operation: Operation | None) -> Pairs:
    """Which refund this is, or what it was that did not succeed; of anything else the payment's own amounts tell."""
    if operation is None or operation.is_open or operation.kind is Kind.CREATE:
        return
    if operation.kind is Kind.REFUND:
        yield "refund_id", refund_id(operation.id)
    if operation.kind is Kind.REFUND or operation.status is not Status.SUCCEEDED:
        yield "kind", operation.kind
        yield "amount", f"{operation.amount:f}"
    if operation.failure is not None:
        yield from _failure(operation.failure.code, operation.failure.provider_code).items()


def _failure(code: str, provider_code: str | None) -> dict[str, str]:
    said = {"provider_code": provider_code} if provider_code else {}
    return {"failure": code, **said}


def _shown(before: Payment, after: Payment, operation: Operation | None, seen: Observation, cause: Cause) -> Pairs:
    if seen.raw_status is not None:
        yield "provider_status", seen.raw_status
    if after.review is not None and before.review is None:
        yield from _misfit(after, seen)
    makes = _MADE_BY.get(after.state)
    is_ours = operation is not None and operation.kind is makes
    if cause is Cause.LOOKUP and after.state is not before.state and makes is not None and not is_ours:
        yield "made_elsewhere", "true"
        yield "note", f"{after.state} at the provider; no {makes} was sent from here"


def _misfit(payment: Payment, seen: Observation) -> Pairs:
    """What the provider named, where a person must look because of it."""
    if seen.amount is not None and seen.amount != payment.money.amount:
        yield "provider_amount", f"{seen.amount:f}"
    if seen.currency is not None and seen.currency != payment.money.currency:
        yield "provider_currency", seen.currency
    if seen.provider_reference not in (None, payment.provider_reference):
        yield "provider_named", seen.provider_reference or ""


def _text(money: Money, amount: Decimal) -> str:
    return f"{amount:.{money.digits}f}"
