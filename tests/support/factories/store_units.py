"""Parts for the store's tests: units of work as the flows write them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from gateway.core.commands import Kind
from gateway.core.errors import Conflict
from gateway.core.facts import Cause
from gateway.core.payment import Operation, Payment, PaymentEvent, State, Status
from gateway.core.wire import Callback
from gateway.drivers.clock import milliseconds
from gateway.drivers.store import statements
from gateway.drivers.store.deliveries import DeliveryRow
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import NewWebhook, Statement, Unit
from tests.support.factories.payments import AT, GRACE, make_operation, make_payment

GRACE_BEGAN = milliseconds(AT - GRACE)
FINGERPRINT = "f" * 64
ENDPOINT = "e" * 64


def database(folder: Path) -> Path:
    """Where the tests keep their database."""
    return folder / "data" / "gateway.db"


def create_of(number: int, **members: Any) -> tuple[Payment, Operation]:
    """A new payment and its create, each number its own."""
    given = {"id": f"pay_{number:03}", "merchant_reference": f"SO-{number}", "version": 1}
    payment = make_payment(State.CREATED, **{**given, **members})
    operation = make_operation(
        Kind.CREATE,
        Status.SENDING,
        id=f"op_{number:03}",
        tenant=payment.tenant,
        payment_id=payment.id,
        account=payment.account,
        idempotency_key=f"key-{number:08}",
    )
    return payment, operation


def first_event(payment: Payment) -> PaymentEvent:
    """The event of version 1."""
    return PaymentEvent(
        type="payment.created", version=1, cause=Cause.TENANT, state_before=None, state_after=State.CREATED, at=AT
    )


def first_webhook(payment: Payment) -> NewWebhook:
    """The webhook of version 1, due at once."""
    at = milliseconds(payment.created_at)
    return NewWebhook(body="{}", due_at=at, created_at=at)


def first_delivery(payment: Payment) -> DeliveryRow:
    """The same as it is read."""
    return DeliveryRow(
        tenant=payment.tenant,
        id=f"dlv_{payment.id}",
        event_id=f"evt_{payment.id}",
        payment_id=payment.id,
        type="payment.created",
        version=1,
        body="{}",
        next_attempt_at=milliseconds(payment.created_at),
        created_at=milliseconds(payment.created_at),
    )


def reserving(payment: Payment, operation: Operation) -> list[Statement]:
    """What reserves a create."""
    event_id = f"evt_{payment.id}"
    return [
        statements.claim_idempotency_key(operation, FINGERPRINT),
        statements.claim_reference(payment, grace_began_before=GRACE_BEGAN),
        statements.insert_payment(payment, operation),
        statements.insert_event(event_id, payment, first_event(payment), first_webhook(payment)),
    ]


async def stored(store: Store, number: int, **members: Any) -> tuple[Payment, Operation]:
    """A payment whose create is on its way."""
    payment, operation = create_of(number, **members)
    await store.commit(payment.tenant, reserving(payment, operation))
    return payment, operation


async def resolved_payment(
    store: Store, number: int, state: State, *, is_open: bool = False, **members: Any
) -> Payment:
    """A payment that has come to ``state``; its create has ended unless ``is_open``."""
    payment, operation = await stored(store, number)
    after = replace(payment, state=state, version=2, **members)
    unknown = replace(operation, status=Status.UNKNOWN)
    update = statements.update_payment(payment, after, open_before=operation, open_after=unknown if is_open else None)
    ended = statements.insert_ended_operation(replace(operation, status=Status.SUCCEEDED))
    await store.commit("acme", [update] if is_open else [update, ended])
    return replace(after, revision=payment.revision + 1)


async def conflict(store: Store, unit: Unit) -> str:
    """What a unit of work conflicts on; ``""`` when it does not."""
    try:
        await store.commit("acme", unit)
    except Conflict as problem:
        return problem.on
    return ""


def a_callback(number: int = 0) -> Callback:
    """A callback as it came."""
    return Callback(
        method="POST",
        suffix="pay/callback",
        query="a=%20",
        headers=(("X-A", "ä"), ("X-A", "2")),
        body=b"\x00\xff{}",
        remote="127.0.0.1",
        received_at=AT + timedelta(seconds=number),
    )
