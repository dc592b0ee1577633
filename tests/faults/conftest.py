"""One bench for all rows of a module: each row has a payment of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.faults.bench import Bench, open_bench


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    """A running bench for tests marked ``asyncio(loop_scope="module")``."""
    async with open_bench(tmp_path_factory.mktemp("bench")) as opened:
        yield opened
