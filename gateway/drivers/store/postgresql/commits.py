"""Commit units of work on PostgreSQL: retry after conflicts between transactions, and find out about lost answers.

Every unit writes its *mark*, a row of ``units``, in its own transaction. If the connection is lost before the answer,
another transaction *bars* the mark: it inserts the same row, flagged as barred. If the unit's own row is already
there, the unit was committed. If not, the unit can never be committed any more: its mark would violate the key.

The mark is the last statement of a unit. The same statement checks that the tenant has no bar (``moves.py``). By then
the unit's transaction has its number. So a move that sets a bar, and then waits until all transactions with lower
numbers have ended, knows that no later unit gets past the bar.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections import deque
from time import perf_counter

from gateway.core.errors import Conflict, GatewayError, InDoubt, TenantMoves, Unavailable
from gateway.drivers.measures import Measures
from gateway.drivers.store.engine import answering, stuck
from gateway.drivers.store.gate import Gate
from gateway.drivers.store.moves import BARRED
from gateway.drivers.store.postgresql import dialect
from gateway.drivers.store.postgresql.connection import READ_ONLY, Command, Lost, Outcome, Refused, rows_of
from gateway.drivers.store.postgresql.pool import NothingSent, Pool
from gateway.drivers.store.statements import NO_TENANT, Unit

MAX_TRIES = 20
"""How often a unit is sent, at most, when other transactions are in its way."""

RETRY_SECONDS, MAX_RETRY_SECONDS = 0.01, 1.0
"""The pause before a retry is random; its upper bound doubles from the first value up to the second."""

MARK_KEPT_SECONDS = 3600.0
"""How long a unit's mark is kept at least. After that a missing mark proves nothing."""

DOUBT_WAIT_SECONDS = 5.0
"""How long a request, and a process that ends, wait to learn whether a unit was written. The search goes on."""

LAST_UNITS = 512
"""How many committed units are remembered: more than could be in flight together when the last one was committed."""

NOT_ONE_ROW = "GW001"
"""The SQLSTATE of ``expect_one``."""

RETRYABLE = frozenset({"40001", "40P01", READ_ONLY})
"""Serialization failure, deadlock, not the primary: nothing was written, and a retry may succeed."""

UNIQUE_VIOLATION = "23505"
"""Another transaction committed the row after this statement had checked for it. A retry sees that row."""

CAUSED_BY_UNIT = ("21", "22", "23", "42", "44", "P0")
"""Classes of SQLSTATE for errors in a unit's own statements and values."""

_MARK = (
    "INSERT INTO units (tenant, id) SELECT CAST($1 AS TEXT), $2"  # noqa: S608  # our own words
    f" WHERE NOT EXISTS (SELECT 1 FROM moments WHERE name = '{BARRED}' || CAST($1 AS TEXT)) RETURNING 1"
)
_MARKED = "SELECT expect_one(COUNT(*)) FROM mark"
# A mark that is already there is rewritten unchanged, so that the answer waits, like that of the unit itself, for the
# disk and the synchronous standby: the unit may not have reached the standby.
_BAR = (
    "INSERT INTO units (tenant, id, is_barred) VALUES ($1, $2, TRUE)"
    " ON CONFLICT (tenant, id) DO UPDATE SET is_barred = units.is_barred RETURNING is_barred"
)
_IS_BARRED = "SELECT is_barred FROM units WHERE tenant = $1 AND id = $2"
_GROW = "INSERT INTO growth (tenant, bytes) VALUES ($1, $2)"
_WRITE_MARK = f"WITH mark AS ({_MARK}) {_MARKED}"
_WRITE_MARK_AND_GROW = (
    f"WITH mark AS ({_MARK}), grown AS (INSERT INTO growth (tenant, bytes) VALUES ($1, $3)) {_MARKED}"  # noqa: S608  # our own words
)


def mark_prefix(seconds: float) -> str:
    """The beginning of marks made at a Unix time; marks are ordered by time."""
    return f"{int(seconds * 1000):012x}"


class Commits:
    """Writes units over the connections of a pool."""

    def __init__(self, pool: Pool, measures: Measures, gate: Gate | None = None) -> None:
        self._pool, self._measures = pool, measures
        pool.on_written = measures.batch_units.add
        self._gate = gate or Gate()
        self._name = os.urandom(8).hex()
        self._number = 0
        self._doubts: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._last: deque[tuple[str, str]] = deque(maxlen=LAST_UNITS)

    async def commit(self, tenant: str, unit: Unit) -> None:
        """Write a unit; return when it is durable. Raises ``Conflict``, ``Unavailable``, ``InDoubt``."""
        if self._is_closed:
            raise Unavailable("the store is closed")
        # From here the unit may be written even if the caller is cancelled: it is written whole or not at all.
        one = _Commit(tenant, unit)
        self._begin(one)
        await one.done

    async def has_last_units(self) -> bool:
        """Whether the database still has the last units that this process committed. Raises ``Unavailable``."""
        try:
            found = await self._pool.ask(*(Command(_IS_BARRED, mark) for mark in tuple(self._last)))
        except (Lost, NothingSent, Refused) as problem:
            raise Unavailable(f"the store cannot be read: {type(problem).__name__}") from None
        return all(map(rows_of, found))

    async def close(self) -> None:
        """Refuse new units; wait a limited time for those in doubt, then tell their callers that it is not known."""
        self._is_closed = True
        self._gate.refuse()
        if self._doubts:
            await asyncio.wait(self._doubts, timeout=DOUBT_WAIT_SECONDS)
        for task in tuple(self._doubts):
            task.cancel()

    def _begin(self, one: _Commit) -> None:
        """Send a unit, each time under a new mark; a tenant's unit waits while the gate is closed."""
        if self._is_held(one):
            self._gate.wait(lambda may_go_on: self._end_hold(one, may_go_on=may_go_on))
            return
        one.tries += 1
        self._number += 1
        one.mark = f"{mark_prefix(time.time())}{self._name}{self._number:x}"
        is_alone = one.tries > 1  # a unit that breaks its connection must not break other units again and again
        self._pool.begin(
            one.commands(), lambda outcome: self._ended(one, outcome), tenant=one.tenant, is_alone=is_alone
        )

    def _is_held(self, one: _Commit) -> bool:
        return self._gate.is_held and one.is_of_tenant

    def _end_hold(self, one: _Commit, *, may_go_on: bool) -> None:
        if may_go_on:
            self._begin(one)
        else:
            self._resolve(
                one, Unavailable("the store cannot be written: it may have lost committed data, and is being checked")
            )

    def _ended(self, one: _Commit, outcome: Outcome | NothingSent) -> None:
        if isinstance(outcome, list):
            self._last.append((one.tenant, one.mark))
            self._resolve(one, None)
        elif isinstance(outcome, Lost):
            asyncio.get_running_loop().call_later(DOUBT_WAIT_SECONDS, one.report_doubt)
            task = asyncio.create_task(self._resolve_doubt(one), name="unit in doubt")
            self._doubts.add(task)
            task.add_done_callback(self._doubts.discard)
        elif isinstance(outcome, NothingSent) and self._is_held(one):
            self._begin(one)
        elif isinstance(outcome, NothingSent):
            self._resolve(one, Unavailable(f"the store cannot be written: {outcome}"))
        else:
            self._refused(one, outcome)

    def _refused(self, one: _Commit, outcome: Refused) -> None:
        failure = one.failure(outcome)
        may_go = outcome.sqlstate in RETRYABLE or (outcome.sqlstate == UNIQUE_VIOLATION and one.tries == 1)
        if may_go and not isinstance(failure, Conflict):
            self._retry(one)
        else:
            self._resolve(one, failure)

    def _retry(self, one: _Commit) -> None:
        if one.tries >= MAX_TRIES:
            self._resolve(one, Unavailable(f"the store cannot be written: {MAX_TRIES} conflicts with other writers"))
            return
        longest = min(RETRY_SECONDS * 2**one.tries, MAX_RETRY_SECONDS)
        pause = random.uniform(0, longest)  # noqa: S311  # spreads writers; not for security
        asyncio.get_running_loop().call_later(pause, self._begin, one)

    async def _resolve_doubt(self, one: _Commit) -> None:
        """Find out whether a unit was committed, by barring its mark; send it again if it was not."""
        began, pause = perf_counter(), RETRY_SECONDS
        mark = (one.tenant, one.mark)
        try:
            while perf_counter() - began < (DOUBT_WAIT_SECONDS if self._gate.is_ending else MARK_KEPT_SECONDS):
                with contextlib.suppress(Lost, NothingSent, Refused):
                    # A bar stays in force even if its own answer was lost: only the row in the database counts.
                    (found,) = await self._pool.ask(Command(_BAR, mark))
                    if rows_of(found) == [(True,)]:
                        self._retry(one)
                    else:
                        self._resolve(one, None)
                    return
                await asyncio.sleep(pause)
                pause = min(2 * pause, MAX_RETRY_SECONDS)
            self._give_up(one, "it is not known whether the request was stored")
        except asyncio.CancelledError:
            self._give_up(one, "the store was closed before it was known whether the request was stored")
            raise
        except Exception:  # a bug here must not leave the caller waiting forever
            self._give_up(one, "it is not known whether the request was stored")
            raise

    def _give_up(self, one: _Commit, why: str) -> None:
        one.report_doubt()  # else who answers a request would say that nothing was done
        self._resolve(one, Unavailable(why))

    def _resolve(self, one: _Commit, failure: GatewayError | None) -> None:
        self._measures.commit_seconds.add(perf_counter() - one.began)
        if failure is not None and not isinstance(failure, Conflict):
            self._measures.store_errors += 1
        if one.decided is not None:
            one.decided.set_result(failure)
        if one.done.done():  # the caller is gone
            return
        if failure is None:
            one.done.set_result(None)
        else:
            one.done.set_exception(failure)


class _Commit:
    """One unit from its first try until it is known whether it was written."""

    __slots__ = ("began", "decided", "done", "is_answered", "is_of_tenant", "mark", "stuck", "tenant", "tries", "unit")

    def __init__(self, tenant: str, unit: Unit) -> None:
        self.tenant, self.unit = tenant, unit
        self.is_of_tenant = tenant != NO_TENANT
        self.is_answered, self.stuck = answering.get() is asyncio.current_task(), stuck.get()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.decided: asyncio.Future[GatewayError | None] | None = None
        self.began = perf_counter()
        self.mark = ""
        self.tries = 0

    def report_doubt(self) -> None:
        """End the wait of the request with ``InDoubt``, unless the outcome is known."""
        if self.done.done():
            return
        self.stuck.set()
        if self.is_answered:
            self.decided = asyncio.get_running_loop().create_future()
            self.done.set_exception(InDoubt(self.decided))

    def marked(self, grown: int = 0) -> Command:
        """The command that writes the unit's mark and, with it, the bytes by which its tenant is certain to grow."""
        if grown:
            return Command(_WRITE_MARK_AND_GROW, (self.tenant, self.mark, grown))
        return Command(_WRITE_MARK, (self.tenant, self.mark))

    def commands(self) -> list[Command]:
        """The unit's statements as commands, followed by its mark."""
        grown = {self.tenant: 0}
        commands: list[Command] = []
        for sql, params, otherwise, grows in self.unit:
            if otherwise is not None:
                commands.append(Command(dialect.expecting_one(sql), params))
                if grows is not None:
                    grown[grows[0]] = grown.get(grows[0], 0) + grows[1]
            elif grows is not None:
                commands.append(Command(dialect.growing(sql, len(params)), (*params, *grows)))
            else:
                commands.append(Command(dialect.translated(sql), params))
        marked = self.marked(grown.pop(self.tenant))
        return [*commands, *(Command(_GROW, sums) for sums in grown.items()), marked]

    def failure(self, refused: Refused) -> GatewayError:
        """The error that the caller gets when the server has refused the unit."""
        statement = self.unit[refused.place] if refused.place < len(self.unit) else None  # None: its mark was refused
        if refused.sqlstate == NOT_ONE_ROW and statement is None:
            return TenantMoves(f"tenant {self.tenant} was moved to another store, or is being moved")
        if statement is not None and statement.otherwise is not None:
            is_there = refused.sqlstate == UNIQUE_VIOLATION and dialect.must_be_new(statement.sql)
            if is_there or refused.sqlstate == NOT_ONE_ROW:
                return Conflict(statement.otherwise)
        if refused.sqlstate.startswith(CAUSED_BY_UNIT):
            return Unavailable(f"the store refused a row: {refused.sqlstate}")
        return Unavailable(f"the store cannot be written: {refused.sqlstate}")
