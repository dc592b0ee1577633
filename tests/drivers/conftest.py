"""Fixtures of the stores' tests: a store of its own for each, on both engines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.drivers.store.reads import Store
from tests.support import stores
from tests.support.factories.store_units import database


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test of the store runs on both engines; one that asks for ``path`` is about SQLite's file, and on it alone."""
    if "store_url" in metafunc.fixturenames:
        engines = stores.ENGINES[:1] if "path" in metafunc.fixturenames else stores.ENGINES
        metafunc.parametrize("store_url", engines, indirect=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database of SQLite is; its folder does not exist yet."""
    return database(tmp_path)


@pytest.fixture
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a store that holds nothing."""
    with stores.fresh_url(request.param, tmp_path) as url:
        yield url


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """An empty store; a test may close it."""
    async with stores.opened(store_url) as opened:
        yield opened
