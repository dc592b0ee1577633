"""A change as one unit of work: payment, operation, event, webhook and stored answer, in one transaction."""

from __future__ import annotations

from gateway.core.commands import Kind
from gateway.core.payment import Operation, Payment, PaymentEvent
from gateway.core.states import Change
from gateway.core.views import payment_with_operation, to_json, webhook_body
from gateway.drivers.store import statements
from gateway.drivers.store.queries import Loaded
from gateway.drivers.store.statements import Statement
from gateway.flows.context import Gateway

SUCCESS_STATUS = {Kind.CREATE: 201, Kind.REFUND: 201}
"""The status of an answer to a settled operation; every other kind answers 200."""


def changed(gw: Gateway, before: Loaded, change: Change, *, next_operation: Operation | None = None) -> list[Statement]:
    """The statements of a change made on ``before``; nothing moved means no statement.

    ``next_operation`` is reserved in the same transaction as this one is settled.
    """
    payment, operation = change.payment, change.operation
    pending = next_operation or (operation if operation is not None and operation.is_open else None)
    touched = operation != before.pending
    unit: list[Statement] = []
    if touched or payment != before.payment or next_operation is not None:
        open_after = pending.id if pending is not None else None
        unit.append(
            statements.update_payment(before.payment, payment, open_before=before.pending_id, open_after=open_after)
        )
    if operation is not None and touched:
        unit.append(statements.update_operation(operation))
        if not operation.is_open and operation.idempotency_key is not None and next_operation is None:
            unit.append(answer_statement(payment, operation))
    if next_operation is not None:
        unit.append(statements.insert_operation(next_operation))
    if change.event is not None:
        unit += told(gw, payment, change.event, pending)
    return unit


def told(gw: Gateway, payment: Payment, event: PaymentEvent, pending: Operation | None) -> list[Statement]:
    """The event's row and, where the tenant listens, its webhook."""
    event_id = gw.new_id("evt")
    unit = [statements.insert_event(event_id, payment, event)]
    if gw.tenant(payment.tenant).webhook is not None:
        body = webhook_body(event, payment, pending)
        unit.append(statements.insert_delivery(gw.new_id("dlv"), event_id, payment, event, body))
    return unit


def answer_statement(payment: Payment, operation: Operation) -> Statement:
    """Store what the request that made a settled operation is answered with, now and on every repetition."""
    status = SUCCESS_STATUS.get(operation.kind, 200)
    return statements.store_answer(operation, status, to_json(payment_with_operation(payment, None, operation)))


async def commit(gw: Gateway, unit: list[Statement], change: Change) -> None:
    """Commit a change, then wake the webhooks and tell the observers. Raises ``Conflict`` or ``Unavailable``."""
    if not unit:
        return
    await gw.store.commit(unit)
    if change.event is not None:
        gw.webhooks_due.set()
        gw.observe(change.payment, change.event)
