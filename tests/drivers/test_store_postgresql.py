"""The PostgreSQL engine on a real server."""

from __future__ import annotations

from urllib.parse import urlsplit

import psycopg
import pytest

from gateway.core.errors import Unavailable
from gateway.drivers.store.metadata import set_timestamp
from gateway.drivers.store.postgresql.connection import Command
from gateway.drivers.store.postgresql.engine import _read, open_postgresql, open_postgresql_to_read
from gateway.drivers.store.statements import NO_TENANT
from tests.drivers.test_store_postgresql_commits import COMMITTED, CUT, Scripted
from tests.support import postgresql
from tests.support.factories.payments import AT
from tests.support.postgresql_cluster import PROGRAMS, PostgreSQLFailed


def test_each_test_has_a_database_of_its_own() -> None:
    """Tables without rows; what one test writes no other sees, and what it leaves open hinders nobody."""
    with postgresql.fresh_database() as url:
        left_open = psycopg.connect(url)
        left_open.execute("INSERT INTO units (tenant, id) VALUES ('acme', 'a')")
        left_open.commit()
    with postgresql.fresh_database() as other, psycopg.connect(other) as connection:
        assert connection.execute("SELECT count(*) FROM units").fetchone() == (0,)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


async def test_a_read_on_a_connection_that_was_lost_is_made_again() -> None:
    """Once: an idle one may have died unnoticed, but not two in a row."""
    query = Command("SELECT is_barred FROM units", ())
    assert await _read(Scripted(CUT, COMMITTED), query) == [(False,)]
    pool = Scripted(CUT, CUT, COMMITTED)
    with pytest.raises(Unavailable, match="cannot be read"):
        await _read(pool, query)
    assert len(pool.sent) == 2


async def test_what_is_opened_to_read_cannot_be_written(database_url: str) -> None:
    """The server itself refuses it."""
    store = await open_postgresql_to_read(database_url)
    with pytest.raises(Unavailable, match="25006"):
        await store.claim(NO_TENANT, set_timestamp("copied", AT))
    await store.close()


def test_a_server_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """With PostgreSQL's own words."""
    monkeypatch.setenv(PROGRAMS, "/nowhere")
    monkeypatch.delenv(postgresql.FOLDER)  # as a run of its own
    with postgresql.folder_of_the_run(), pytest.raises(PostgreSQLFailed, match="/nowhere/initdb"):
        postgresql.fresh_database().__enter__()


@pytest.mark.parametrize(
    ("options", "expected"),
    [("", ("on", "10s")), ("?options=-c%20synchronous_commit%3Dremote_apply", ("remote_apply", "10s"))],
)
async def test_a_commit_is_on_the_disk_when_it_is_answered(
    database_url: str, options: str, expected: tuple[str, str]
) -> None:
    """Whatever the database says; what the URL says counts, and takes nothing else away."""
    name = urlsplit(database_url).path.removeprefix("/")
    with psycopg.connect(database_url, autocommit=True) as beside:
        beside.execute(f"ALTER DATABASE {name} SET synchronous_commit = off".encode())
    store = await open_postgresql(database_url + options)
    shown = "SELECT current_setting('synchronous_commit'), current_setting('statement_timeout')"
    assert await store._engine.rows(shown, ()) == [expected]
    await store.close()
