"""Single rows, which are read on the event loop's own thread: fresh, holding nothing, and never waiting there."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from gateway.drivers.store.checkpoints import checkpoint
from gateway.drivers.store.reads import Store
from tests.support.factories.sqlite import beside, engine_of
from tests.support.factories.store_units import stored


async def test_a_row_that_was_read_holds_no_log(store: Store, path: Path) -> None:
    """A reader that stays in its transaction would let the log grow for ever."""
    await stored(store, 1)
    assert await store.payment("acme", "pay_001") is not None
    engine = engine_of(store)
    engine._log.stop()  # two at once may not copy the log
    await engine._keeping
    with beside(path) as other:
        assert checkpoint(other, "TRUNCATE") == 0


class Locked:
    """A connection that meets the lock of another process."""

    def execute(self, *_: Any) -> Any:
        raise sqlite3.OperationalError("database is locked")

    def close(self) -> None:
        """There is nothing to close."""


async def test_where_a_row_would_have_to_wait_another_thread_does(store: Store, path: Path) -> None:
    """The event loop goes on, and the caller has its row."""
    await stored(store, 1)
    engine_of(store)._keys.close()
    engine_of(store)._keys = Locked()  # type: ignore[assignment]
    assert await store.payment("acme", "pay_001") is not None
