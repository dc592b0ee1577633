"""Fixtures of all tests: the whole stack on a fresh store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import Phase, settings

from tests.support.stack import GatewayStack, running_stack

settings.register_profile("unshrunk", phases=(Phase.generate,))  # ``make sabotage`` wants to know that, not why


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[GatewayStack]:
    """A running gateway with both simulators."""
    async with running_stack(tmp_path) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayStack]:
    """One running stack for all tests of a module that are marked ``asyncio(loop_scope="module")``."""
    async with running_stack(tmp_path_factory.mktemp("stack")) as opened:
        yield opened
