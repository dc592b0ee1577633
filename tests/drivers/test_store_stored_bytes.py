"""How many bytes a tenant occupies is counted with what is written, and a budget of them refuses new payments alone."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.commands import Item, Kind, Order
from gateway.core.errors import Unavailable
from gateway.core.facts import Event, Observation, Stage
from gateway.core.money import Amount
from gateway.core.payment import Operation, Payment, State, Status
from gateway.drivers.store import deliveries, inbox, statements
from gateway.drivers.store.inbox import EarlierVerdict
from gateway.drivers.store.reads import Store
from gateway.drivers.store.sqlite import open_sqlite
from gateway.drivers.store.statements import Statement
from gateway.drivers.store.stored_bytes import RECOUNT
from tests.support import stores
from tests.support.factories.payments import AT, LATER, make_operation
from tests.support.factories.sqlite import engine_of
from tests.support.factories.store_units import (
    a_callback,
    conflict,
    create_of,
    first_delivery,
    reserving,
    resolved_payment,
    stored,
)

EVENT = Event(event_id="e-1", observation=Observation(stage=Stage.CAPTURED))


def order_of(size: int) -> Order:
    """An order of about so many bytes, not all of them ASCII."""
    item = Item(merchant_id="m", name="ä" * 200, price=Amount("1.00"), quantity=1)
    return Order(items=[item] * (size // 450))


def size_of(path: Path) -> int:
    """Bytes of a file."""
    return path.stat().st_size


async def recounted(store: Store) -> dict[str, int]:
    """What the sums ought to be."""
    return dict(await store._engine.rows(RECOUNT, ()))


async def bytes_of(store: Store, tenant: str = "acme") -> int:
    """One tenant's sum."""
    return (await store.stored_bytes()).get(tenant, 0)


async def answered(store: Store, number: int) -> tuple[Payment, Operation]:
    """A payment whose create has its outcome and its answer."""
    payment, operation = await stored(store, number, revision=1)
    update = statements.update_payment(payment, payment, open_before=operation, open_after=None)
    # As long as the open one: an operation is counted when it opens, its end only by its answer.
    ended = replace(operation, status=Status.DECLINED, amount=Decimal("100.0"))
    await store.commit("acme", [update, statements.insert_ended_operation(ended, (201, b'{"id": "pay"}'))])
    return payment, ended


async def test_what_is_written_is_counted(store: Store) -> None:
    """Payments, operations, events, answers, webhooks and callbacks count for their tenant, to the byte."""
    payment, _ = await stored(store, 1, order=order_of(9000))
    await stored(store, 2, tenant="globex")
    await answered(store, 3)
    tried = replace(first_delivery(payment), attempts=[{"at": "now", "status_code": 500, "error": "ä"}], tries=1)
    await store.commit("acme", [deliveries.store_attempt(tried, first_delivery(payment))])
    await store.commit(
        "acme", [inbox.insert_callback("cb_1", tenant="acme", account="main", callback=a_callback(), verdict="refused")]
    )
    assert await store.stored_bytes() == await recounted(store)
    assert await bytes_of(store) > 9000


async def test_a_callback_that_is_judged_again_is_counted_again(store: Store) -> None:
    """Its event and its history are what it grows by."""
    await store.commit(
        "acme", [inbox.insert_callback("cb_1", tenant="acme", account="main", callback=a_callback(), verdict="refused")]
    )
    row = await store.inbox.find(["acme"], "cb_1")
    assert row is not None
    before = EarlierVerdict(verdict="refused", reason=None, detail="ä", until="now", by="ä", how="reverify")
    again = inbox.replace_verdict(
        row, before, verdict="recorded", reason=None, detail="ä" * 9, event=EVENT, payment_id="pay_1"
    )
    await store.commit("acme", [again])
    assert await store.stored_bytes() == await recounted(store)


async def test_a_larger_order_is_counted(store: Store) -> None:
    """A payment whose order is changed counts with its new one."""
    payment, operation = await stored(store, 1, revision=1)
    before = await bytes_of(store)
    await store.commit(
        "acme",
        [
            statements.update_payment(
                payment,
                replace(payment, order=order_of(20_000)),
                open_before=operation,
                open_after=operation,
            )
        ],
    )
    assert await bytes_of(store) > before + 19_000
    assert await store.stored_bytes() == await recounted(store)


async def test_what_is_forgotten_counts_no_more(store: Store) -> None:
    """Whatever deletes a row subtracts what it was counted with."""
    await answered(store, 1)
    await store.commit("acme", [Statement("UPDATE events SET status = 'delivered'", ())])
    for number in range(4):
        callback = replace(a_callback(number), query="ä" * 1000)
        await store.commit(
            "acme",
            [
                inbox.insert_callback(
                    f"cb_{number}", tenant="acme", account="main", callback=callback, verdict="refused"
                )
            ],
        )
    full = await bytes_of(store)
    await store.commit(
        "acme",
        [
            *statements.delete_idempotency_keys("acme", ["key-00000001"]),
            *deliveries.delete_webhooks("acme", "delivered", ["dlv_pay_001"]),
            inbox.trim_refused("acme", "main", 2),
            inbox.delete_callbacks(inbox.REFUSED, AT + timedelta(seconds=3), 9),
        ],
    )
    assert await bytes_of(store) < full - 6000
    assert await store.stored_bytes() == await recounted(store)


async def test_what_was_not_written_is_not_counted(store: Store) -> None:
    """A unit that meets another's conflict counts nothing, nor does an outcome that is stored already."""
    payment, operation = await answered(store, 1)
    before = await bytes_of(store)
    assert await conflict(store, reserving(*create_of(2, merchant_reference="SO-1"))) == "merchant_reference"
    assert await conflict(store, reserving(payment, operation)) == "idempotency_key"
    again = statements.insert_ended_operation(operation, (201, b'{"much": "longer"}'))
    assert await conflict(store, [again]) == "operation"
    assert await bytes_of(store) == before


async def test_a_transaction_that_fails_counts_nothing(store: Store, path: Path) -> None:
    """The sums are part of the transaction: a store that is opened again after a crash has them right."""
    await stored(store, 1)
    before = await bytes_of(store)
    engine_of(store)._writer.execute(
        "CREATE TRIGGER broken BEFORE UPDATE ON stored_bytes BEGIN SELECT RAISE(FAIL, ''); END"
    )
    with pytest.raises(Unavailable):
        await store.commit("acme", reserving(*create_of(2)))
    await store.close()
    again = await open_sqlite(path)
    assert await bytes_of(again) == before
    assert await again.payment("acme", "pay_002") is None
    await again.close()


async def test_the_sums_are_about_what_the_file_grows_by(store: Store, path: Path) -> None:
    """What is counted is what the disk gives: neither a fraction nor a multiple of it."""
    await engine_of(store).rows("SELECT 1", ())
    for number in range(300):
        await resolved_payment(store, number, State.AWAITING_CUSTOMER, order=order_of(3000 * (number % 3)))
    counted = await bytes_of(store)
    await store.close()
    assert 0.7 < counted / size_of(path) < 1.5


@pytest.mark.parametrize(("budget", "expected"), [(None, ""), (10**30, ""), (1, statements.STORAGE_BUDGET)])
async def test_a_budget_refuses_new_payments_alone(store: Store, budget: int | None, expected: str) -> None:
    """A tenant that occupies its budget makes no new payment; what it has goes on, and so do other tenants."""
    payment, operation = await stored(store, 1)
    await stored(store, 3, tenant="globex")
    await stores.add_up(store)

    def new(number: int, tenant: str) -> list[Any]:
        made, create = create_of(number, tenant=tenant)
        return [statements.insert_payment(made, create, budget=budget)]

    assert await conflict(store, new(2, "acme")) == expected
    assert await conflict(store, new(4, "new tenant")) == ""
    change = replace(payment, state=State.AWAITING_CUSTOMER)
    await store.commit(
        "acme", [statements.update_payment(payment, change, open_before=operation, open_after=operation)]
    )


async def test_an_operation_that_has_ended_keeps_no_order(store: Store) -> None:
    """Only an open one may still need the order it asked for: a tenant may change its payments often."""
    payment = await resolved_payment(store, 1, State.AUTHORIZED)
    update = make_operation(Kind.UPDATE, Status.SENDING, id="op_9", payment_id=payment.id, order=order_of(30_000))
    before = await bytes_of(store)
    await store.commit("acme", [statements.open_operation(payment, update, due_at=AT)])
    assert await bytes_of(store) > before + 30_000
    assert await store.operation("acme", payment.id, "op_9") == update
    ended = replace(update, status=Status.DECLINED, updated_at=LATER)
    closed = statements.update_payment(payment, payment, open_before=update, open_after=None)
    await store.commit("acme", [closed, statements.insert_ended_operation(ended)])
    assert await store.operation("acme", payment.id, "op_9") == replace(ended, order=None)
    assert await bytes_of(store) < before + 2000
