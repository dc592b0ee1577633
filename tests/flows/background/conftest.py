"""Fixtures of the background work's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.flows.background import reconcile
from tests.support.scenarios.creditkey import TimedStack, idle, open_timed


@pytest.fixture
async def seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TimedStack]:
    """The stack of ``timed``, which polls so seldom that every check has another cause."""

    def change(settings: dict[str, Any]) -> None:
        settings["clocks"] |= {"poll": ["300d"], "hint": "10s"}
        settings["tenants"]["acme"]["accounts"]["creditkey-main"]["config"]["absence_proves"] = True

    monkeypatch.setattr(reconcile, "run", idle)
    async with open_timed(tmp_path, change) as opened:
        yield opened
