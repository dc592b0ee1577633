"""The URL of the store chooses the engine, and what is missing for it is said in one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import SettingsError, Unavailable
from gateway.core.secret import Secret
from gateway.drivers.settings import StoreTarget
from gateway.drivers.store.opening import (
    missing_driver,
    open_store,
    open_store_to_read,
    open_stores,
    open_stores_to_read,
)
from tests.drivers.test_store_many import settings_of

NOWHERE = StoreTarget(url=Secret("postgresql://gateway:Zr7-secret@127.0.0.1:1/payments"))


async def test_a_file_is_opened_by_sqlite(tmp_path: Path) -> None:
    """Made where it is missing; read beside the process that has it."""
    target = StoreTarget(url=tmp_path / "gateway.db")
    store = await open_store(target)
    reader = await open_store_to_read(target)
    assert await reader.audit.head() is not None
    await reader.close()
    await store.close()


async def test_the_only_store_keeps_its_name(tmp_path: Path) -> None:
    """Also where that is not main: outages are noted under the name that the settings have."""
    store = await open_stores(settings_of(tmp_path, ["eu"]))
    assert [*store.by_name] == ["eu"]
    await store.close()


@pytest.mark.parametrize("opening", [open_stores, open_stores_to_read])
async def test_one_database_is_one_store(tmp_path: Path, database_url: str, opening: Any) -> None:
    """However its URLs are written: the rows of a tenant that moves would be deleted where they are."""
    urls = {"main": database_url, "eu": f"{database_url}?application_name=other"}
    with pytest.raises(SettingsError, match=r"stores\.eu\.url: leads to the database of main"):
        await opening(settings_of(tmp_path, urls=urls))


@pytest.mark.parametrize("opening", [open_store, open_store_to_read])
async def test_a_database_that_does_not_answer(opening: Any) -> None:
    """The store is unavailable; its password is not told."""
    with pytest.raises(Unavailable) as problem:
        await opening(NOWHERE)
    assert "Zr7" not in str(problem.value)


async def test_the_driver_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence says what to install; SQLite needs nothing."""
    monkeypatch.setattr("gateway.drivers.store.opening.find_spec", lambda _: None)
    assert missing_driver(StoreTarget()) == []
    with pytest.raises(SettingsError, match=r"pip install 'tenant-payment-gateway\[postgres\]'"):
        await open_store(NOWHERE)


def test_sqlite_imports_no_postgresql() -> None:
    """Whoever has no database server pays nothing for those who have one."""
    looked = "import sys, gateway.cli, gateway.web.server; print([n for n in sys.modules if 'psycopg' in n])"
    found = subprocess.run([sys.executable, "-c", looked], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"
