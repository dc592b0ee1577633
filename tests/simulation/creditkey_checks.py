"""Checks of a payment and its operations against Credit Key's ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.core.commands import Kind
from gateway.core.payment import OPEN, FailureCode, Operation, Payment, State, Status
from tests.simulation.fake_creditkey import Order
from tests.simulation.ledgers import Ledgers

ALLOWED_STATES = {
    "new": {State.AWAITING_CUSTOMER, State.EXPIRED},
    "placed": {State.AUTHORIZED},
    "placed, not completed": {State.EXPIRED},
    "shipped": {State.CAPTURED, State.PARTIALLY_REFUNDED},
    "returned": {State.REFUNDED},
    "canceled": {State.CANCELED, State.EXPIRED},
}
"""Order in the ledger -> allowed states of its payment. An expired payment is not checked after its grace period."""

NO_EFFECT = (Status.DECLINED, Status.NOT_SENT)


def creditkey_problems(
    payment: Payment, operations: Sequence[Operation], ledgers: Ledgers, *, absence_proves: bool
) -> Iterator[str]:
    """Check a payment."""
    orders = ledgers.orders(payment.id)
    order = ledgers.creditkey.orders.get(payment.provider_reference or "")
    if payment.provider_reference is not None and (order is None or order.payment_id != payment.id):
        yield f"{payment.id} holds {payment.provider_reference}, which was not begun for it"
        return
    if len(orders) > 1:
        yield f"promise 1: doubled: {payment.id} began {[one.key for one in orders]}"
    pending = next((one for one in operations if one.status in OPEN), None)
    if order is not None and payment.review is None:
        yield from _mismatches(payment, order)
    if order is None and not (pending is not None and pending.kind is Kind.CREATE):
        yield from (f"promise 1: lost: {payment.id} is {payment.state} beside {one.key}" for one in orders)
    if pending is not None and payment.review is None:
        yield from _unresolved(payment, pending, ledgers, absence_proves=absence_proves)


def _mismatches(payment: Payment, order: Order) -> Iterator[str]:
    standing = "placed, not completed" if order.status == "placed" and not order.completed else order.status
    if payment.state not in ALLOWED_STATES[standing]:
        yield f"{payment.id} is {payment.state}, {order.key} is {standing}"
    captured = order.amount if order.capture_status == "captured" else 0
    if (payment.captured, payment.refunded) != (captured, order.refunded) and payment.state is not State.EXPIRED:
        yield (
            f"{payment.id} took {payment.captured} and gave {payment.refunded}, "
            f"{order.key} says {captured} and {order.refunded}"
        )
    if payment.state in (State.AWAITING_CUSTOMER, State.AUTHORIZED) and payment.money.amount != order.amount:
        yield f"{payment.id} is worth {payment.money.amount}, {order.key} {order.amount}"


def _unresolved(payment: Payment, pending: Operation, ledgers: Ledgers, *, absence_proves: bool) -> Iterator[str]:
    if pending.kind is not Kind.CREATE:
        yield f"promise 1: unresolved: {pending.id} ({pending.kind}) of {payment.id}"
        return
    orders = ledgers.orders(payment.id)
    is_findable = orders and orders[-1].number is not None
    if is_findable or (absence_proves and not orders):
        yield f"promise 1: unresolved: {pending.id} (create) of {payment.id}, orders {[one.key for one in orders]}"


def operation_problems(payment: Payment, operation: Operation, ledgers: Ledgers) -> Iterator[str]:
    """Check one operation by its effects in the ledger."""
    effects = ledgers.effects(operation.id)
    name = f"{operation.id} ({operation.kind}) of {payment.id}"
    may_be_proxy_copy = operation.kind is Kind.UPDATE
    if len(effects) > 1 and not may_be_proxy_copy:
        yield f"promise 1: doubled: {name} did {effects}"
    if _was_declined(operation) and not ledgers.was_refused(operation.id):
        yield f"{name} counts as declined, and was not declined"
    if payment.review is not None:
        return
    shows_nothing = operation.kind is Kind.COMPLETE or (
        operation.kind is Kind.UPDATE and operation.amount == operation.before.amount
    )
    if effects and operation.status in NO_EFFECT and not shows_nothing:
        yield f"{name} is {operation.status}, and it happened"
    if operation.status is Status.SUCCEEDED and not effects and not _was_done_by_another(payment, operation, ledgers):
        yield f"{name} succeeded, and it did not happen"


def _was_declined(operation: Operation) -> bool:
    return operation.failure is not None and operation.failure.code is FailureCode.DECLINED


def _was_done_by_another(payment: Payment, operation: Operation, ledgers: Ledgers) -> bool:
    """Whether another actor did what the operation asked for."""
    order = ledgers.creditkey.orders.get(payment.provider_reference or "")
    if order is None:
        return False
    match operation.kind:
        case Kind.COMPLETE:
            return order.completed
        case Kind.CAPTURE:
            return order.capture_status == "captured"
        case Kind.CANCEL:
            return order.status == "canceled"
        case _:
            return False
