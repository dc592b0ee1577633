"""A change as one unit of work: payment, operation, event, webhook, stored answer and next look, in one transaction.

Everything that moves a payment comes through ``record``: replies, callbacks, lookups, the clock, people.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from gateway.core.change import Change
from gateway.core.commands import Kind
from gateway.core.payment import Operation, Payment, PaymentEvent
from gateway.core.schedule import next_check_at
from gateway.core.signing import sha256_hex
from gateway.core.views import operation_answer, refund_view, webhook_body
from gateway.drivers.store import deliveries, schedule, statements
from gateway.drivers.store.deliveries import DeliveryRow
from gateway.drivers.store.reads import PaymentSnapshot
from gateway.drivers.store.statements import Statement, milliseconds
from gateway.flows.cascade import consequences
from gateway.flows.restore import with_doubt
from gateway.flows.runtime import Gateway, log

SUCCESS_STATUS = {Kind.CREATE: 201, Kind.REFUND: 201}
"""The status of an answer to a settled operation; every other kind answers 200."""


async def record(
    gw: Gateway,
    before: PaymentSnapshot,
    change: Change,
    *,
    rows: Sequence[Statement] = (),
    next_operation: Operation | None = None,
) -> Change:
    """Commit a change made on ``before`` together with ``rows``; then wake the workers and tell the observers.

    ``next_operation`` is reserved in the transaction that settles this one. Returns the change as it was recorded:
    a second payment of the same reference, or a restore, may add a review flag. Raises ``Conflict`` or ``Unavailable``.
    """
    change, others = await consequences(gw, with_doubt(gw, before, change))
    unit = [*rows, *_changed(gw, before, change, next_operation)]
    for other_before, other, hold in others:
        unit += [*_changed(gw, other_before, other, None), *hold]
    operation = change.operation
    if (
        next_operation is None
        and operation is not None
        and operation != before.open_operation
        and not operation.is_open
    ):
        unit += await _answered(gw, change, operation, [other for _, other, _ in others])
    if unit:
        await gw.store.commit(unit)
        _wake_agenda(gw, change, next_operation, has_others=bool(others))
    for made in (change, *(other for _, other, _ in others)):
        if made.event is not None:
            tell(gw, made.payment, made.event)
    return change


def _wake_agenda(gw: Gateway, change: Change, next_operation: Operation | None, *, has_others: bool) -> None:
    """Tell the agenda's worker of the payment's next moment; what else was moved with it may be due at once."""
    due = None if has_others else first_look(gw, change.payment, next_operation or change.open_operation)
    if has_others or due is not None:
        gw.agenda_alarm.no_later_than(0 if due is None else milliseconds(due))


def tell(gw: Gateway, payment: Payment, event: PaymentEvent) -> None:
    """After a commit: the tenant's webhooks, and the plugins' observers once whoever waits has been answered.

    A status that is not known here is an alert to the operators, too.
    """
    if "unknown_status" in event.details:
        where = {"payment_id": payment.id, "tenant": payment.tenant, "account": payment.account}
        said = {"provider": payment.provider, "provider_status": event.details["unknown_status"]}
        log.warning("the provider named a status that is not known", extra={**where, **said})
    gw.webhook_alarms[payment.tenant].no_later_than(milliseconds(_due_at(gw, event)))
    asyncio.get_running_loop().call_soon(gw.observe, payment, event)


def told(
    gw: Gateway,
    payment: Payment,
    event: PaymentEvent,
    open_operation: Operation | None,
    operation: Operation | None = None,
) -> list[Statement]:
    """The event's row and, where the tenant listens, its webhook. ``operation`` is the one whose outcome this is."""
    event_id = gw.new_id("evt")
    unit = [statements.insert_event(event_id, payment, event)]
    webhook = gw.tenant(payment.tenant).webhook
    if webhook is not None:
        is_refund = operation is not None and operation.kind is Kind.REFUND
        refund = refund_view(payment, operation) if is_refund and operation is not None else None
        row = DeliveryRow(
            tenant=payment.tenant,
            id=gw.new_id("dlv"),
            event_id=event_id,
            payment_id=payment.id,
            type=event.type,
            version=event.version,
            body=webhook_body(event, payment, open_operation, refund).decode(),
            next_attempt_at=milliseconds(_due_at(gw, event)),
            created_at=milliseconds(event.at),
        )
        unit.append(deliveries.insert_delivery(row, sha256_hex(webhook.url)))
    return unit


def _due_at(gw: Gateway, event: PaymentEvent) -> datetime:
    """When an event's webhook is tried first."""
    return event.at + gw.settings.clocks.webhook_retry[0]


def next_look_at(gw: Gateway, payment: Payment, open_operation: Operation | None) -> Statement:
    """When the payment must be looked at next, now that it has just changed."""
    return schedule.schedule_check(payment, first_look(gw, payment, open_operation))


def first_look(gw: Gateway, payment: Payment, open_operation: Operation | None) -> datetime | None:
    """The first moment of a payment's schedule, counted from now."""
    policy = gw.entry(payment).policy
    return next_check_at(payment, open_operation, tries=0, policy=policy, schedules=gw.schedules, at=gw.clock.now())


def _changed(gw: Gateway, before: PaymentSnapshot, change: Change, next_operation: Operation | None) -> list[Statement]:
    """The statements of one payment's change; nothing moved means no statement."""
    payment, operation = change.payment, change.operation
    open_operation = next_operation or change.open_operation
    touched = operation != before.open_operation
    unit: list[Statement] = []
    if touched or payment != before.payment or next_operation is not None:
        open_after = open_operation.id if open_operation is not None else None
        unit.append(
            statements.update_payment(
                before.payment, payment, open_before=before.open_operation_id, open_after=open_after
            )
        )
        unit.append(next_look_at(gw, payment, open_operation))
    if operation is not None and touched:
        unit.append(statements.update_operation(operation))
    if next_operation is not None:
        unit.append(statements.insert_operation(next_operation))
    if change.event is not None:
        unit += told(gw, payment, change.event, open_operation, operation if touched else None)
    return unit


async def _answered(gw: Gateway, change: Change, operation: Operation, others: Sequence[Change]) -> list[Statement]:
    """Store what the request that made a settled operation is answered with, now and on every repetition."""
    if operation.idempotency_key is None:
        return []
    payment, open_operation, status = change.payment, None, SUCCESS_STATUS.get(operation.kind, 200)
    if operation.answers_with is not None:
        asked = await gw.store.payment(operation.tenant, operation.answers_with)
        if asked is not None:
            moved = {other.payment.id: other.payment for other in others}
            payment, open_operation, status = moved.get(asked.payment.id, asked.payment), asked.open_operation, 200
    return [statements.store_answer(operation, status, operation_answer(payment, open_operation, operation))]
