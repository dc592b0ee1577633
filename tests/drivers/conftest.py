"""Fixtures of the SQLite tests: a store in a file of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.drivers.store.reads import Store
from gateway.drivers.store.sqlite import open_sqlite
from tests.support.factories.store_units import database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is; its folder does not exist yet."""
    return database(tmp_path)


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    """An empty store; a test may close it."""
    opened = await open_sqlite(path)
    yield opened
    await opened.close()
