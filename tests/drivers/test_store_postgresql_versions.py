"""Databases know their version: who is too old or too new for one says so, and nodes of two versions work on one."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from gateway.core.errors import Unavailable
from gateway.drivers.clock import EPOCH, milliseconds
from gateway.drivers.store import nodes
from gateway.drivers.store.nodes import NodeRow
from gateway.drivers.store.postgresql import migrations
from gateway.drivers.store.postgresql.engine import open_postgresql, open_postgresql_to_read
from gateway.drivers.store.schema import VERSION
from gateway.drivers.store.statements import NO_TENANT
from gateway.drivers.store.store_files import AlreadyRunning
from tests.drivers.test_store_migrations import EMPTY
from tests.support.factories.payments import AT
from tests.support.factories.store_units import create_of, reserving

NEXT = {VERSION: ("ALTER TABLE payments ADD COLUMN note TEXT",)}
"""A migration as the next release may bring one."""


@pytest.fixture
def next_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """The release after this one, whose tables this one can work on."""
    monkeypatch.setattr(migrations, "VERSION", VERSION + 1)
    monkeypatch.setattr(migrations, "MIGRATIONS", NEXT)


def execute(url: str, sql: str) -> None:
    """Change a database beside the gateway."""
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(sql.encode())


def columns_of_payments(url: str) -> int:
    """How many there are."""
    with psycopg.connect(url) as look:
        columns = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'payments'"
        (count,) = look.execute(columns).fetchall()[0]
        return int(count)


async def test_a_migration_that_others_are_in_the_way_of_is_tried_again(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits a moment for their locks, lets those go on that wait behind it, and comes back."""
    monkeypatch.setattr(migrations, "LOCK_MILLISECONDS", 10)
    tries, once = 0, migrations._in_transaction
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (migrations.LOCK,))

        async def counted(*of: Any) -> Any:
            nonlocal tries
            tries += 1
            if tries == 2:
                other.execute("SELECT pg_advisory_unlock(%s)", (migrations.LOCK,))
            return await once(*of)

        monkeypatch.setattr(migrations, "_in_transaction", counted)
        await migrations.migrate(database_url, AT)
    assert tries == 2


async def test_two_nodes_that_start_at_once_make_the_tables_once(database_url: str) -> None:
    """One waits for the other; both can work then."""
    execute(database_url, EMPTY)
    stores = await asyncio.gather(*(open_postgresql(database_url) for _ in range(3)))
    for number, store in enumerate(stores, 1):
        await store.commit("acme", reserving(*create_of(number)))
        await store.close()


async def test_a_database_with_other_tables_is_not_touched(database_url: str) -> None:
    """Somebody has another use for it."""
    execute(database_url, f"{EMPTY}; CREATE TABLE payments (id BIGINT)")
    with pytest.raises(Unavailable, match="a table payments that is not the gateway's"):
        await open_postgresql(database_url)
    assert columns_of_payments(database_url) == 1


@pytest.mark.parametrize("opening", [open_postgresql, open_postgresql_to_read, migrations.plan])
@pytest.mark.parametrize(
    ("part", "instead", "why"),
    [
        (r"/[^/?]+(?=\?|$)", "/nowhere", 'database "nowhere" does not exist'),
        (r"//[^@/]*@", "//nobody:pass-word@", 'role "nobody" does not exist'),
        (r"//.*", "//u:pass-word@127.0.0.1:1/d", "port 1 failed: Connection refused"),
        (r"//.*", "//u:first@pass-word/d", "failed to resolve host$"),
        (r"//.*", "//u:pass-word@127.0.0.1/d?sslmode=pass-word", "invalid sslmode value$"),
        (r"//.*", "//u@127.0.0.1/d?connect_timeout=pass-word", "bad value for connect_timeout$"),
        (r"//.*", "//u@127.0.0.1/d?pass-word=x", "ProgrammingError"),
    ],
)
async def test_a_database_that_cannot_be_reached_says_why(
    database_url: str, opening: Callable[[str], Awaitable[object]], part: str, instead: str, why: str
) -> None:
    """In the server's words or libpq's, but nothing that may be a password."""
    with pytest.raises(Unavailable, match=why) as refused:
        await opening(re.sub(part, instead, database_url, count=1))
    assert "pass-word" not in str(refused.value)


OPENINGS = [open_postgresql, open_postgresql_to_read, migrations.plan, lambda url: migrations.migrate(url, EPOCH)]
"""All that begins with a database."""


@pytest.mark.parametrize("opening", OPENINGS, ids=["open", "read", "plan", "migrate"])
async def test_an_older_postgresql_is_refused(
    database_url: str, monkeypatch: pytest.MonkeyPatch, opening: Callable[[str], Awaitable[object]]
) -> None:
    """By its version and the least one that is needed; nothing is tried on it."""
    with psycopg.connect(database_url) as look:
        version = look.info.server_version // 10_000
    monkeypatch.setattr(migrations, "OLDEST_SERVER", version + 1)
    with pytest.raises(Unavailable, match=f"is PostgreSQL {version}, and this gateway needs {version + 1} or newer"):
        await opening(database_url)


@pytest.mark.parametrize("opening", [open_postgresql, migrations.plan, lambda url: migrations.migrate(url, EPOCH)])
async def test_a_database_that_lacks_characters_gets_no_tables(
    database_url: str, opening: Callable[[str], Awaitable[object]]
) -> None:
    """Payments would be refused by the names of their customers."""
    latin = "latin_" + urlsplit(database_url).path.removeprefix("/")
    execute(database_url, f"CREATE DATABASE {latin} TEMPLATE template0 ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'C'")
    try:
        url = database_url.rpartition("/")[0] + f"/{latin}"
        with pytest.raises(Unavailable, match=r"encoding LATIN1.*createdb --template=template0 --encoding=UTF8"):
            await opening(url)
        with pytest.raises(Unavailable, match="no store"):
            await open_postgresql_to_read(url)
    finally:
        execute(database_url, f"DROP DATABASE {latin}")


async def test_a_database_without_tables_is_not_read(database_url: str) -> None:
    """Reading makes none."""
    execute(database_url, EMPTY)
    with pytest.raises(Unavailable, match="no store"):
        await open_postgresql_to_read(database_url)


@pytest.mark.usefixtures("next_release")
async def test_older_tables_are_refused_until_somebody_migrates(database_url: str) -> None:
    """A start changes nothing that other nodes work on; it names both versions and the command."""
    before = columns_of_payments(database_url)
    for opening in (open_postgresql, open_postgresql_to_read):
        with pytest.raises(Unavailable, match=f"version {VERSION}, and .* {VERSION + 1}: run gateway migrate"):
            await opening(database_url)
    assert columns_of_payments(database_url) == before
    assert (await migrations.plan(database_url))[0] == 'ALTER TABLE payments ADD COLUMN note TEXT COLLATE "C"'
    await migrations.migrate(database_url, EPOCH)
    await (await open_postgresql(database_url)).close()
    assert columns_of_payments(database_url) == before + 1


async def test_tables_of_a_newer_gateway_are_refused(database_url: str) -> None:
    """By name of both versions; they are not touched."""
    execute(database_url, f"UPDATE schema_version SET version = {VERSION + 2}, works_from = {VERSION + 1}")  # noqa: S608  # numbers
    for opening in (open_postgresql, open_postgresql_to_read):
        with pytest.raises(Unavailable, match=f"version {VERSION + 2}, made by a newer .* version {VERSION}"):
            await opening(database_url)
    with pytest.raises(Unavailable, match="newer"):
        await migrations.migrate(database_url, EPOCH)


async def test_nodes_of_two_versions_work_side_by_side(database_url: str, request: pytest.FixtureRequest) -> None:
    """An older one that runs goes on, is started again, and reads what a newer one wrote; and the other way round."""
    older = await open_postgresql(database_url)
    await older.commit("acme", reserving(*create_of(1)))
    request.getfixturevalue("next_release")
    await migrations.migrate(database_url, EPOCH)
    newer = await open_postgresql(database_url)
    await newer.commit("acme", reserving(*create_of(2)))
    await older.commit("acme", reserving(*create_of(3)))
    request.getfixturevalue("monkeypatch").undo()
    again = await open_postgresql(database_url)
    await again.commit("acme", reserving(*create_of(4)))
    for store in (older, newer, again):
        for number in range(1, 5):
            assert await store.payment("acme", f"pay_{number:03}") is not None
        await store.close()


async def test_what_older_nodes_cannot_work_on_waits_for_their_end(
    database_url: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are named; one that died does not count."""
    row = NodeRow(
        id="node_1",
        host="a.example",
        pid=7,
        version="1",
        settings_hash="",
        url="",
        started_at=0,
        renewed_at=0,
        alive_until=milliseconds(AT),
        clock_ahead=0,
    )
    older = await open_postgresql(database_url)
    await older.commit(NO_TENANT, [nodes.renew(row)])
    await older.close()
    request.getfixturevalue("next_release")
    monkeypatch.setattr(migrations, "WORKS_FROM", VERSION + 1)
    with pytest.raises(AlreadyRunning, match=r"a\.example, process 7"):
        await migrations.migrate(database_url, AT - timedelta(seconds=1))
    await migrations.migrate(database_url, AT)
    monkeypatch.undo()
    with pytest.raises(Unavailable, match="newer"):
        await open_postgresql(database_url)
