"""The PostgreSQL engine on a real server."""

from __future__ import annotations

import psycopg
import pytest

from tests.support import postgresql
from tests.support.postgresql_cluster import PostgreSQLFailed


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


def test_a_server_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """With PostgreSQL's own words."""
    monkeypatch.setenv("POSTGRESQL_BIN", "/nowhere")
    monkeypatch.delenv(postgresql.FOLDER)  # as a run of its own
    with postgresql.folder_of_the_run(), pytest.raises(PostgreSQLFailed, match="/nowhere/initdb"):
        postgresql.fresh_database().__enter__()
