"""Every version of every payment is made here: payment, operation, event, webhook and next check, in one transaction.

Whatever moves a payment comes here with a ``Change``: a create, replies, callbacks, lookups, the clock, operators.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import UNSET

from gateway.core.change import Change
from gateway.core.commands import Kind
from gateway.core.payment import Operation, PaymentEvent, State
from gateway.core.views import operation_answer, payment_json, refund_view, webhook_body
from gateway.drivers.clock import EPOCH, milliseconds
from gateway.drivers.store import statements
from gateway.drivers.store.reads import PaymentSnapshot
from gateway.drivers.store.statements import NewWebhook, Statement
from gateway.flows import cascade
from gateway.flows.cascade import Version
from gateway.flows.restore import with_duplicate_flag
from gateway.flows.runtime import Gateway, log

SUCCESS_STATUS = {Kind.CREATE: 201, Kind.REFUND: 201}
"""The HTTP status of an answer to a request whose operation has its outcome; every other kind answers 200."""


class OperationAnswer(NamedTuple):
    """What the request of an operation is answered with, now and whenever it is repeated: HTTP status and body."""

    status: int
    body: bytes


class Committed(NamedTuple):
    """A change as it was committed: a second payment of the same reference, or a restore, may add a review flag.

    ``answer``: stored with it, where the operation of a tenant's request has its outcome.
    """

    change: Change
    answer: OperationAnswer | None


async def commit_change(
    gw: Gateway,
    before: PaymentSnapshot,
    change: Change,
    *,
    rows: Sequence[Statement] = (),
    next_operation: Operation | None = None,
) -> Committed:
    """Commit a change made on ``before`` together with ``rows``, then wake the workers and notify.

    ``next_operation`` is reserved in the transaction that ends ``change.operation``. Raises ``Conflict`` or
    ``Unavailable``.
    """
    if gw.restored_at is not None:
        change = with_duplicate_flag(gw, before, change)
    others: list[Version] = []
    if _may_concern_others(change):
        change, others = await cascade.consequences(gw, change)
    versions = [Version(before, change, next_operation=next_operation), *others]
    answer = await _answer(gw, versions)
    unit = [*rows, *_rows_of(gw, versions, answer)]
    if unit:
        await gw.store.commit(unit)
    _notify(gw, versions, checks=bool(unit))
    return Committed(change, answer)


async def commit_submission(gw: Gateway, versions: Sequence[Version], rows: Sequence[Statement]) -> None:
    """Commit what a tenant's new operation makes of payments, ``rows`` before it, and notify.

    Raises ``Conflict`` or ``Unavailable``.
    """
    await gw.store.commit([*rows, *_rows_of(gw, versions)])
    _notify(gw, versions, checks=False)


def _may_concern_others(change: Change) -> bool:
    """Whether there can be another payment of the same reference; few payments ever have one."""
    payment, event = change.payment, change.event
    was_expired = event is not None and event.state_before is State.EXPIRED
    return was_expired or payment.replaces is not None or payment.replaced_by is not None


def _rows_of(gw: Gateway, versions: Sequence[Version], answer: OperationAnswer | None = None) -> list[Statement]:
    """The statements of every payment's change. ``answer``: of the request whose operation the first one ends."""
    return [
        row
        for number, version in enumerate(versions)
        for row in _rows_of_version(gw, version, answer if number == 0 else None)
    ]


def _rows_of_version(gw: Gateway, version: Version, answer: OperationAnswer | None) -> list[Statement]:
    """The statements of one payment's change; where nothing changed only those that come with it."""
    before, payment = version.before, version.change.payment
    operation = version.moved_operation
    if before is not None and (payment, operation, version.next_operation) == (before.payment, None, None):
        return list(version.rows)
    of_event = _event_rows(gw, version, operation)
    rows = [_payment_row(gw, version)]
    if version.gives_reference is not None:
        rows.append(version.gives_reference)
    if operation is not None and not operation.is_open:
        rows.append(statements.insert_ended_operation(operation, answer))
    return [*rows, *of_event, *version.rows]


def _payment_row(gw: Gateway, version: Version) -> Statement:
    """The payment itself, with its next check; one that gives its reference away keeps the check it has."""
    before, payment, open_operation = version.before, version.change.payment, version.open_operation
    if before is None:
        if open_operation is None:
            raise ValueError("a payment begins with its create")
        due, budget = gw.first_check_at(payment, open_operation), gw.settings.limits.tenant_bytes
        return statements.insert_payment(payment, open_operation, due_at=due, budget=budget)
    return statements.update_payment(
        before.payment,
        payment,
        open_before=before.open_operation,
        open_after=open_operation,
        due_at=gw.first_check_at(payment, open_operation) if version.gives_reference is None else UNSET,
    )


def _event_rows(gw: Gateway, version: Version, operation: Operation | None) -> list[Statement]:
    """The event's row, with its webhook where the tenant listens. ``operation`` is the one whose outcome this is."""
    payment, event, webhook = version.change.payment, version.change.event, None
    if event is None:
        return []
    if gw.settings.tenants[payment.tenant].webhook is not None:
        is_refund = operation is not None and operation.kind is Kind.REFUND
        refund = refund_view(payment, operation) if is_refund and operation is not None else None
        webhook = NewWebhook(
            body=webhook_body(event, version.view, refund).decode(),
            due_at=_webhook_due(gw, event),
            created_at=milliseconds(event.at),
        )
    return [statements.insert_event(gw.new_id("evt"), payment, event, webhook)]


def _webhook_due(gw: Gateway, event: PaymentEvent) -> int:
    """When an event's webhook is first tried, in Unix milliseconds."""
    return milliseconds(event.at + gw.settings.clocks.webhook_retry[0])


async def _answer(gw: Gateway, versions: Sequence[Version]) -> OperationAnswer | None:
    """Where a tenant's operation has its outcome: what its request is answered with."""
    version, *others = versions
    payment, operation = version.change.payment, version.moved_operation
    if operation is None or operation.is_open or version.next_operation is not None:
        return None
    if operation.idempotency_key is None:
        return None
    status, view = SUCCESS_STATUS.get(operation.kind, 200), None
    if operation.answers_with is not None:
        asked = await gw.store.payment(operation.tenant, operation.answers_with)
        if asked is not None:
            moved = {other.change.payment.id: other.change.payment for other in others}
            payment, status = moved.get(asked.payment.id, asked.payment), 200
            view = payment_json(payment, asked.open_operation)
    return OperationAnswer(status, operation_answer(payment, view or version.view, operation))


def _notify(gw: Gateway, versions: Sequence[Version], *, checks: bool) -> None:
    """After a commit: wake the workers, and call the plugins that observe once the request has been answered."""
    if checks:
        # What else was moved may be due at once; the payment's own check is counted anew, from after the commit.
        payment = versions[0].change.payment
        at = gw.first_check_at(payment, versions[0].open_operation) if len(versions) == 1 else EPOCH
        if at is not None:
            gw.check_timer.no_later_than(milliseconds(at))
    for version in versions:
        payment, event = version.change.payment, version.change.event
        if event is None:
            continue
        if "unknown_status" in event.details:
            where = {"payment_id": payment.id, "tenant": payment.tenant, "account": payment.account}
            said = {"provider": payment.provider, "provider_status": event.details["unknown_status"]}
            log.warning("the provider named a status that is not known", extra={**where, **said})
        gw.webhook_timers[payment.tenant].no_later_than(_webhook_due(gw, event))
        if gw.observe is not None:
            asyncio.get_running_loop().call_soon(gw.observe, payment, event)
