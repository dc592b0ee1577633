"""Operations, keys and checks that an older store held are there, and go on, once it is brought up to date."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.core.payment import Status
from gateway.drivers.clock import milliseconds
from gateway.drivers.store.reads import Store
from gateway.drivers.store.rows import PageRequest
from gateway.drivers.store.sqlite import open_sqlite
from gateway.drivers.store.stored_bytes import RECOUNT
from tests.support.factories.payments import AT
from tests.support.factories.releases import left_by_release
from tests.support.factories.sqlite import beside


@pytest.fixture(params=[2, 3, 4])
async def older(path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """A store of each of these versions, brought up to date."""
    store = await open_sqlite(left_by_release(path, request.param))
    yield store
    await store.close()


async def test_an_older_store_is_counted_anew(older: Store, path: Path) -> None:
    """What every tenant occupies is what its rows of today come to."""
    with beside(path) as look:
        assert await older.stored_bytes() == dict(look.execute(RECOUNT).fetchall())


async def test_checks_of_an_older_release_stay_on_the_schedule(older: Store) -> None:
    """Every payment is checked when it was to be, after as many checks that changed nothing."""
    checks = [
        (row.tenant, row.payment_id, row.due_at - milliseconds(AT), row.tries)
        for row in await older.due_checks(AT + timedelta(days=1), 9)
    ]
    assert checks == [("globex", "pay_002", 40_000, 0), ("acme", "pay_001", 300_000, 2)]


async def test_open_operations_of_an_older_release_stay_open(older: Store) -> None:
    """They are found by status and with their payments, to the member."""
    store = older
    assert [one.id for one in await store.open_operations(Status.SENDING)] == ["op_002", "op_104"]
    (unknown,) = await store.open_operations(Status.UNKNOWN)
    assert (unknown.id, unknown.kind, unknown.note, unknown.reason) == ("op_103", "refund", "silence", "returned")
    assert await store.open_operation(Status.UNKNOWN, "op_103") == unknown
    loaded = await store.payment("acme", "pay_003")
    assert loaded is not None
    assert loaded.open_operation == unknown
    assert await store.refunds("acme", "pay_003", PageRequest(limit=9)) == [unknown]


async def test_ended_operations_of_an_older_release_are_kept(older: Store) -> None:
    """Each payment has its operations in their order, those without a key among them."""
    found = {
        payment: [(one.id, str(one.status)) for one in await older.operations("acme", payment)]
        for payment in ("pay_001", "pay_003", "pay_004", "pay_005")
    }
    assert found == {
        "pay_001": [("op_001", "succeeded")],
        "pay_003": [("op_003", "succeeded"), ("op_103", "unknown")],
        "pay_004": [("op_004", "not_sent"), ("op_104", "sending")],
        "pay_005": [("op_005", "succeeded"), ("op_105", "succeeded")],
    }


async def test_answers_of_an_older_release_are_given_again(older: Store) -> None:
    """A repeated request gets the bytes it got before; where the operation is open there is none yet."""
    records = [await older.idempotency_record("acme", f"key-00000{key}") for key in ("001", "103", "004")]
    assert [(one.operation_id, one.answer_status, one.answer) for one in records if one is not None] == [
        ("op_001", 201, '{"id": "pay_001", "name": "Jäck"}'),
        ("op_103", None, None),
        ("op_104", None, None),
    ]
    assert await older.answered_keys("acme", AT + timedelta(days=1), 9) == [
        "key-00000001",
        "key-00000003",
        "key-00000005",
    ]


async def test_references_of_an_older_release_stay_owned(older: Store) -> None:
    """A reference belongs to its payment, whichever tenant's it is, and a provider's reference finds it."""
    owners = [
        await older.reference_owner(tenant, "main", f"SO-{number}")
        for tenant, number in (("acme", 1), ("globex", 2), ("globex", 1))
    ]
    assert owners == ["pay_001", "pay_002", None]
    assert await older.payment_by_provider_reference("acme", "main", "T-1") == "pay_001"
