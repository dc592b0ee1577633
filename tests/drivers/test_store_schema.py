"""Databases know their version: older ones are brought up to date, newer ones are left alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.core import documents
from gateway.core.errors import Unavailable
from gateway.drivers.store import sqlite
from gateway.drivers.store.reads import Store
from gateway.drivers.store.schema import VERSION
from gateway.drivers.store.sqlite import open_sqlite, open_sqlite_to_read
from gateway.drivers.store.stored_bytes import RECOUNT
from tests.support.factories.payments import AT
from tests.support.factories.releases import RELEASES, left_by_release
from tests.support.factories.sqlite import beside, pragma

NEXT = {VERSION: ("ALTER TABLE heartbeat ADD COLUMN note TEXT", "UPDATE heartbeat SET note = 'migrated'")}
"""A migration as the next release may bring one."""


@pytest.fixture
async def old(path: Path) -> Path:
    """A database of this version with a row in it."""
    store = await open_sqlite(path)
    await store.prove_writable(AT)
    await store.close()
    return path


@pytest.fixture
def newer_gateway(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # which is made before
    """The release after this one."""
    monkeypatch.setattr(sqlite, "VERSION", VERSION + 1)
    monkeypatch.setattr(sqlite, "MIGRATIONS", NEXT)


def shape(path: Path) -> dict[str, Any]:
    """Tables with their columns and kind, and indexes with their text."""
    with beside(path) as look:
        names = look.execute("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite%'").fetchall()
        columns = 'SELECT name, type, "notnull" FROM pragma_table_info(?)'
        return {
            name: ({*look.execute(columns, (name,))}, "WITHOUT ROWID" in sql) if kind == "table" else sql
            for kind, name, sql in names
        }


async def test_a_new_database_has_the_version(store: Store, path: Path) -> None:
    """Anyone who reads it later knows what to expect."""
    assert await pragma(store, "user_version") == VERSION


@pytest.mark.usefixtures("newer_gateway")
async def test_an_older_database_is_brought_up_to_date(old: Path) -> None:
    """Once opened it has the next version, once: opened again nothing is migrated twice."""
    for _ in range(2):
        store = await open_sqlite(old)
        assert await pragma(store, "user_version") == VERSION + 1
        await store.close()
    with beside(old) as look:
        assert look.execute("SELECT note FROM heartbeat").fetchall() == [("migrated",)]


@pytest.mark.usefixtures("newer_gateway")
async def test_a_migration_that_fails_leaves_the_old_database(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it is one transaction: after a start that fails the older gateway still works."""
    before = shape(old)
    monkeypatch.setattr(sqlite, "MIGRATIONS", {VERSION: (*NEXT[VERSION], "CREATE NONSENSE")})
    with pytest.raises(Unavailable):
        await open_sqlite(old)
    assert shape(old) == before


async def test_what_was_made_before_the_first_release_is_refused(old: Path) -> None:
    """Tables without a version fit nothing that is known: they are named as that and not touched."""
    with beside(old) as other:
        other.execute("PRAGMA user_version = 0")
    with pytest.raises(Unavailable, match="before the first release"):
        await open_sqlite(old)
    with beside(old) as other:
        assert other.execute("PRAGMA user_version").fetchone() == (0,)


async def test_a_newer_database_is_refused_and_left(path: Path) -> None:
    """A store made by a newer gateway is named as that, to writers and readers, and not touched."""
    await (await open_sqlite(path)).close()
    with beside(path) as other:
        other.execute(f"PRAGMA user_version = {VERSION + 1}")
    for opening in (open_sqlite, open_sqlite_to_read):
        with pytest.raises(Unavailable, match="newer gateway"):
            await opening(path)
    with beside(path) as other:
        assert other.execute("PRAGMA user_version").fetchone() == (VERSION + 1,)


@pytest.mark.usefixtures("newer_gateway")
async def test_reading_an_older_database_says_what_to_do(old: Path) -> None:
    """A reading command changes nothing, so it cannot bring a store up to date."""
    with pytest.raises(Unavailable, match="older version"):
        await open_sqlite_to_read(old)


@pytest.fixture(params=RELEASES)
def of_release(path: Path, request: pytest.FixtureRequest) -> Path:
    """A store of every version before this one."""
    return left_by_release(path, request.param)


@pytest.fixture
def first_release(path: Path) -> Path:
    """A store of version 1."""
    return left_by_release(path, 1)


async def test_a_store_of_an_older_release_is_brought_up_to_date(of_release: Path, tmp_path: Path) -> None:
    """Afterwards it has the shape of a new one, and its payments read as they were written."""
    fresh = tmp_path / "fresh.db"
    await (await open_sqlite(fresh)).close()
    store = await open_sqlite(of_release)
    loaded = await store.payment("acme", "pay_001")
    await store.close()
    assert shape(of_release) == shape(fresh)
    assert loaded is not None
    assert loaded.payment.metadata == {"warehouse": "7"}
    assert loaded.payment.return_url == "https://shop.example/paid"
    (item,) = loaded.payment.order.items or ()
    assert (item.name, str(item.price)) == ('Jäck "4×"', "410.10")


@pytest.mark.parametrize("version", [2, 3, 4])
async def test_the_webhooks_of_an_older_release_go_on(path: Path, version: int) -> None:
    """Under the ids their tenants know, with the same bytes and attempts, delivered, dead or on their way."""
    store = await open_sqlite(left_by_release(path, version))
    created, dead = await store.deliveries.of_payment("acme", "pay_001")
    timeline = await store.events("acme", "pay_001")
    unheard = await store.deliveries.of_payment("acme", "pay_003"), len(await store.events("acme", "pay_003"))
    next_of = {tenant: await store.deliveries.next_to_send(tenant, "", 9) for tenant in ("acme", "globex")}
    await store.close()
    assert (created.id, created.event_id, created.status) == ("dlv_pay_001", "evt_pay_001", "delivered")
    assert (dead.id, dead.event_id, dead.died_of) == ("dlv_9pay_001_2", "evt_pay_001_2", "exhausted")
    assert dead.attempts == [{"at": "2026-01-02T03:04:07.000Z", "status_code": 500, "error": None}]
    assert dead.created_at == 1767323046000
    assert dead.body == (
        '{"type":"payment.awaiting_customer","timestamp":"2026-01-02T03:04:06.000Z",'
        '"data":{"payment":{"id":"pay_001","merchant_reference":"ä"}}}'
    )
    assert [(identifier, event.details) for identifier, event in timeline] == [
        ("evt_pay_001", {}),
        ("evt_pay_001_2", {"note": "ä"}),
    ]
    assert unheard == ([], 1)
    ((of_test,), (pending,)) = next_of.values()
    assert (of_test.id, of_test.event_id, of_test.payment_id, of_test.type) == (
        "dlv_9test",
        "evt_test",
        None,
        "webhook.test",
    )
    assert (pending.id, pending.next_attempt_at, pending.tries) == ("dlv_pay_002", 1767323045000, 0)


async def test_a_store_of_an_older_release_is_counted(of_release: Path) -> None:
    """Every tenant's rows are counted once, when the store is brought up to date."""
    store = await open_sqlite(of_release)
    counted = await store.stored_bytes()
    await store.close()
    with beside(of_release) as look:
        assert counted == dict(look.execute(RECOUNT).fetchall())
    assert counted.keys() == {"acme", "globex"}


async def test_what_lists_show_of_the_first_release_holds_no_purchase(first_release: Path) -> None:
    """Old payments are listed as fast as new ones; members that came later have their defaults."""
    await (await open_sqlite(first_release)).close()
    with beside(first_release) as look:
        for doc, purchase in look.execute("SELECT doc, purchase FROM payments"):
            assert set(json.loads(doc)) <= set(documents.SUMMARY)
            assert set(json.loads(purchase)) == set(documents.PURCHASE) - {"capture", "form", "erased_at"}
