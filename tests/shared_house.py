"""One house for the tables of a module: every row makes a payment of its own. A ``conftest.py`` imports the fixture."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.house import House, open_house


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A running house for tests marked ``asyncio(loop_scope="module")``."""
    async with open_house(tmp_path_factory.mktemp("house")) as opened:
        yield opened
