"""Where personal data lies is known of every column, and what is written anew is counted to the byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.errors import Conflict
from gateway.core.payment import State
from gateway.drivers.store import inbox, personal_data
from gateway.drivers.store.personal_data import COLUMNS, NO_CONTENTS, CallbackRow, EventRow, OperationRow
from gateway.drivers.store.reads import Store
from gateway.drivers.store.stored_bytes import RECOUNT
from tests.support.factories.sqlite import beside
from tests.support.factories.store_units import FINGERPRINT, a_callback, resolved_payment, stored


async def drift_of(store: Store) -> int:
    """By how much the sum of a tenant's bytes is off."""
    recounted = dict(await store._engine.rows(RECOUNT, ()))
    return (await store.stored_bytes())["acme"] - recounted["acme"]


async def test_every_column_of_every_table_is_judged(store: Store, path: Path) -> None:
    """Whoever adds a table or a column says whether it may hold personal data; what erases must know it then."""
    await store.prove_writable(a_callback().received_at)
    with beside(path) as look:
        tables = [
            name
            for (name,) in look.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
            )
        ]
        columns = {table: {row[1] for row in look.execute(f"PRAGMA table_info({table})")} for table in tables}
    judged = {table: {*judged.personal.split(), *judged.others.split()} for table, judged in COLUMNS.items()}
    assert judged == columns
    assert not [table for table, one in COLUMNS.items() if {*one.personal.split()} & {*one.others.split()}]


async def test_what_is_written_anew_is_counted(store: Store) -> None:
    """Payment, operation with its answer, event with its webhook, callback: each may shrink or grow."""
    payment = await resolved_payment(store, 1, State.CAPTURED)
    await store.commit(
        "acme",
        [
            inbox.insert_callback(
                "cb_1", tenant="acme", account="main", callback=a_callback(), verdict="repeated", payment_id=payment.id
            )
        ],
    )
    before = await drift_of(store)
    loaded = await store.payment("acme", payment.id)
    assert loaded is not None
    records = await store.personal_data.about("acme", payment.id)
    operation, event, callback = records.operations[0], records.events[0], records.callbacks[0]
    await store.commit(
        "acme",
        [
            personal_data.write_payment(loaded.payment, loaded.payment),
            personal_data.write_operation(
                "acme", payment.id, operation, OperationRow(operation.id, operation.doc, "ä")
            ),
            personal_data.write_event("acme", payment.id, event, EventRow(event.version, event.doc, '{"longer": 1}')),
            personal_data.write_callback("acme", callback, CallbackRow("cb_1", "", *NO_CONTENTS, None, None, "[]")),
        ],
    )
    assert await drift_of(store) == before
    again = await store.personal_data.about("acme", payment.id)
    assert (again.operations[0].answer, again.events[0].body) == ("ä", '{"longer": 1}')
    assert again.callbacks == [CallbackRow("cb_1", "", *NO_CONTENTS, None, None, "[]")]


async def test_a_callback_that_is_judged_again_meanwhile_is_a_conflict(store: Store) -> None:
    """What was read of it is not what it is any more."""
    await store.commit(
        "acme", [inbox.insert_callback("cb_1", tenant="acme", account="main", callback=a_callback(), verdict="refused")]
    )
    [row] = await store.personal_data.unlinked_callbacks("acme")
    with pytest.raises(Conflict):
        await store.commit("acme", [personal_data.write_callback("acme", row._replace(history="[1]"), row)])


async def test_a_search_passes_every_payment_once(store: Store) -> None:
    """Slice by slice, whether or not a slice has any that fits."""
    for number in range(5):
        await stored(store, number)
    found, after, slices = [], "", 0
    while after is not None:
        ids, after = await store.personal_data.search("acme", "%", after=after, limit=2)  # type: ignore[assignment]
        found += ids
        slices += 1
    assert (found, slices) == ([f"pay_{number:03}" for number in range(5)], 4)
    assert await store.personal_data.search("acme", "%nobody%", after="", limit=2) == ([], "pay_001")


async def test_a_fingerprint_is_found_by_its_payment(store: Store) -> None:
    """By the keys of its operations: the keys themselves have no index of payments."""
    payment = await resolved_payment(store, 1, State.CAPTURED)
    records = await store.personal_data.about("acme", payment.id)
    assert records.fingerprints == {"key-00000001": FINGERPRINT}
    await store.commit("acme", [personal_data.write_fingerprint("acme", "key-00000001", "other")])
    assert (await store.personal_data.about("acme", payment.id)).fingerprints == {"key-00000001": "other"}
