"""Checks of a payment and its operations against the acquirer's ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from gateway.core.commands import Kind
from gateway.core.payment import OPEN, FailureCode, Operation, Payment, ReviewReason, State, Status
from tests.simulation.fake_acquirer import CardPayment, Entry
from tests.simulation.ledgers import Ledgers

ALLOWED_STATES = {
    "awaiting_customer": {State.AWAITING_CUSTOMER, State.EXPIRED},
    "authorized": {State.AUTHORIZED},
    "captured": {State.CAPTURED, State.PARTIALLY_REFUNDED, State.REFUNDED},
    "canceled": {State.CANCELED, State.EXPIRED},
    "failed": {State.FAILED, State.EXPIRED},
}
"""Stage in the ledger -> allowed states of its payment."""

WITHOUT_PAYMENT = {State.CREATED, State.FAILED, State.EXPIRED}


def acquirer_problems(payment: Payment, operations: Sequence[Operation], ledgers: Ledgers) -> Iterator[str]:
    """Check a payment and its operations."""
    card = ledgers.acquirer.payments.get(payment.id)
    for operation in operations:
        yield from _operation_problems(payment, operation, card, ledgers)
    if card is None:
        if payment.state not in WITHOUT_PAYMENT:
            yield f"{payment.id} is {payment.state}, and the acquirer does not know it"
        return
    yield from _totals(payment, operations, card)
    if payment.review is None and payment.state not in ALLOWED_STATES[card.stage]:
        yield f"{payment.id} is {payment.state}, {card.reference} is {card.stage}"


def _totals(payment: Payment, operations: Sequence[Operation], card: CardPayment) -> Iterator[str]:
    """A reversed refund goes to review and changes no total: what went back counts until a person says otherwise."""
    done = [one for one in operations if one.kind is Kind.REFUND and one.status is Status.SUCCEEDED]
    refunded = sum((card.entries[one.id].amount for one in done if one.id in card.entries), Decimal(0))
    if payment.refunded != refunded:
        yield f"promise 1: {payment.id} gave {payment.refunded}, its refunds come to {refunded}"
    if payment.captured != card.captured:
        yield f"promise 1: {payment.id} took {payment.captured}, {card.reference} says {card.captured}"
    reversed_ones = [one.id for one in done if (one.id, "reversed") in card.told]
    if reversed_ones and (payment.review is None or payment.review.reason is not ReviewReason.REFUND_REVERSED):
        yield f"{payment.id} is not under review for {reversed_ones}, which were reversed"


def _operation_problems(
    payment: Payment, operation: Operation, card: CardPayment | None, ledgers: Ledgers
) -> Iterator[str]:
    entry = card.entries.get(operation.id) if card is not None else None
    name = f"{operation.id} ({operation.kind}) of {payment.id}"
    was_declined = operation.failure is not None and operation.failure.code is FailureCode.DECLINED
    if was_declined and not _was_refused(operation, entry, ledgers):
        yield f"{name} counts as declined, and was not declined"
    if operation.status is Status.SUCCEEDED and (entry is None or entry.status in ("pending", "failed")):
        yield f"{name} succeeded, and it did not happen"
    if operation.status is Status.NOT_SENT and entry is not None:
        yield f"{name} was not sent, and it arrived"
    if payment.review is None and operation.status is Status.DECLINED and entry is not None and entry.status == "done":
        yield f"{name} is declined, and it happened"
    if payment.review is None and operation.status in OPEN:
        yield f"promise 1: unresolved: {name}"


def _was_refused(operation: Operation, entry: Entry | None, ledgers: Ledgers) -> bool:
    has_failed = entry is not None and entry.status in ("failed", "reversed")
    return has_failed or ledgers.was_refused(operation.id)
