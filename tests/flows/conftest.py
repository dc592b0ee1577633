"""Fixtures of the flows' tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.flows.background import reconcile
from tests.support.scenarios.creditkey import TimedStack, idle, open_timed
from tests.support.several_gateways import several_gateways
from tests.support.stack import GatewayStack
from tests.support.virtual_clock import VirtualClock


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


@pytest.fixture
def clock() -> VirtualClock:
    """Everybody's clock."""
    return VirtualClock()


@pytest.fixture
async def two(
    tmp_path: Path, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[GatewayStack]]:
    """Two gateways on one store, whose checks only the test runs."""
    monkeypatch.setattr(reconcile, "run", idle)
    async with several_gateways(tmp_path, clock=clock) as stacks:
        yield stacks
