"""The checks at the end of a history, when faults have ended and every timer had time to run.

Each check compares the store with the ledgers of the providers and the journals of the tenants.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import msgspec

from gateway.core.payment import OPEN, Status
from gateway.flows.payments.lookup import MAY_COMPLETE
from tests.simulation.acquirer_checks import acquirer_problems
from tests.simulation.creditkey_checks import creditkey_problems, operation_problems
from tests.simulation.fake_endpoints import FakeEndpoints
from tests.simulation.ledgers import Ledgers
from tests.simulation.psp_checks import psp_problems
from tests.simulation.store_snapshot import StoreSnapshot
from tests.simulation.tenants import JournalEntry

MAX_ATTEMPT_SECONDS = 30.0
"""Seconds from an attempt at a webhook until its outcome is stored, whatever is slow."""


class FinalState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the checks compare."""

    store: StoreSnapshot
    ledgers: Ledgers
    endpoints: FakeEndpoints
    journal: list[JournalEntry]
    absence_proves: bool
    outages: list[tuple[float, float]]
    """From when until when the store failed."""


def problems_of(final: FinalState) -> list[str]:
    """Return every violation, one line each."""
    return [problem for check in CHECKS for problem in check(final)]


def money(final: FinalState) -> Iterator[str]:
    """Payments and operations match the providers' ledgers."""
    for payment in final.store.payments.values():
        operations = final.store.operations_of(payment.id)
        if payment.provider == "creditkey":
            yield from creditkey_problems(payment, operations, final.ledgers, absence_proves=final.absence_proves)
            for operation in operations:
                yield from operation_problems(payment, operation, final.ledgers)
        elif payment.provider == "acquirer":
            yield from acquirer_problems(payment, operations, final.ledgers)
        else:
            yield from psp_problems(payment, operations, final.ledgers)


def nothing_is_on_its_way(final: FinalState) -> Iterator[str]:
    """No operation is left in ``sending``, and a payment has at most one that is open."""
    for payment in final.store.payments.values():
        open_ones = [operation for operation in final.store.operations_of(payment.id) if operation.status in OPEN]
        if len(open_ones) > 1:
            yield f"{payment.id} has {len(open_ones)} open operations"
        for operation in open_ones:
            if operation.status is Status.SENDING:
                yield f"promise 1: {operation.id} ({operation.kind}) is still sending"


def two_live_orders(final: FinalState) -> Iterator[str]:
    """Two live orders under one reference are under review."""
    living: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for order in final.ledgers.creditkey.orders.values():
        payment = final.store.payments.get(order.payment_id)
        if payment is not None and order.completed and order.status in ("placed", "shipped"):
            living[payment.tenant, payment.account, payment.merchant_reference].add(payment.id)
    for reference, payments in living.items():
        if len(payments) > 1 and any(final.store.payments[one].review is None for one in payments):
            yield f"two live orders for {reference[2]} and no review"


def timelines(final: FinalState) -> Iterator[str]:
    """Versions have no gaps, and the last event has the payment's state."""
    for payment in final.store.payments.values():
        events = [event for _, event in final.store.events.get(payment.id, [])]
        if [event.version for event in events] != list(range(1, payment.version + 1)):
            yield f"versions of {payment.id}: {[event.version for event in events]}, payment {payment.version}"
        elif events[-1].state_after is not payment.state:
            yield f"{payment.id} is {payment.state}, its last event says {events[-1].state_after}"


def webhooks(final: FinalState) -> Iterator[str]:
    """Every event reached its tenant or is a dead letter, and every attempt had the same bytes."""
    for delivery in final.store.deliveries:
        arrived = final.endpoints.arrived.get(delivery.event_id, [])
        if delivery.status not in ("delivered", "dead"):
            yield f"promise 8: webhook {delivery.event_id} is {delivery.status}"
        if delivery.status == "delivered" and not any(one.status < 300 for one in arrived):
            yield f"promise 8: webhook {delivery.event_id} counts as delivered and never arrived"
        if any(one.body != delivery.body.encode() for one in arrived):
            yield f"promise 8: webhook {delivery.event_id} arrived with other bytes"
    events = {identifier for events in final.store.events.values() for identifier, _ in events}
    yield from (f"webhook {one} has no event" for one in final.endpoints.sent if one not in events)


def order_of_webhooks(final: FinalState) -> Iterator[str]:
    """First attempts for one payment are sent in the order of its versions."""
    for payment, versions in final.endpoints.first_sent.items():
        if versions != sorted(versions):
            yield f"first webhooks of {payment} went out as {versions}"


def attempts_at_webhooks(final: FinalState) -> Iterator[str]:
    """Every attempt is made by one process, once, and stored: but for what was under way when something failed."""
    for delivery in final.store.deliveries:
        made = final.endpoints.attempts.get(delivery.event_id, [])
        ends = [(process.ended_at, process.ended_at) for _, process in made if process.ended_at is not None]
        cut_off = [at for at, _ in made if any(_meets(at, trouble) for trouble in (*ends, *final.outages))]
        if not 0 <= len(made) - len(delivery.attempts) <= len(cut_off):
            yield (
                f"promise 8: webhook {delivery.event_id} was sent {len(made)} times, {len(cut_off)} of them cut off,"
                f" and has {len(delivery.attempts)} attempts"
            )


def _meets(at: float, trouble: tuple[float, float]) -> bool:
    return trouble[0] - MAX_ATTEMPT_SECONDS < at <= trouble[1]  # a process may die in the moment it sends


def answers(final: FinalState) -> Iterator[str]:
    """Every successful answer names an operation that exists and ended as the answer said."""
    for entry in final.journal:
        if entry.reply.status not in (200, 201, 202) or not entry.request.key:
            continue
        body = entry.body
        is_refund = "operation" not in body
        named = body["id"].replace("ref_", "op_") if is_refund else body["operation"]["id"]
        status = body["status"] if is_refund else body["operation"]["status"]
        operation = final.store.operations.get(named)
        if operation is None:
            yield f"promise 1: {entry.request.key} was answered with {named}, which does not exist"
        elif status not in OPEN and operation.status != status:
            yield f"{entry.request.key} was answered that {named} is {status}, it is {operation.status}"
        if (entry.request.tenant, entry.request.key) not in final.store.keys:
            yield f"promise 3: the row of {entry.request.key} is gone"


def one_effect_per_key(final: FinalState) -> Iterator[str]:
    """A key belongs to one request, one operation that took effect and one answer."""
    done: dict[tuple[str, str], list[str]] = defaultdict(list)
    for operation in final.store.operations.values():
        if operation.idempotency_key and operation.status in (Status.SUCCEEDED, *OPEN):
            done[operation.tenant, operation.idempotency_key].append(operation.id)
    yield from (f"promise 3: {key[1]} did {operations}" for key, operations in done.items() if len(operations) > 1)
    bodies: dict[tuple[str, str], set[bytes]] = defaultdict(set)
    requests: dict[tuple[str, str], set[bytes]] = defaultdict(set)
    for entry in final.journal:
        if entry.reply.status in (200, 201) and entry.request.key:
            bodies[entry.request.tenant, entry.request.key].add(entry.reply.body)
        if entry.reply.status in (200, 201, 202) and entry.request.key:
            requests[entry.request.tenant, entry.request.key].add(entry.request.body)
    yield from (
        f"promise 3: {key[1]} got {len(found)} different answers" for key, found in bodies.items() if len(found) > 1
    )
    yield from (f"promise 3: {key[1]} served two requests" for key, found in requests.items() if len(found) > 1)


def inbox(final: FinalState) -> Iterator[str]:
    """Nothing forged was applied, and nothing proved still waits."""
    for payment, verdict, body in final.store.inbox:
        if b"FORGED" in body and verdict != "refused":
            yield f"promise 5: a forged callback of {payment} is {verdict}"
        if verdict == "pending":
            yield f"promise 4: a callback of {payment} still waits"


def hints(final: FinalState) -> Iterator[str]:
    """Every hint about a payment that may still be paid was followed, unless an open operation blocks it."""
    for identifier in final.store.due_hints:
        is_free = not any(one.status in OPEN for one in final.store.operations_of(identifier))
        payment = final.store.payments[identifier]
        if is_free and payment.state in MAY_COMPLETE and not payment.completed:
            yield f"a hint of {identifier} was forgotten"


CHECKS = (
    money,
    nothing_is_on_its_way,
    two_live_orders,
    timelines,
    webhooks,
    order_of_webhooks,
    attempts_at_webhooks,
    answers,
    one_effect_per_key,
    inbox,
    hints,
)
