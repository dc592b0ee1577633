"""The tables on PostgreSQL: what their triggers and views do, as those of SQLite do it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from gateway.core.errors import Conflict, Unavailable
from gateway.core.secret import Secret
from gateway.drivers.store import approvals, audit, statements
from gateway.drivers.store.approvals import Approval
from gateway.drivers.store.audit import append
from gateway.drivers.store.postgresql import upkeep
from gateway.drivers.store.postgresql.dialect import translated
from gateway.drivers.store.postgresql.engine import PostgresqlEngine, open_postgresql
from gateway.drivers.store.reads import Store
from gateway.drivers.store.stored_bytes import RECOUNT
from gateway.flows.audit import key_of, secret_id_of
from gateway.flows.audit_chain import verify
from tests.drivers.test_store_audit import content
from tests.support.factories.store_units import create_of, reserving
from tests.support.stores import others_ended

SECRET = Secret("now-" * 10)

MANY = (
    "INSERT INTO events (tenant, id, payment_id, type, version)"
    " SELECT 'acme', 'evt_' || n, 'pay_1', 'x', n FROM generate_series(1, 5) n"
)
"""Events of one transaction."""


@pytest.fixture
async def shared(database_url: str) -> AsyncIterator[Store]:
    """An empty store on PostgreSQL."""
    opened = await open_postgresql(database_url)
    yield opened
    await opened.close()


def acted(number: int, **about: object) -> statements.Statement:
    """A row of the audit trail."""
    return append(content(number, secret_id=secret_id_of(SECRET), **about), key_of(SECRET))


def an_approval(identifier: str) -> statements.Statement:
    """An act that waits."""
    return approvals.insert(
        Approval(
            id=identifier,
            status="open",
            method="POST",
            path="/admin/x",
            target=None,
            body="{}",
            key_id="opr_1",
            key_name=None,
            created_at=1,
            expires_at=2,
        )
    )


async def test_the_audit_trail_is_one_chain_however_many_write_it(shared: Store) -> None:
    """Each row is behind the one before, made with the hashes that Python makes."""
    await asyncio.gather(*(shared.commit(f"tenant{number}", [acted(number)]) for number in range(60)))
    found = await verify(shared, [SECRET])
    assert (found.rows, found.problems) == (60, ())


@pytest.mark.parametrize("key", ["", "short", "ä" * 40, "x" * 64, "y" * 200])
def test_hashes_are_those_of_python(database_url: str, key: str) -> None:
    """Of keys of every length."""
    with psycopg.connect(database_url) as connection:
        made = connection.execute("SELECT sha256_hex(%s), hmac_sha256_hex(%s, %s)", ("ä\u2028", key, "ä\u2028"))
        assert made.fetchone() == (audit.sha256_hex("ä\u2028"), audit.hmac_sha256_hex(key, "ä\u2028"))


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit_log SET reason = 'other'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "INSERT INTO audit_log (sequence, at, key_id, act, details, previous_hash, hash, secret_id, mac)"
        " SELECT 7, at, key_id, act, details, previous_hash, hash, secret_id, mac FROM audit_log",
    ],
)
async def test_the_audit_trail_only_grows(shared: Store, database_url: str, sql: str) -> None:
    """Whoever writes to the database."""
    await shared.commit("acme", [acted(1)])
    with psycopg.connect(database_url) as other, pytest.raises(psycopg.Error, match="append-only"):
        other.execute(sql)


async def test_an_approval_is_used_once(shared: Store) -> None:
    """The act that it is for is in the same transaction; of two at once one is refused."""
    await shared.commit("", [an_approval("apv_1")])
    acts = [[acted(number, approved_by="opr_2", approval_id="apv_1")] for number in (1, 2)]
    outcomes = await asyncio.gather(*(shared.commit("acme", act) for act in acts), return_exceptions=True)
    used = await shared.approvals.find("apv_1")
    assert sorted(isinstance(one, Unavailable) for one in outcomes) == [False, True]
    assert used is not None
    assert (used.status, used.decided_by, used.body) == ("approved", "opr_2", None)
    assert (await verify(shared, [SECRET])).rows == 1


async def test_growth_is_counted_whether_it_was_added_up_or_not(shared: Store, database_url: str) -> None:
    """And what is deleted is given back."""

    def recounted() -> dict[str, int]:
        with psycopg.connect(database_url) as look:
            return dict(look.execute(translated(RECOUNT).encode()).fetchall())

    engine = shared._engine
    assert isinstance(engine, PostgresqlEngine)
    await shared.commit("acme", reserving(*create_of(1)))
    assert await shared.stored_bytes() == recounted() != {}
    await upkeep.add_up(engine._reads)
    assert await shared.stored_bytes() == recounted()
    with psycopg.connect(database_url) as other:
        other.execute("DELETE FROM idempotency_keys")
        other.execute("UPDATE events SET delivery_id = NULL, body = NULL, attempts = NULL")
    assert await shared.stored_bytes() == recounted()
    await upkeep.add_up(engine._reads)
    assert await engine.rows("SELECT COUNT(*) FROM growth", ()) == [(0,)]


async def test_the_index_reads_no_event_that_another_may_come_before(shared: Store, database_url: str) -> None:
    """A transaction that began earlier may end later; then its events come first."""
    with psycopg.connect(database_url) as earlier:
        earlier.execute(
            "INSERT INTO events (tenant, id, payment_id, type, version) VALUES ('acme', 'evt_0', 'pay_0', 'x', 1)"
        )
        await shared.commit("acme", reserving(*create_of(1)))
        assert await shared.search.new_events(0, "", 9) == []
        assert await shared.search.count_after(0, "") == 0
    await others_ended(shared)
    (first,) = await shared.search.new_events(0, "", 1)
    (second,) = await shared.search.new_events(first.event_row, first.id, 1)
    assert first.id == "evt_0"
    assert await shared.search.is_at(second.event_row, second.id)
    assert await shared.search.last_event_row() == second.event_row


async def test_events_of_one_transaction_are_read_in_parts(shared: Store, database_url: str) -> None:
    """They have one row number; their ids tell how far a reader is."""
    with psycopg.connect(database_url) as other:
        other.execute(MANY)
    await others_ended(shared)
    (first, second) = await shared.search.new_events(0, "", 2)
    assert first.event_row == second.event_row
    assert await shared.search.count_after(second.event_row, second.id) == 3
    rest = await shared.search.new_events(second.event_row, second.id, 9)
    assert [one.id for one in (first, second, *rest)] == [f"evt_{number}" for number in range(1, 6)]


async def test_events_that_a_dump_brought_are_numbered_anew(database_url: str) -> None:
    """Their numbers are to come on this server: what is written now would be before them, and passed over."""
    with psycopg.connect(database_url) as other:
        other.execute(MANY)
        other.execute("UPDATE events SET rowid = 1000000000000")
        other.execute("INSERT INTO search_progress VALUES (1, 'key', 1000000000000, 'evt_5')")
    store = await open_postgresql(database_url)
    await store.commit("acme", reserving(*create_of(1)))
    await others_ended(store)
    found = await store.search.new_events(0, "", 9)
    assert (len(found), found[-1].id) == (6, "evt_pay_001")
    assert await store.search.progress() is None
    await store.close()


async def test_a_reference_is_not_taken_from_a_payment_that_is_not_seen_yet(shared: Store, database_url: str) -> None:
    """Of creates at the same time one owns it: who waited for it sees that it is taken, not yet by whom."""
    (first, second) = [
        [statements.insert_payment(*created), statements.claim_reference(created[0], grace_began_before=0)]
        for created in (create_of(number, merchant_reference="SO-1") for number in (1, 2))
    ]
    with psycopg.connect(database_url) as other, psycopg.RawCursor(other) as writes:
        for statement in first:
            writes.execute(translated(statement.sql).encode(), statement.params)
        committed = asyncio.create_task(shared.commit("acme", second))
        await somebody_waits(shared)
    with pytest.raises(Conflict) as refused:
        await committed
    assert refused.value.on == "merchant_reference"
    assert await shared.reference_owner("acme", "main", "SO-1") == "pay_001"


async def somebody_waits(store: Store) -> None:
    """Return when a connection waits for a lock."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with asyncio.timeout(10):
        while not await store._engine.rows(waiting, ()):
            pass
