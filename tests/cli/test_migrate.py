"""``gateway migrate``: the tables of an older store are brought up to date, or it is shown how."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from pathlib import Path

import psycopg
import pytest
import yaml

from gateway.drivers.store.postgresql import migrations
from gateway.drivers.store.schema import VERSION
from gateway.drivers.store.sqlite import open_sqlite
from gateway.drivers.store.store_files import take_lock
from tests.drivers.test_store_migrations import EMPTY
from tests.support.cli import run, write
from tests.support.factories.releases import left_by_release, left_on_postgresql


def on_postgresql(folder: Path, url: str) -> Path:
    """Settings whose store is a database."""
    config = write(folder)
    settings = yaml.safe_load(config.read_text())
    settings["store"] = {"url": url}
    config.write_text(yaml.safe_dump(settings))
    return config


def version_of(path: Path) -> int:
    """What a file says."""
    with sqlite3.connect(path) as look:
        return int(look.execute("PRAGMA user_version").fetchone()[0])


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A store of an earlier version."""
    return left_by_release(tmp_path / "data" / "gateway.db", 4)


def test_a_file_is_planned_and_then_migrated(tmp_path: Path, older: Path) -> None:
    """A plan prints every statement and changes nothing; done again there is nothing to do."""
    config = write(tmp_path)
    before = older.read_bytes()
    planned = run("migrate", "--plan", "--config", config)
    assert (planned.exit_code, older.read_bytes()) == (0, before)
    assert planned.stdout.startswith("CREATE TABLE IF NOT EXISTS audit_log (\n")
    assert "\nALTER TABLE audit_log RENAME TO old;\n" in planned.stdout
    assert planned.stdout.endswith(f"\nPRAGMA user_version = {VERSION};\n")
    assert run("migrate", "--config", config).stdout == "the tables are up to date now\n"
    assert version_of(older) == VERSION
    assert run("migrate", "--plan", "--config", config).stdout == ""
    assert run("migrate", "--config", config).stdout == "the tables are up to date\n"


def test_a_file_that_a_gateway_uses_is_left_alone(tmp_path: Path, older: Path) -> None:
    """Exit code 3, also where nothing is to be done; a plan only looks."""
    config, lock = write(tmp_path), take_lock(older)
    try:
        result = run("migrate", "--config", config)
        assert (result.exit_code, version_of(older)) == (3, 4)
        assert run("migrate", "--plan", "--config", config).exit_code == 0
    finally:
        os.close(lock)


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """A wrong path would pass for a store that is up to date."""
    result = run("migrate", "--config", write(tmp_path))
    assert (result.exit_code, "there is no store" in result.stderr) == (4, True)


def test_a_database_is_planned_and_then_migrated(tmp_path: Path, database_url: str) -> None:
    """The same, in the words of PostgreSQL; a gateway that starts on the older one says what to do."""
    with psycopg.connect(database_url, autocommit=True) as empty:
        empty.execute(EMPTY)
    left_on_postgresql(database_url, 4)
    config = on_postgresql(tmp_path, database_url)
    refused = run("serve", "--config", config)
    assert (refused.exit_code, "run gateway migrate" in refused.stderr) == (4, True)
    planned = run("migrate", "--plan", "--config", config)
    assert "\nALTER TABLE audit_log RENAME TO old;\n" in planned.stdout
    assert 'id TEXT COLLATE "C"' in planned.stdout
    assert run("migrate", "--plan", "--config", config).stdout == planned.stdout
    assert run("migrate", "--config", config).stdout == "the tables are up to date now\n"
    assert run("migrate", "--plan", "--config", config).stdout == ""
    assert run("migrate", "--config", config).stdout == "the tables are up to date\n"


def test_a_database_of_a_newer_gateway_is_refused(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 4, naming both versions."""
    config = on_postgresql(tmp_path, database_url)
    monkeypatch.setattr(migrations, "VERSION", VERSION - 1)
    for command in ("serve", "migrate"):
        result = run(command, "--config", config)
        assert result.exit_code == 4
        assert f"version {VERSION}, made by a newer gateway; this one knows version {VERSION - 1}" in result.stderr


async def test_each_of_several_stores_is_migrated(tmp_path: Path, older: Path) -> None:
    """One after the other, each under its name; a plan says which statements are for which."""
    new = tmp_path / "new" / "gateway.db"
    await (await open_sqlite(new)).close()
    config = write(tmp_path)
    settings = yaml.safe_load(config.read_text())
    del settings["store"]
    settings["stores"] = {name: {"url": f"sqlite:///{path}"} for name, path in (("main", new), ("eu", older))}
    config.write_text(yaml.safe_dump(settings))
    planned = await asyncio.to_thread(run, "migrate", "--plan", "--config", config)
    assert planned.stdout.startswith("-- the tables (eu)\nCREATE TABLE")
    assert (await asyncio.to_thread(run, "migrate", "--config", config)).stdout == (
        "the tables (main) are up to date\nthe tables (eu) are up to date now\n"
    )
