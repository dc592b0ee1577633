"""No read or write of the store goes through a whole table or sorts one: a million payments cost what ten do."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.core.commands import Kind
from gateway.core.payment import Status
from gateway.drivers.store import deliveries, inbox, metadata, schedule, statements
from gateway.drivers.store.deliveries import DeliveryFilter, RedeliveryFilter
from gateway.drivers.store.inbox import InboxFilter, InboxRange
from gateway.drivers.store.reads import PaymentFilter, SilentFilter, Store
from gateway.drivers.store.rows import PageRequest
from gateway.drivers.store.search_index import Wanted
from gateway.drivers.store.statements import Unit
from tests.support.factories.payments import AT, make_operation
from tests.support.factories.sqlite import engine_of
from tests.support.factories.store_units import ENDPOINT, create_of, reserving

LARGE = r"payments|operations|idempotency_keys|reference_holders|events|deliveries|inbox|hints"
SCAN = re.compile(rf"(SCAN ({LARGE}|[a-z])\b|SEARCH ({LARGE}|[a-z])\b(?! USING))")
"""A plan that goes through a large table, or one under its alias. A search that uses no index is one for the least."""

SORT = "USE TEMP B-TREE FOR ORDER BY"

PAYMENT, OPERATION = create_of(1)
ENDED = make_operation(Kind.CREATE, Status.SUCCEEDED, payment_id=PAYMENT.id)
TO_BE_SHOWN = PaymentFilter(limit=9, cursor="pay_9")
PAGE = PageRequest(limit=9, cursor="id_9")

BY_KEY: dict[str, Callable[[Store], Awaitable[Any]]] = {
    "payment": lambda store: store.payment("acme", "pay_1"),
    "summary": lambda store: store.summary("acme", "pay_1"),
    "operation": lambda store: store.operation("acme", "pay_1", "op_1"),
    "open operation": lambda store: store.open_operation("unknown", "op_1"),
    "key": lambda store: store.idempotency_record("acme", "key"),
    "owner": lambda store: store.reference_owner("acme", "main", "SO-1"),
    "provider reference": lambda store: store.payment_by_provider_reference("acme", "main", "T-1"),
    "applied": lambda store: store.inbox.was_applied("acme", "main", "e-1"),
    "callback": lambda store: store.inbox.find(["acme"], "cb_1"),
    "delivery": lambda store: store.deliveries.find("acme", "dlv_1"),
}

IN_ORDER: dict[str, Callable[[Store], Awaitable[Any]]] = {
    "payments": lambda store: store.payments("acme", TO_BE_SHOWN),
    "payments of a time": lambda store: store.payments("acme", PaymentFilter(limit=9, since=AT, until=AT)),
    "events": lambda store: store.events("acme", "pay_1", PAGE),
    "operations on their way": lambda store: store.open_operations("sending"),
    "unknown operations": lambda store: store.list_open_operations("unknown", PAGE),
    "answered keys": lambda store: store.answered_keys("acme", AT, 9),
    "next check": lambda store: store.next_check_due(AT),
    "all payments": lambda store: store.metadata.payments_after(("acme", "pay_1"), 9),
    "due checks counted": lambda store: store.metadata.count_due_checks(AT),
    "due callbacks": lambda store: store.inbox.due(AT, 9),
    "next callback": lambda store: store.inbox.next_due(),
    "old callbacks": lambda store: store.inbox.has_any(inbox.REFUSED, AT),
    "callbacks of a payment": lambda store: store.inbox.of_payment("acme", "pay_1"),
    "callbacks": lambda store: store.inbox.newest("acme", InboxFilter(limit=9, cursor="cb_9")),
    "webhooks to send": lambda store: store.deliveries.next_to_send("acme", ENDPOINT, 9),
    "pending webhooks": lambda store: store.deliveries.has_pending("acme"),
    "webhooks": lambda store: store.deliveries.newest("acme", DeliveryFilter(limit=9, cursor="dlv_9")),
    "dead letters": lambda store: store.deliveries.newest("acme", DeliveryFilter(limit=9, status="dead")),
    "webhooks again": lambda store: store.deliveries.ids_of("acme", RedeliveryFilter(status="dead"), after="", limit=9),
    "webhooks again counted": lambda store: store.deliveries.count("acme", RedeliveryFilter(status="dead")),
    "callbacks again": lambda store: store.inbox.ids_of("acme", InboxRange(limit=9, since=AT, verdict="refused")),
    "payments again": lambda store: store.payment_ids("acme", "main", state="created", since=AT, until=AT, limit=9),
    "silent payments": lambda store: store.silent(["sandbox"], SilentFilter(limit=9, cursor="pay_9")),
    "silent payments of a tenant": lambda store: store.silent(
        ["sandbox"], SilentFilter(limit=9, tenant="acme", since=AT)
    ),
    "payments of a state between amounts": lambda store: store.search.hits(
        Wanted(state="failed", lowest=1, highest=9, before=9), [0, 1], 9
    ),
    "webhooks by age": lambda store: store.deliveries.page_by_age("acme", after="", before=AT, limit=9),
}

FEW: dict[str, Callable[[Store], Awaitable[Any]]] = {
    "operations of a payment": lambda store: store.operations("acme", "pay_1"),
    "refunds of a payment": lambda store: store.refunds("acme", "pay_1", PAGE),
    "hints of a payment": lambda store: store.due_hints("acme", "pay_1"),
    "webhooks of a payment": lambda store: store.deliveries.of_payment("acme", "pay_1"),
    "payments of a reference": lambda store: store.payments("acme", PaymentFilter(limit=9, merchant_reference="SO-1")),
    "payments of a provider's reference": lambda store: store.payments(
        "acme", PaymentFilter(limit=9, account="main", provider_reference="T-1")
    ),
    "payments in review": lambda store: store.reviews(["acme", "globex"], PAGE),
    "due checks": lambda store: store.due_checks(AT, 9),
}
"""These may sort what they found: it is few rows."""

WRITES: dict[str, Unit] = {
    "create": reserving(PAYMENT, OPERATION),
    "outcome": [
        statements.update_payment(PAYMENT, PAYMENT, open_before=OPERATION, open_after=None, due_at=AT),
        statements.insert_ended_operation(ENDED, (201, b"{}")),
    ],
    "command": [statements.open_operation(PAYMENT, OPERATION, due_at=AT)],
    "next of a key": [statements.move_idempotency_key(OPERATION)],
    "check": [
        schedule.record_check("acme", "pay_1", was_due=1, due_at=AT, tries=1),
        schedule.bring_check_forward("acme", "pay_1", AT),
        schedule.postpone_check(PAYMENT, AT),
    ],
    "hint": [
        schedule.store_hint("acme", "pay_1", "T-1", AT),
        schedule.close_hint("acme", "pay_1", "T-1", 1),
        schedule.trim_hints("acme", "pay_1", 9),
        schedule.delete_processed_hints(AT, 9),
    ],
    "old keys": statements.delete_idempotency_keys("acme", ["key-1", "key-2"]),
    "old webhooks": [
        *deliveries.delete_webhooks("acme", "delivered", ["dlv_1"]),
        deliveries.mark_dead("acme", ENDPOINT, 9),
    ],
    "checks after a restore": [
        metadata.check_payments(AT, "acme", ["pay_1", "pay_2"], grace_began_before=1),
        metadata.move_unchecked(("acme", "pay_1"), ("acme", "pay_2")),
    ],
    "old callbacks": [inbox.delete_callbacks(inbox.REFUSED, AT + timedelta(days=1), 9)],
}


def plan_of(store: Store, sql: str, params: Sequence[Any]) -> str:
    """How the database goes about a statement."""
    found = engine_of(store)._writer.execute(f"EXPLAIN QUERY PLAN {sql}", params)
    return "\n".join(detail for *_, detail in found)


async def plans_of(store: Store, read: Callable[[Store], Awaitable[Any]], monkeypatch: pytest.MonkeyPatch) -> str:
    """The plan of every query that a read makes."""
    engine, plans = engine_of(store), []

    def explained(name: str) -> Any:
        asked = getattr(engine, name)

        async def ask(sql: str, params: Sequence[Any]) -> Any:
            plans.append(plan_of(store, sql, params))
            return await asked(sql, params)

        return ask

    for name in ("rows", "row"):
        monkeypatch.setattr(engine, name, explained(name))
    await read(store)
    assert plans
    return "\n".join(plans)


@pytest.mark.parametrize("read", [*BY_KEY.values(), *IN_ORDER.values()], ids=[*BY_KEY, *IN_ORDER])
async def test_a_read_neither_scans_nor_sorts(
    store: Store, path: Path, read: Callable[[Store], Awaitable[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finds its rows by an index, in the order it wants them."""
    plan = await plans_of(store, read, monkeypatch)
    assert not SCAN.search(plan), plan
    assert SORT not in plan, plan


@pytest.mark.parametrize("read", FEW.values(), ids=FEW)
async def test_a_read_of_few_rows_does_not_scan(
    store: Store, path: Path, read: Callable[[Store], Awaitable[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what belongs to one payment, one reference, or is due, is read."""
    plan = await plans_of(store, read, monkeypatch)
    assert not SCAN.search(plan), plan


@pytest.mark.parametrize("unit", WRITES.values(), ids=WRITES)
async def test_a_write_does_not_scan(store: Store, path: Path, unit: Unit) -> None:
    """What a write looks at, it finds by an index."""
    for statement in unit:
        plan = plan_of(store, statement.sql, statement.params)
        assert not SCAN.search(plan), plan


async def test_what_reads_every_payment_reads_them_as_they_lie(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start looks at each for its account: in the order of an index it would wait twice as long."""
    plan = await plans_of(store, lambda store: store.accounts_in_use(0), monkeypatch)
    assert "SCAN payments\n" in plan, plan


async def test_a_scan_would_be_seen(store: Store, path: Path) -> None:
    """The tests above can fail."""
    assert SCAN.search(plan_of(store, "SELECT 1 FROM payments p WHERE state = 'created'", ()))
    assert SCAN.search(plan_of(store, "SELECT MIN(created_at) FROM payments WHERE created_at > 1", ()))
    assert SORT in plan_of(store, "SELECT 1 FROM payments WHERE tenant = 'acme' ORDER BY state", ())
