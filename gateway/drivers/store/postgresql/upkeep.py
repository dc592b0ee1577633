"""What a store on PostgreSQL keeps up by itself: growth is added to the sums, and old marks of units are deleted."""

from __future__ import annotations

import asyncio
import time

from gateway.drivers.store.postgresql.commits import MARK_KEPT_SECONDS, mark_at
from gateway.drivers.store.postgresql.connection import Command, Lost, Refused
from gateway.drivers.store.postgresql.pool import NothingSent, Pool

PAUSE_SECONDS = 10.0
"""By how much the sums that budgets are compared with may be late."""

MARKS_EACH = 30
"""After how many rounds marks are deleted: each time the table is read as a whole."""

MARGIN_SECONDS = 600.0
"""By how much clocks of nodes may differ, and longer."""

LOCK = 0x67726F777468
"""The advisory lock of the one that adds growth."""

_ADD_UP = """
    WITH mine AS (SELECT pg_try_advisory_xact_lock($1) AS is_free),
    grown AS (DELETE FROM growth WHERE (SELECT is_free FROM mine) RETURNING tenant, bytes)
    INSERT INTO stored_bytes (tenant, bytes) SELECT tenant, CAST(SUM(bytes) AS BIGINT) FROM grown GROUP BY tenant
    ON CONFLICT (tenant) DO UPDATE SET bytes = stored_bytes.bytes + excluded.bytes"""

_FORGET_MARKS = "DELETE FROM units WHERE id < $1"


async def keep_up(pool: Pool) -> None:
    """Do it now and then until cancelled; what fails is done the next time."""
    number = 0
    while True:
        await asyncio.sleep(PAUSE_SECONDS)
        number += 1
        await add_up(pool)
        if number % MARKS_EACH == 0:
            await _ask(pool, Command(_FORGET_MARKS, (mark_at(time.time() - MARK_KEPT_SECONDS - MARGIN_SECONDS),)))


async def add_up(pool: Pool) -> None:
    """Add the growth that others have committed to the sums."""
    await _ask(pool, Command(_ADD_UP, (LOCK,)))


async def _ask(pool: Pool, command: Command) -> None:
    try:
        await pool.ask(command)
    except (Lost, Refused, NothingSent):
        return
