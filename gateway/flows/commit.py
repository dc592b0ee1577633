"""Every version of every payment is made here: payment, operation, event, webhook and next check, in one transaction.

Whatever moves a payment comes here with a ``Change``: a create, replies, callbacks, lookups, the clock, operators.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

from msgspec import UNSET
from msgspec.structs import replace

from gateway.core.change import Change
from gateway.core.commands import Kind
from gateway.core.errors import InDoubt, Reason
from gateway.core.payment import EventType, Operation, PaymentEvent
from gateway.core.plugin_returns import MAX_MEMORY_PAIRS
from gateway.core.state_members import ENDED_UNPAID, EXPIRABLE
from gateway.core.views import operation_answer, payment_json, refund_view, webhook_body
from gateway.drivers.clock import EPOCH, milliseconds
from gateway.drivers.store import statements
from gateway.drivers.store.reads import PaymentSnapshot
from gateway.drivers.store.statements import NewWebhook, Statement
from gateway.drivers.telemetry import current_request
from gateway.flows import cascade
from gateway.flows.cascade import Version
from gateway.flows.change_occurrences import occurrences_of
from gateway.flows.occurrences import report
from gateway.flows.operator_outbox import rows_of as rows_to_operators
from gateway.flows.reply_maps import webhook_with_own_names
from gateway.flows.restore import with_duplicate_flag
from gateway.flows.runtime import Gateway, log

SUCCESS_STATUS = {Kind.CREATE: 201, Kind.REFUND: 201}
"""The HTTP status of an answer to a request whose operation has its outcome; every other kind answers 200."""

_DEADLINE, _REPEATED, _REFUND = EventType.CAPTURE_DEADLINE_NEAR, Reason.REPEATED_FINAL, Kind.REFUND


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


class _Written:
    """A version while it is written, with what follows from it.

    ``event``: as it is stored, with the request that caused it. ``operation``: the payment's, if it is not as it was,
    and whether that ``has_ended``. ``open_operation``: the one that is open afterwards. ``due_at``: when the payment is
    checked next, where that is set again. ``webhook``: of its event, if there is one.
    """

    __slots__ = ("_view", "due_at", "event", "has_ended", "open_operation", "operation", "version", "webhook")

    def __init__(self, version: Version) -> None:
        before, operation = version.before, version.change.operation
        is_open = operation is not None and operation.is_open
        event = version.change.event
        self.version = version
        self.event = replace(event, request_id=current_request.get()) if event is not None else None
        self.operation = operation if before is None or operation != before.open_operation else None
        self.has_ended = self.operation is not None and not is_open
        self.open_operation = version.next_operation or (operation if is_open else None)
        self.due_at: datetime | None = None
        self.webhook: NewWebhook | None = None
        self._view = b""

    @property
    def view(self) -> bytes:
        """The payment as tenants see it afterwards: made once, for its webhook and for its request's answer."""
        self._view = self._view or payment_json(self.version.change.payment, self.open_operation)
        return self._view


async def commit_change(
    gw: Gateway,
    before: PaymentSnapshot,
    change: Change,
    *,
    rows: Sequence[Statement] = (),
    next_operation: Operation | None = None,
) -> Committed:
    """Commit a change made on ``before`` together with ``rows``, then wake the workers and notify.

    ``next_operation`` is reserved in the transaction that ends ``change.operation``. Raises ``Conflict``,
    ``Unavailable`` or ``InDoubt``.
    """
    if gw.restored_at is not None:
        change = with_duplicate_flag(gw, before, change)
    others: Sequence[Version] = ()
    claimed: Sequence[Statement] = ()
    if _may_concern_others(change):
        change, others, claimed = await cascade.consequences(gw, change)
    own, further = _Written(Version(before, change, next_operation=next_operation)), [*map(_Written, others)]
    answer = await _answer(gw, own, others)
    unit = [*claimed, *rows, *_rows_of(gw, own, answer)]
    for one in further:
        unit += _rows_of(gw, one)
    try:
        if unit:
            await gw.store.commit(change.payment.tenant, unit)
    except InDoubt as doubt:
        _once_decided(gw, doubt, partial(_follow, gw, own, further))
        raise
    _follow(gw, own, further)
    if not gw.node.is_shared:  # else another process may move it
        _remember(gw, own, revision=before.payment.revision + 1)
    return Committed(change, answer)


def _once_decided(gw: Gateway, doubt: InDoubt, follow: Callable[[], None]) -> None:
    """Do what follows a commit when it is known that it was written."""

    async def wait() -> None:
        if await asyncio.shield(doubt.decided) is None:
            follow()

    gw.tasks.start(f"unit in doubt {id(doubt)}", wait())


def _follow(gw: Gateway, own: _Written, further: Sequence[_Written]) -> None:
    """After a commit: have the payment checked in time, and notify."""
    due_at = EPOCH if further else own.due_at  # what else was moved may be due at once
    if due_at is not None:
        gw.check_timer.no_later_than(milliseconds(due_at))
    _notify(gw, own, *further)
    if own.version.change.left_out:
        _warn_of_full_memory(own.version.change)


def _remember(gw: Gateway, written: _Written, *, revision: int) -> None:
    """Remember a payment in its new version while it waits for its customer, for the callback that comes next."""
    payment = written.version.change.payment
    if written.event is not None and written.open_operation is None and payment.state in EXPIRABLE:
        gw.memory.recent_payments.note(replace(payment, revision=revision))
    else:
        gw.memory.recent_payments.forget(payment.tenant, payment.id)


def _warn_of_full_memory(change: Change) -> None:
    payment = change.payment
    where = {"payment_id": payment.id, "tenant": payment.tenant, "account": payment.account}
    problem = f"{MAX_MEMORY_PAIRS} pairs are kept; left out: {', '.join(change.left_out)}"
    log.warning("the memory of a payment is full", extra={**where, "provider": payment.provider, "problem": problem})


async def commit_submission(gw: Gateway, tenant: str, versions: Sequence[Version], rows: Sequence[Statement]) -> None:
    """Commit what a tenant's new operation makes of its payments, ``rows`` before it, and notify.

    Raises ``Conflict``, ``Unavailable`` or ``InDoubt``.
    """
    written, unit = [*map(_Written, versions)], [*rows]
    for one in written:
        unit += _rows_of(gw, one)
    try:
        await gw.store.commit(tenant, unit)
    except InDoubt as doubt:
        _once_decided(gw, doubt, partial(_notify, gw, *written))
        raise
    _notify(gw, *written)


def _may_concern_others(change: Change) -> bool:
    """Whether there can be another payment of the same reference; few payments ever have one."""
    payment, event = change.payment, change.event
    had_ended = event is not None and event.state_before in ENDED_UNPAID
    return had_ended or payment.replaces is not None or payment.replaced_by is not None


def _rows_of(gw: Gateway, written: _Written, answer: OperationAnswer | None = None) -> list[Statement]:
    """The statements of one payment's change; where nothing changed only those that come with it.

    ``answer``: of the request whose operation this ends. One that gives its reference away keeps the check it has.
    """
    version, operation, open_operation = written.version, written.operation, written.open_operation
    before, payment, event = version.before, version.change.payment, written.event
    if before is not None and not (operation or version.next_operation) and payment == before.payment:
        return list(version.rows)
    written.webhook = _webhook(gw, written, event) if event is not None else None
    keeps_check = version.gives_reference is not None
    due = written.due_at = None if keeps_check else gw.first_check_at(payment, open_operation)
    if before is not None:
        opened = {"open_before": before.open_operation, "open_after": open_operation}
        rows = [statements.update_payment(before.payment, payment, due_at=UNSET if keeps_check else due, **opened)]
    elif open_operation is not None:
        budget = gw.settings.limits.tenant_bytes
        rows = [statements.insert_payment(payment, open_operation, due_at=due, budget=budget)]
    else:
        raise ValueError("a payment begins with its create")
    if version.gives_reference is not None:
        rows.append(version.gives_reference)
    if operation is not None and written.has_ended:
        rows.append(statements.insert_ended_operation(operation, answer))
    if event is not None:
        rows.append(statements.insert_event(gw.new_id("evt"), payment, event, written.webhook))
    if gw.settings.operator_webhooks and _may_be_noted(version.change):
        for occurrence, fields in occurrences_of(version.change):
            rows += rows_to_operators(gw, occurrence, fields)
    return [*rows, *version.rows]


def _webhook(gw: Gateway, written: _Written, event: PaymentEvent) -> NewWebhook | None:
    """The webhook of an event, where the tenant listens."""
    payment, operation = written.version.change.payment, written.operation
    tenant = gw.settings.tenants[payment.tenant]
    if tenant.webhook is None:
        return None
    is_refund = operation is not None and operation.kind is _REFUND
    refund = refund_view(payment, operation) if is_refund and operation is not None else None
    body = webhook_body(event, written.view, refund)
    if tenant.webhook_map is not None:
        body = webhook_with_own_names(tenant, tenant.webhook_map, body)
    due_at = milliseconds(event.at + gw.settings.clocks.webhook_retry[0])
    return NewWebhook(due_at=due_at, created_at=milliseconds(event.at), body=body.decode())


async def _answer(gw: Gateway, written: _Written, others: Sequence[Version]) -> OperationAnswer | None:
    """Where a tenant's operation has its outcome: what its request is answered with."""
    payment, operation = written.version.change.payment, written.operation
    if operation is None or not written.has_ended or written.version.next_operation is not None:
        return None
    if operation.idempotency_key is None:
        return None
    status, view = SUCCESS_STATUS.get(operation.kind, 200), b""
    if operation.answers_with is not None:
        asked = await gw.store.payment(operation.tenant, operation.answers_with)
        if asked is not None:
            moved = {other.change.payment.id: other.change.payment for other in others}
            payment, status = moved.get(asked.payment.id, asked.payment), 200
            view = payment_json(payment, asked.open_operation)
    return OperationAnswer(status, operation_answer(payment, view or written.view, operation))


def _notify(gw: Gateway, *written: _Written) -> None:
    """After a commit: wake the workers, report, and call the plugins that observe once the request is answered."""
    for one in written:
        change = one.version.change
        payment, event = change.payment, one.event
        if _may_be_noted(change):
            for occurrence, fields in occurrences_of(change):
                report(gw, occurrence, **fields)
        if event is None:
            continue
        if one.webhook is not None:
            gw.webhook_timers[payment.tenant].no_later_than(one.webhook.due_at)
        if gw.observe is not None:
            asyncio.get_running_loop().call_soon(gw.observe, payment, event)


def _may_be_noted(change: Change) -> bool:
    """Whether operators may want to hear of it; few changes are like that."""
    event = change.event
    if event is None or change.refusal is _REPEATED:
        return change.refusal is _REPEATED
    return "review" in event.details or "unknown_status" in event.details or event.type == _DEADLINE
