"""Fixtures of the flows' tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.flows.background import reconcile
from tests.support.scenarios.creditkey import TimedStack, idle, open_timed


@pytest.fixture
async def timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TimedStack]:
    """A stack whose clock and background checks only the test moves."""
    monkeypatch.setattr(reconcile, "run", idle)
    async with open_timed(tmp_path) as opened:
        yield opened
