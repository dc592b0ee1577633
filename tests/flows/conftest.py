"""Fixtures of the flows' tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.flows.background import reconcile
from tests.support.scenarios.creditkey import TimedStack, idle, open_timed


@pytest.fixture(params=["in memory", "postgresql"])
def shared_url(request: pytest.FixtureRequest) -> Any:
    """Where several gateways have their store, as ``several_gateways`` takes it: what is tested holds of each."""
    return None if request.param == "in memory" else request.getfixturevalue("database_url")


@pytest.fixture
async def timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TimedStack]:
    """A stack whose clock and background checks only the test moves."""
    monkeypatch.setattr(reconcile, "run", idle)
    async with open_timed(tmp_path) as opened:
        yield opened
