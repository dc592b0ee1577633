"""Fixtures for all tests: the whole house on a fresh store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from tests.house import House, open_house

settings.register_profile("unshrunk", phases=(Phase.generate,))  # ``make sabotage`` wants to know that, not why


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A running gateway with both simulators."""
    async with open_house(tmp_path) as opened:
        yield opened
