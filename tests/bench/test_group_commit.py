"""The recording of units and their replay lean on two names of the store."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from bench.rows import group_commit
from gateway.core.errors import GatewayError
from gateway.drivers.clock import EPOCH
from gateway.drivers.store import sqlite, transactions
from gateway.drivers.store.statements import Statement, heartbeat


def test_the_store_has_what_is_replaced() -> None:
    """A recorder in place of ``commit_units``, and another size of a batch."""
    assert list(inspect.signature(transactions.commit_units).parameters) == ["writer", "units"]
    assert sqlite.MAX_BATCH_UNITS == group_commit.CALLERS


def test_units_are_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each caller waits for its own, and one that is refused ends the measurement."""
    monkeypatch.setattr(sqlite, "MAX_BATCH_UNITS", sqlite.MAX_BATCH_UNITS)
    assert asyncio.run(group_commit.write_again([[heartbeat(EPOCH)]] * 100, 1)) > 0
    with pytest.raises(GatewayError):
        asyncio.run(group_commit.write_again([[Statement("INSERT INTO nowhere VALUES (1)", ())]], 1))
