"""One faulty stack for all rows of a module; each row has a payment of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.faults.faulty_stack import FaultyStack, running_faulty_stack
from tests.support.stores import ENGINES


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=ENGINES)
async def faulty(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[FaultyStack]:
    """A running faulty stack on each engine, for tests marked ``asyncio(loop_scope="module")``."""
    async with running_faulty_stack(tmp_path_factory.mktemp("faulty"), request.param) as opened:
        yield opened
