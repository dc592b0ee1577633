"""Every statement and read of webhooks and endpoints, on a real SQLite file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core import ids
from gateway.core.payment import State
from gateway.drivers.clock import milliseconds
from gateway.drivers.store import deliveries, statements
from gateway.drivers.store.deliveries import Deliveries, DeliveryFilter, DeliveryRow, Endpoint, RedeliveryFilter
from gateway.drivers.store.reads import Store
from tests.support.factories.payments import AT, make_payment
from tests.support.factories.store_units import (
    ENDPOINT,
    conflict,
    first_event,
    resolved_payment,
    stored,
)

OTHER = "0" * 64
MINUTE = timedelta(minutes=1)
TRIED = [{"at": "2026", "status_code": 500, "error": None}]


def event_id(number: int) -> str:
    """The event of the webhook that is due ``number`` minutes after the start."""
    return ids.time_ordered("evt", milliseconds(AT + number * MINUTE), 0, 0)


def a_row(number: int, payment: str | None = "pay_1", version: int = 1, **members: Any) -> DeliveryRow:
    """A webhook that is due ``number`` minutes after the start."""
    at = milliseconds(AT + number * MINUTE)
    given = {"tenant": "acme", "next_attempt_at": at, "created_at": at, **members}
    return DeliveryRow(
        id=ids.delivery_id(event_id(number)),
        event_id=event_id(number),
        payment_id=payment,
        type="payment.created",
        version=version,
        body="{}",
        **given,
    )


def inserted(row: DeliveryRow) -> statements.Statement:
    """The write of a webhook, with its event where it has a payment."""
    webhook = statements.NewWebhook(body=row.body, due_at=row.next_attempt_at or 0, created_at=row.created_at)
    if row.payment_id is None:
        return statements.insert_test(row.event_id, row.tenant, row.type, webhook)
    payment = make_payment(tenant=row.tenant, id=row.payment_id)
    event = replace(first_event(payment), version=row.version)
    return statements.insert_event(row.event_id, payment, event, webhook)


async def insert(store: Store, *rows: DeliveryRow) -> None:
    """Store webhooks as they are; one that was tried as its last try left it."""
    await store.commit("acme", [inserted(row) for row in rows])
    await store.commit(
        "acme", [deliveries.store_attempt(row) for row in rows if row.attempts or row.status != "pending"]
    )


async def numbers(store: Store, limit: int = 9) -> list[str]:
    """The line of acme, by the numbers of its webhooks."""
    of_id = {event_id(number): str(number) for number in range(10)}
    return [of_id[row.event_id] for row in await store.deliveries.next_to_send("acme", ENDPOINT, limit)]


async def disabled(store: Store, endpoint: str = ENDPOINT) -> None:
    """Give acme's endpoint up."""
    await store.commit(
        "acme",
        [
            deliveries.record_endpoint_failure("acme", endpoint, AT),
            deliveries.disable_endpoint("acme", endpoint, AT, reason="gone", failing_before=AT),
        ],
    )


# The line


async def test_the_line_is_by_date(store: Store) -> None:
    """The longest due first, what is due later behind it, of one tenant, no more than asked for, nothing twice."""
    await insert(store, a_row(2, "pay_2"), a_row(1, "pay_1"), a_row(3, "pay_3"), a_row(0, tenant="globex"))
    assert await numbers(store) == ["1", "2", "3"]
    assert await numbers(store, limit=1) == ["1"]
    under_way = [ids.delivery_id(event_id(1)), ids.delivery_id(event_id(3))]
    (left,) = await store.deliveries.next_to_send("acme", ENDPOINT, 9, under_way=under_way)
    assert left.event_id == event_id(2)


async def test_a_version_waits_for_the_first_try_of_the_one_before(store: Store) -> None:
    """By version, not by id or date: those come from a clock that may step back."""
    await insert(store, a_row(5, version=1), a_row(3, version=2), a_row(1, version=3), a_row(4, "pay_2", version=7))
    assert await numbers(store) == ["4", "5"]


async def test_a_version_that_was_tried_holds_nobody(store: Store) -> None:
    """Retries go their own way: after the first try of version 1, version 2 may go out, however version 1 fares."""
    await insert(store, a_row(1, version=1, attempts=TRIED, tries=1), a_row(2, version=2), a_row(3, version=3))
    assert await numbers(store) == ["1", "2"]


@pytest.mark.parametrize("status", ["delivered", "dead"])
async def test_a_version_that_ended_holds_nobody(store: Store, status: str) -> None:
    """Neither a delivered webhook nor a dead letter is waited for."""
    await insert(store, a_row(1, version=1, status=status, next_attempt_at=None), a_row(2, version=2))
    assert await numbers(store) == ["2"]


async def test_tests_wait_for_nobody(store: Store) -> None:
    """Webhooks without a payment do not know each other."""
    await insert(store, a_row(1, None, version=0), a_row(2, None, version=0))
    assert await numbers(store) == ["1", "2"]


async def test_looking_costs_the_same_however_many_there_are(store: Store, path: Path) -> None:
    """The line is read in the order of an index: nothing is sorted, no table is read through."""
    asked: list[tuple[str, Sequence[Any]]] = []

    class Spy:
        async def rows(self, sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
            asked.append((sql, params))
            return []

    spied = Deliveries(Spy())  # type: ignore[arg-type]
    await spied.next_to_send("acme", ENDPOINT, 9)
    await spied.next_to_send("acme", ENDPOINT, 9, under_way=["dlv_1", "dlv_2"])
    await spied.newest("acme", DeliveryFilter(limit=9))
    for status in deliveries.STATUSES:
        await spied.newest("acme", DeliveryFilter(limit=9, status=status))
    await spied.has_pending("acme")
    await spied.find("acme", "dlv_1")
    await spied.of_payment("acme", "pay_1")
    await spied.ids_of("acme", RedeliveryFilter(status="delivered"), after="", limit=9)
    await spied.page_by_age("acme", after="", before=AT, limit=9)
    for sql, params in asked:
        plan = [row[3] for row in await store._engine.rows(f"EXPLAIN QUERY PLAN {sql}", params)]
        assert not [step for step in plan if step.startswith("SCAN") or "TEMP B-TREE" in step], plan


async def test_a_payments_webhooks_are_looked_up(store: Store, path: Path) -> None:
    """Not searched for among all that its tenant has; the newest first, of this payment alone."""
    rows = [a_row(1, "pay_1", version=1), a_row(2, "pay_2", version=1), a_row(3, "pay_1", version=2)]
    await insert(store, *rows)
    asked: list[tuple[str, Sequence[Any]]] = []

    class Spy:
        async def rows(self, sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
            asked.append((sql, params))
            return await store._engine.rows(sql, params)

    found = await Deliveries(Spy()).newest("acme", DeliveryFilter(limit=9, payment_id="pay_1"))  # type: ignore[arg-type]
    assert [row.id for row in found] == [rows[2].id, rows[0].id]
    ((sql, params),) = asked
    plan = [row[3] for row in await store._engine.rows(f"EXPLAIN QUERY PLAN {sql}", params)]
    assert {step for step in plan if step.startswith("SEARCH")} == {
        "SEARCH events USING INDEX events_by_delivery (tenant=? AND delivery_id=?)",
        "SEARCH events USING INDEX events_by_version (tenant=? AND payment_id=?)",
    }


# What becomes of a webhook


async def test_a_webhook_is_read_as_it_was_made(store: Store) -> None:
    """All members, and its number in line."""
    row = a_row(1)
    await insert(store, row)
    assert await store.deliveries.find("acme", row.id) == row
    assert await store.deliveries.find("globex", row.id) is None


async def test_a_webhook_keeps_its_tries(store: Store) -> None:
    """Each try is kept; a delivered one stands in line no more."""
    await stored(store, 1)
    [row] = await store.deliveries.of_payment("acme", "pay_001")
    done = replace(row, status="delivered", next_attempt_at=None, tries=1, attempts=TRIED)
    await store.commit("acme", [deliveries.store_attempt(done)])
    assert await store.deliveries.of_payment("acme", "pay_001") == [done]
    assert await numbers(store) == []


async def test_sent_again_is_a_new_schedule(store: Store) -> None:
    """Pending, due now, no try counted; the log stays."""
    row = a_row(1, status="dead", died_of="exhausted", next_attempt_at=None, tries=1, attempts=TRIED)
    await insert(store, row)
    await store.commit("acme", [deliveries.restart_schedule("acme", [row.id], AT)])
    again = replace(row, status="pending", died_of=None, next_attempt_at=milliseconds(AT), tries=0)
    assert await store.deliveries.find("acme", row.id) == again


async def test_a_webhook_is_made_once(store: Store) -> None:
    """The unit that would make it again is refused."""
    for row in (a_row(1), a_row(2, None, version=0)):
        await insert(store, row)
        assert await conflict(store, [inserted(row)]) in ("version", "delivery")
        assert await store.deliveries.find("acme", row.id) == row
    assert await conflict(store, [deliveries.store_attempt(row)]) == ""


# The endpoint


async def test_an_endpoint_nothing_is_known_of(store: Store) -> None:
    """No row, and a success makes none."""
    await store.commit("acme", [deliveries.record_endpoint_success("acme", ENDPOINT)])
    assert await store.deliveries.endpoint("acme", ENDPOINT) is None


async def test_failures_count_from_the_first(store: Store) -> None:
    """Later failures do not move the moment; a success clears it."""
    await store.commit(
        "acme", [deliveries.record_endpoint_failure("acme", ENDPOINT, AT + number * MINUTE) for number in range(3)]
    )
    failing = Endpoint(failing_since=milliseconds(AT), disabled_at=None, reason=None)
    assert await store.deliveries.endpoint("acme", ENDPOINT) == failing
    await store.commit("acme", [deliveries.record_endpoint_success("acme", OTHER)])
    assert await store.deliveries.endpoint("acme", ENDPOINT) == failing
    await store.commit("acme", [deliveries.record_endpoint_success("acme", ENDPOINT)])
    assert await store.deliveries.endpoint("acme", ENDPOINT) == replace(failing, failing_since=None)


async def test_only_long_failures_disable(store: Store) -> None:
    """An endpoint is disabled when it failed since that moment or earlier, once, and with the first reason."""
    await store.commit("acme", [deliveries.record_endpoint_failure("acme", ENDPOINT, AT)])
    early, now = AT - MINUTE, AT + MINUTE
    await store.commit(
        "acme", [deliveries.disable_endpoint("acme", ENDPOINT, now, reason="failing", failing_before=early)]
    )
    assert (await store.deliveries.endpoint("acme", ENDPOINT)).disabled_at is None  # type: ignore[union-attr]
    await store.commit(
        "acme", [deliveries.disable_endpoint("acme", ENDPOINT, now, reason="failing", failing_before=AT)]
    )
    await store.commit(
        "acme", [deliveries.disable_endpoint("acme", ENDPOINT, now + MINUTE, reason="gone", failing_before=now)]
    )
    assert await store.deliveries.endpoint("acme", ENDPOINT) == Endpoint(
        failing_since=milliseconds(AT), disabled_at=milliseconds(now), reason="failing"
    )


async def test_a_disabled_endpoint_has_no_line(store: Store) -> None:
    """What waits, and what is made meanwhile, stands in no line and is buried."""
    await insert(store, a_row(1), a_row(2, "pay_2"))
    await disabled(store)
    await insert(store, a_row(3, "pay_3"))
    assert await numbers(store) == []
    await store.commit("acme", [deliveries.mark_dead("acme", ENDPOINT, 1)])
    assert await store.deliveries.has_pending("acme")
    await store.commit("acme", [deliveries.mark_dead("acme", ENDPOINT, 9)])
    assert not await store.deliveries.has_pending("acme")
    dead = await store.deliveries.newest("acme", DeliveryFilter(limit=9, status="dead"))
    found = [await store.deliveries.find("acme", row.id) for row in dead]
    assert [row and (row.event_id, row.died_of, row.next_attempt_at) for row in found] == [
        (event_id(number), "disabled", None) for number in (3, 2, 1)
    ]


async def test_another_url_is_another_endpoint(store: Store) -> None:
    """What is held against one address does not stop the next, and is forgotten when the next one fails."""
    await disabled(store)
    await insert(store, a_row(1))
    assert len(await store.deliveries.next_to_send("acme", OTHER, 9)) == 1
    await store.commit("acme", [deliveries.mark_dead("acme", OTHER, 9)])
    assert await store.deliveries.has_pending("acme")
    await store.commit("acme", [deliveries.record_endpoint_failure("acme", OTHER, AT + MINUTE)])
    assert await store.deliveries.endpoint("acme", ENDPOINT) is None
    assert await store.deliveries.endpoint("acme", OTHER) == Endpoint(
        failing_since=milliseconds(AT + MINUTE), disabled_at=None, reason=None
    )


async def test_enabled_is_as_new(store: Store) -> None:
    """Nothing is held against it, and what is made goes out."""
    await disabled(store)
    await store.commit("acme", [deliveries.enable_endpoint("acme", ENDPOINT)])
    await insert(store, a_row(1))
    assert await numbers(store) == ["1"]
    assert await store.deliveries.endpoint("acme", ENDPOINT) == Endpoint(
        failing_since=None, disabled_at=None, reason=None
    )


# Lists


async def test_webhooks_of_a_time(store: Store) -> None:
    """By status, time and cause of death, both ends included, a page at a time."""
    died_of = ["exhausted", "exhausted", "disabled", "exhausted"]
    dead = [a_row(n, f"pay_{n}", status="dead", died_of=cause) for n, cause in enumerate(died_of)]
    await insert(store, *dead, a_row(4, "pay_4"))
    first, second, third, fourth = [row.id for row in dead]

    async def asked(after: str = "", limit: int = 9, **wanted: Any) -> list[str]:
        return await store.deliveries.ids_of(
            "acme", RedeliveryFilter(status="dead", **wanted), after=after, limit=limit
        )

    assert await asked() == [first, second, third, fourth]
    assert await asked(created_after=AT + MINUTE, created_before=AT + 2 * MINUTE) == [second, third]
    assert await asked(died_of="disabled") == [third]
    assert await asked(after=first, limit=2) == [second, third]


# Forgetting


async def test_only_delivered_webhooks_are_dropped(store: Store) -> None:
    """Old ones are walked oldest first; whatever is not delivered stays."""
    statuses = ["delivered", "dead", "pending", "delivered"]
    rows = [a_row(n, version=n + 1, status=status) for n, status in enumerate(statuses)]
    of_test = a_row(0, None, version=0, tenant="globex", status="delivered")
    await insert(store, *rows, of_test)
    walked = await store.deliveries.page_by_age("acme", after="", before=AT + 3 * MINUTE, limit=9)
    assert walked == [(row.id, row.status) for row in rows[:3]]
    await store.commit("acme", deliveries.delete_webhooks("acme", "delivered", [row.id for row in rows[:3]]))
    await store.commit("acme", deliveries.delete_webhooks("globex", "delivered", [of_test.id]))
    left = await store.deliveries.newest("acme", DeliveryFilter(limit=9))
    assert [row.id for row in left] == [row.id for row in rows[:0:-1]]
    assert await store.deliveries.of_payment("acme", "pay_1") == rows[1:]
    assert await store.deliveries.newest("globex", DeliveryFilter(limit=9)) == []
    assert [identifier for identifier, _ in await store.events("acme", "pay_1")] == [row.event_id for row in rows]


async def test_only_answered_keys_are_dropped(store: Store) -> None:
    """A key is old when it was made before the date; while its operation is open it stays."""
    await stored(store, 1)
    await resolved_payment(store, 2, State.AWAITING_CUSTOMER)
    both = ["key-00000001", "key-00000002"]
    assert await store.answered_keys("acme", AT, 9) == []
    assert await store.answered_keys("acme", AT + MINUTE, 9) == both[1:]
    await store.commit("acme", statements.delete_idempotency_keys("acme", both))
    assert [await store.idempotency_record("acme", key) is None for key in both] == [False, True]
