"""One stack for the tables of a module: every row makes a payment of its own. A ``conftest.py`` imports the fixture."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.stack import GatewayStack, running_stack


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayStack]:
    """A running stack for tests marked ``asyncio(loop_scope="module")``."""
    async with running_stack(tmp_path_factory.mktemp("stack")) as opened:
        yield opened
