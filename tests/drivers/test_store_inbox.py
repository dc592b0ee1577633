"""The inbox in the store: a verdict changes once, what nobody proved is bounded, and the reads find their index."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.core import documents
from gateway.core.errors import Reason
from gateway.core.facts import Event, Observation, Stage
from gateway.drivers.store import inbox
from gateway.drivers.store.inbox import EarlierVerdict, InboxFilter, StoredCallback
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import Statement
from tests.support.factories.payments import AT
from tests.support.factories.store_units import a_callback, conflict

SECOND = timedelta(seconds=1)
EVENT = Event(
    event_id="e-1",
    observation=Observation(stage=Stage.CAPTURED, amount=Decimal("10.50"), currency="USD"),
    occurred_at=AT,
    problem=Reason.TIME,
)
EARLIER = EarlierVerdict(verdict="pending", reason=None, detail=None, until="now", by="dana", how="replay")


async def insert(store: Store, name: str, verdict: str, *, second: int = 0, **members: Any) -> StoredCallback:
    """Store a callback that came so many seconds after the first."""
    row = inbox.insert_callback(
        name, tenant="acme", account="main", callback=a_callback(second), verdict=verdict, **members
    )
    await store.commit("acme", [row])
    found = await store.inbox.find(["acme"], name)
    assert found is not None
    return found


def verdict_of(row: StoredCallback, verdict: str, event: Event | None = EVENT) -> list[Statement]:
    """Give a row a new verdict."""
    return [
        inbox.replace_verdict(row, EARLIER, verdict=verdict, reason=None, detail=None, event=event, payment_id="pay_1")
    ]


async def names(store: Store, **wanted: Any) -> list[str]:
    return [row.id for row in await store.inbox.newest("acme", InboxFilter(limit=100, **wanted))]


async def test_a_callback_is_read_back_to_the_byte(store: Store) -> None:
    """Headers in order, a body that is no text, the event to its last digit."""
    row = await insert(store, "cb_1", "pending", event=EVENT, next_attempt_at=AT + SECOND)
    callback = a_callback()
    assert (row.headers, row.body, row.query) == (callback.headers, callback.body, callback.query)
    assert (row.received_at, row.next_attempt_at, row.size) == (AT, AT + SECOND, len(callback.body))
    assert documents.proved(row.event or "") == EVENT


async def test_a_callback_is_found_only_under_its_tenant(store: Store) -> None:
    """An id alone opens nothing."""
    await insert(store, "cb_1", "refused")
    assert await store.inbox.find(["globex"], "cb_1") is None
    assert await store.inbox.find([], "cb_1") is None


async def test_a_verdict_changes_only_while_it_is_as_it_was_read(store: Store) -> None:
    """The second of two who judge one row is told so."""
    row = await insert(store, "cb_1", "pending", event=EVENT)
    assert await conflict(store, verdict_of(row, "recorded")) == ""
    assert await conflict(store, verdict_of(row, "recorded")) == inbox.ROW
    now = await store.inbox.find(["acme"], "cb_1")
    assert now is not None
    assert (now.verdict, now.history, now.next_attempt_at) == ("recorded", (EARLIER,), None)


async def test_the_same_refusal_twice_is_seen_as_a_change(store: Store) -> None:
    """Two who refuse one row one after the other do not lose a line of its history."""
    row = await insert(store, "cb_1", "refused", event=EVENT)
    assert await conflict(store, verdict_of(row, "refused")) == ""
    assert await conflict(store, verdict_of(row, "refused")) == inbox.ROW


async def test_an_event_is_recorded_in_one_row_alone(store: Store) -> None:
    """Another row of the same event cannot become recorded; it may become repeated."""
    first, second = [await insert(store, name, "pending", event=EVENT) for name in ("cb_1", "cb_2")]
    assert await conflict(store, verdict_of(first, "recorded")) == ""
    assert await conflict(store, verdict_of(second, "recorded")) == inbox.ROW
    assert await conflict(store, verdict_of(second, "repeated")) == ""


async def test_a_history_is_bounded(store: Store) -> None:
    """The newest twenty verdicts are remembered."""
    row = await insert(store, "cb_1", "refused", event=EVENT)
    for _ in range(inbox.MAX_HISTORY + 5):
        await store.commit("acme", verdict_of(row, "refused"))
        row = await store.inbox.find(["acme"], "cb_1") or row
    assert len(row.history) == inbox.MAX_HISTORY


async def test_what_is_due_comes_in_order_and_only_while_pending(store: Store) -> None:
    """The longest due first; what is not due yet, and what was judged, is not there."""
    for name, wait in (("cb_1", 3), ("cb_2", 1), ("cb_3", 9)):
        await insert(store, name, "pending", event=EVENT, next_attempt_at=AT + wait * SECOND)
    done = await insert(store, "cb_4", "pending", event=EVENT, next_attempt_at=AT)
    await store.commit("acme", verdict_of(done, "recorded"))
    assert [row.id for row in await store.inbox.due(AT + 3 * SECOND, 10)] == ["cb_2", "cb_1"]
    assert await store.inbox.next_due() == AT + SECOND


async def test_postponing_leaves_a_judged_row_alone(store: Store) -> None:
    """A retry that failed late does not touch what somebody else has judged."""
    row = await insert(store, "cb_1", "pending", event=EVENT, next_attempt_at=AT)
    await store.commit("acme", [inbox.postpone(row, AT + SECOND)])
    now = await store.inbox.find(["acme"], "cb_1")
    assert now is not None
    assert (now.tries, now.next_attempt_at) == (1, AT + SECOND)
    await store.commit("acme", [*verdict_of(now, "recorded"), inbox.postpone(now, AT + 9 * SECOND)])
    assert await store.inbox.next_due() is None


async def test_accepted_callbacks_without_an_event_are_trimmed_by_payment(store: Store) -> None:
    """Only the newest of one payment's; other payments, and what was proved, are not touched."""
    for number in range(4):
        await insert(store, f"cb_{number}", "recorded", payment_id="pay_1")
    await insert(store, "cb_5", "recorded", payment_id="pay_2")
    await insert(store, "cb_6", "recorded", payment_id="pay_1", event=EVENT)
    await insert(store, "cb_7", "recorded")
    await insert(store, "cb_8", "recorded")
    await store.commit("acme", [inbox.trim_unproved("acme", "main", "pay_1", 2)])
    assert await names(store) == ["cb_8", "cb_7", "cb_6", "cb_5", "cb_3", "cb_2"]
    await store.commit("acme", [inbox.trim_unproved("acme", "main", None, 1)])
    assert await names(store) == ["cb_8", "cb_6", "cb_5", "cb_3", "cb_2"]


async def test_old_refusals_are_forgotten_the_oldest_first(store: Store) -> None:
    """At most so many at a time, and nothing else."""
    for number in (3, 1, 2):
        await insert(store, f"cb_{number}", "refused", second=number)
    await insert(store, "cb_0", "recorded")
    await store.commit("acme", [inbox.delete_callbacks(inbox.REFUSED, AT + 3 * SECOND, 1)])
    assert await names(store) == ["cb_3", "cb_2", "cb_0"]
    assert await store.inbox.has_any(inbox.REFUSED, AT + 3 * SECOND)
    await store.commit("acme", [inbox.delete_callbacks(inbox.REFUSED, AT + 3 * SECOND, 10)])
    assert await names(store) == ["cb_3", "cb_0"]
    assert not await store.inbox.has_any(inbox.REFUSED, AT + 3 * SECOND)


async def test_a_list_takes_its_filters_together(store: Store) -> None:
    """Verdict, payment, date and cursor, newest first."""
    for number, verdict in enumerate(("refused", "recorded", "refused", "refused")):
        await insert(store, f"cb_{number}", verdict, second=number, payment_id="pay_1")
    assert await names(store, verdict="refused", since=AT + 2 * SECOND, payment_id="pay_1") == ["cb_3", "cb_2"]
    assert await names(store, verdict="refused", cursor="cb_2") == ["cb_0"]
    assert await names(store, account="other") == []


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        ("SELECT id FROM inbox WHERE verdict = 'pending' AND next_attempt_at <= 1 ORDER BY next_attempt_at", "pending"),
        ("SELECT MIN(next_attempt_at) FROM inbox WHERE verdict = 'pending'", "pending"),
        (inbox.delete_callbacks(inbox.REFUSED, AT, 1).sql, "refused_since"),
        (inbox.delete_callbacks(inbox.UNPROVED, AT, 1).sql, "unproved_since"),
        (inbox.trim_refused("t", "a", 1).sql, "refused"),
        (inbox.trim_unproved("t", "a", "p", 1).sql, "unproved"),
        (inbox.trim_unproved("t", "a", None, 1).sql, "unproved"),
        ("SELECT 1 FROM inbox WHERE tenant = 't' AND payment_id = 'p' ORDER BY id", "by_payment"),
    ],
)
async def test_what_runs_often_reads_an_index(store: Store, path: Path, sql: str, index: str) -> None:
    """However many callbacks are stored, none of these walks through all of them."""
    await insert(store, "cb_1", "pending", event=EVENT)
    with sqlite3.connect(path) as reader:
        plan = [row[3] for row in reader.execute(f"EXPLAIN QUERY PLAN {sql}", (None,) * sql.count("?"))]
    assert any(f"INDEX inbox_{index} " in f"{line} " for line in plan)
    assert not [line for line in plan if line.startswith("SCAN inbox") and "INDEX" not in line]
