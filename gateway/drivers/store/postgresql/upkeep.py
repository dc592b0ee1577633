"""What a store on PostgreSQL keeps up by itself: growth is added to the sums, and old marks of units are deleted."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from gateway.drivers.store.postgresql.commits import MARK_KEPT_SECONDS, mark_at
from gateway.drivers.store.postgresql.connection import Command, Lost, Refused, rows_of
from gateway.drivers.store.postgresql.pool import NothingSent, Pool

PAUSE_SECONDS = 10.0
"""By how much the sums that budgets are compared with may be late."""

MARKS_EACH = 6
"""After how many rounds old marks are deleted."""

MARKS_AT_ONCE = 5000
"""How many one statement deletes: it takes a moment, and others may go on in between."""

MARGIN_SECONDS = 600.0
"""By how much clocks of nodes may differ, and longer."""

LOCK, MARKS_LOCK = 0x67726F777468, 0x6D61726B73
"""The advisory locks of the one that adds growth, and of the one that deletes marks."""

_ADD_UP = """
    WITH mine AS (SELECT pg_try_advisory_xact_lock($1) AS is_free),
    grown AS (DELETE FROM growth WHERE (SELECT is_free FROM mine) RETURNING tenant, bytes)
    INSERT INTO stored_bytes (tenant, bytes) SELECT tenant, CAST(SUM(bytes) AS BIGINT) FROM grown GROUP BY tenant
    ON CONFLICT (tenant) DO UPDATE SET bytes = stored_bytes.bytes + excluded.bytes"""

# The oldest marks of one tenant after the other, by the primary key; then by their places, without looking again.
_FORGET_MARKS = """
    WITH RECURSIVE mine AS (SELECT pg_try_advisory_xact_lock($1) AS is_free),
    owners (tenant) AS (
        SELECT MIN(tenant) FROM units WHERE (SELECT is_free FROM mine)
        UNION ALL
        SELECT (SELECT MIN(u.tenant) FROM units u WHERE u.tenant > o.tenant) FROM owners o WHERE o.tenant IS NOT NULL
    ),
    gone AS (
        DELETE FROM units WHERE ctid = ANY (ARRAY(
            SELECT old.place FROM owners o CROSS JOIN LATERAL
            (SELECT u.ctid AS place FROM units u WHERE u.tenant = o.tenant AND u.id < $2 ORDER BY u.id LIMIT $3) old
            LIMIT $3
        )) RETURNING 1
    )
    SELECT COUNT(*) FROM gone"""

_log = logging.getLogger("gateway")


async def keep_up(pool: Pool) -> None:
    """Do it now and then until cancelled; what fails is done the next time."""
    number = 0
    while True:
        await asyncio.sleep(PAUSE_SECONDS)
        number += 1
        await add_up(pool)
        if number % MARKS_EACH == 0:
            await forget_marks(pool, time.time() - MARK_KEPT_SECONDS - MARGIN_SECONDS)


async def add_up(pool: Pool) -> None:
    """Add the growth that others have committed to the sums."""
    await _ask(pool, Command(_ADD_UP, (LOCK,)))


async def forget_marks(pool: Pool, before: float) -> None:
    """Delete marks from before a time (Unix time), a part at a time, unless another process is about it."""
    command = Command(_FORGET_MARKS, (MARKS_LOCK, mark_at(before), MARKS_AT_ONCE))
    while await _ask(pool, command) == [(MARKS_AT_ONCE,)]:
        pass


async def _ask(pool: Pool, command: Command) -> list[tuple[Any, ...]]:
    """The rows of an answer; none where there is no answer."""
    try:
        return rows_of((await pool.ask(command))[0])
    except (Lost, Refused, NothingSent) as problem:
        why = f"SQLSTATE {problem.sqlstate}" if isinstance(problem, Refused) else str(problem)
        _log.warning("the store could not be kept up", extra={"problem": why})
        return []
