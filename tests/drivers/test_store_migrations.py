"""Stores of every earlier version are brought up to date on both engines, wherever that is interrupted."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from gateway.core.errors import Unavailable
from gateway.drivers.clock import EPOCH
from gateway.drivers.store import sqlite
from gateway.drivers.store.postgresql import migrations
from gateway.drivers.store.schema import MIGRATIONS
from gateway.drivers.store.sqlite import open_sqlite
from tests.support.factories.releases import (
    RELEASES,
    left_by_release,
    left_on_postgresql,
    rows_of_postgresql,
    rows_of_sqlite,
)

KILLED = "SELECT pg_terminate_backend(pg_backend_pid())"
EMPTY = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"


def killed_before(version: int, statements: int) -> range:
    """The places of a version's own steps; of the last one also of everything that follows: each is killed once."""
    return range(statements if version == RELEASES[-1] else len(MIGRATIONS[version]))


@pytest.fixture
async def migrated(tmp_path: Path, version: int) -> Path:
    """A file that was brought up to date without a pause."""
    path = left_by_release(tmp_path / "migrated" / "gateway.db", version)
    await (await open_sqlite(path)).close()
    return path


@pytest.mark.parametrize("version", RELEASES)
async def test_a_file_is_migrated_whenever_it_was_killed(
    path: Path, tmp_path: Path, migrated: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies on the disk before each statement is what a process that is killed there leaves."""
    copies: list[Path] = []
    planned = sqlite._bringing_up_to_date

    def photographed(connection: sqlite3.Connection) -> Iterator[str]:
        for number, sql in enumerate(planned(connection)):
            copies.append(Path(shutil.copytree(path.parent, tmp_path / str(number))) / path.name)
            yield sql

    left_by_release(path, version)
    monkeypatch.setattr(sqlite, "_bringing_up_to_date", photographed)
    await (await open_sqlite(path)).close()
    monkeypatch.undo()
    expected = rows_of_sqlite(migrated)
    for copy in [copies[number] for number in killed_before(version, len(copies))]:
        with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as writer:
            writer.execute("PRAGMA synchronous = OFF")
            sqlite.make_tables(writer)
        assert rows_of_sqlite(copy) == expected
    assert len(copies) > len(sqlite.TABLES)


@pytest.mark.parametrize("version", RELEASES)
async def test_a_database_is_migrated_whenever_it_was_killed(
    database_url: str, migrated: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection ends before a statement: nothing is changed, and the next time all of it."""
    with psycopg.connect(database_url, autocommit=True) as empty:
        empty.execute(EMPTY)
    left_on_postgresql(database_url, version)
    statements = await migrations.plan(database_url)
    for number in killed_before(version, len(statements)):

        async def killed(_: object, number: int = number) -> list[str]:
            return [*statements[:number], KILLED]

        monkeypatch.setattr(migrations, "_plan", killed)
        with pytest.raises(Unavailable):
            await migrations.migrate(database_url, EPOCH)
    monkeypatch.undo()
    assert await migrations.plan(database_url) == statements
    await migrations.migrate(database_url, EPOCH)
    assert await migrations.plan(database_url) == []
    assert rows_of_postgresql(database_url, migrated) == rows_of_sqlite(migrated)
