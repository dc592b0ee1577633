"""What a store on PostgreSQL does by itself: add growth to the sums, and delete old marks of units."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from gateway.drivers.store.postgresql.commits import MARK_KEPT_SECONDS, mark_prefix
from gateway.drivers.store.postgresql.connection import Command, Lost, Refused, rows_of
from gateway.drivers.store.postgresql.pool import NothingSent, Pool

PAUSE_SECONDS = 10.0
"""Pause between two rounds; the sums that budgets are compared with are late by that."""

MARKS_EACH = 6
"""Old marks are deleted in every sixth round."""

MARKS_PER_DELETE = 5000
"""How many marks one statement deletes, so that other statements get their turn in between."""

MARGIN_SECONDS = 600.0
"""Added to the age of marks that are deleted: more than the clocks of nodes can differ."""

LOCK, MARKS_LOCK = 0x67726F777468, 0x6D61726B73
"""Advisory locks: one process at a time adds growth, one deletes marks."""

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
    """Add growth and delete old marks periodically until cancelled; what fails is tried again in the next round."""
    number = 0
    while True:
        await asyncio.sleep(PAUSE_SECONDS)
        number += 1
        await add_up(pool)
        if number % MARKS_EACH == 0:
            await forget_marks(pool, time.time() - MARK_KEPT_SECONDS - MARGIN_SECONDS)


async def add_up(pool: Pool) -> None:
    """Add the committed rows of ``growth`` to the sums in ``stored_bytes``."""
    await _ask(pool, Command(_ADD_UP, (LOCK,)))


async def forget_marks(pool: Pool, before: float) -> None:
    """Delete marks older than a time (Unix time) in batches, unless another process is doing it."""
    command = Command(_FORGET_MARKS, (MARKS_LOCK, mark_prefix(before), MARKS_PER_DELETE))
    while await _ask(pool, command) == [(MARKS_PER_DELETE,)]:
        pass


async def _ask(pool: Pool, command: Command) -> list[tuple[Any, ...]]:
    """The rows that a command returns; none where it failed, which is logged."""
    try:
        return rows_of((await pool.ask(command))[0])
    except (Lost, Refused, NothingSent) as problem:
        why = f"SQLSTATE {problem.sqlstate}" if isinstance(problem, Refused) else str(problem)
        _log.warning("the store's maintenance failed", extra={"problem": why})
        return []
