"""Everything that happened to one payment, merged into one list by time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from gateway.core.payment import Operation, PaymentEvent, Status
from gateway.core.views import rfc3339
from gateway.drivers.store.deliveries import DeliveryRow
from gateway.drivers.store.rows import from_milliseconds


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened. ``at`` is RFC 3339 UTC; ``kind`` ``event``, ``operation``, ``callback``, ``webhook``."""

    at: str
    kind: str
    what: str
    id: str
    details: Mapping[str, str] = msgspec.field(default_factory=dict)


ORDER = ("operation", "callback", "event", "webhook")
"""The order within one millisecond: what was sent or received, what it changed, the webhook about it."""


def merge(
    *,
    events: Iterable[tuple[str, PaymentEvent]],
    operations: Iterable[Operation],
    callbacks: Iterable[Sequence[Any]],
    deliveries: Iterable[DeliveryRow],
) -> list[Line]:
    """Merge what the store knows, oldest first. ``callbacks``: (id, Unix milliseconds, suffix, verdict, reason)."""
    lines = [
        *(line for operation in operations for line in _operation(operation)),
        *(_callback(*row) for row in callbacks),
        *(_event(event_id, event) for event_id, event in events),
        *(line for row in deliveries for line in _delivery(row)),
    ]
    return sorted(lines, key=lambda line: (line.at, ORDER.index(line.kind)))


def _event(event_id: str, event: PaymentEvent) -> Line:
    moved = {"state": f"{event.state_before or '-'} -> {event.state_after}", "cause": str(event.cause)}
    request = {"request_id": event.request_id} if event.request_id is not None else {}
    details = {"version": str(event.version), **moved, **event.details, **request}
    return Line(at=rfc3339(event.at), kind="event", what=event.type, id=event_id, details=details)


def _operation(operation: Operation) -> Iterator[Line]:
    """Its begin, and how it stands once that is known."""
    amount = {"amount": f"{operation.amount:f}", "account": operation.account}
    yield _of(operation, operation.created_at, f"{operation.kind} {Status.SENDING}", amount)
    if operation.status is not Status.SENDING:
        failure = {"failure": operation.failure.message} if operation.failure else {}
        note = {"note": operation.note} if operation.note else {}
        yield _of(operation, operation.updated_at, f"{operation.kind} {operation.status}", failure | note)


def _of(operation: Operation, at: datetime, what: str, details: Mapping[str, str]) -> Line:
    return Line(at=rfc3339(at), kind="operation", what=what, id=operation.id, details=details)


def _callback(inbox_id: str, received_at: int, suffix: str, verdict: str, reason: str | None) -> Line:
    details = {"reason": reason} if reason else {}
    what = f"{suffix} {verdict}".strip()
    return Line(at=rfc3339(from_milliseconds(received_at)), kind="callback", what=what, id=inbox_id, details=details)


def _delivery(row: DeliveryRow) -> Iterator[Line]:
    """Every attempt, and the next one where it is due."""
    for number, tried in enumerate(row.attempts, 1):
        answer = str(tried["status_code"] or tried["error"])
        yield _attempt(row, tried["at"], {"try": str(number), "answer": answer})
    if row.next_attempt_at is not None:
        yield _attempt(
            row, rfc3339(from_milliseconds(row.next_attempt_at)), {"try": str(len(row.attempts) + 1), "answer": "due"}
        )


def _attempt(row: DeliveryRow, at: str, details: Mapping[str, str]) -> Line:
    return Line(at=at, kind="webhook", what=row.type, id=row.id, details={"status": row.status, **details})
