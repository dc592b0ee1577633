"""Units of work on PostgreSQL: sent whole, begun anew where others were in the way, never guessed about.

Every unit writes its mark, a row of ``units``, in its own transaction. After a connection was lost on the way another
transaction bars the mark, that is, writes it as one that no unit may write any more. Where the unit's own is there
already, the unit was committed; else it never will be, for its mark would be the second.

The mark is the last that a unit writes: with it goes the look whether its tenant has a bar (``moves.py``). By then the
unit's transaction has its number: who sets a bar, and then waits for those that have one, has seen the last.
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
"""How often a unit is begun that others were in the way of."""

RETRY_SECONDS, MAX_RETRY_SECONDS = 0.01, 1.0
"""The pause before that grows from the first to the second, and is drawn below it."""

MARK_KEPT_SECONDS = 3600.0
"""How long a unit's mark is kept at least: nothing is concluded from one that may be gone."""

TOLD_SECONDS = 5.0
"""How long a request, and a process that ends, wait for a unit in doubt. It is found out all the same."""

LAST_UNITS = 512
"""How many units are remembered: more than were under way together when the last of them was committed."""

NOT_ONE_ROW = "GW001"
"""The SQLSTATE of ``expect_one``."""

BEGUN_ANEW = frozenset({"40001", "40P01", READ_ONLY})
"""Serialization failure, deadlock, not the primary: nothing was written, and the next time it may be."""

UNIQUE_VIOLATION = "23505"
"""What a statement meets that made sure of the opposite a moment before: another's row. The next time it sees it."""

OF_THE_UNIT = ("21", "22", "23", "42", "44", "P0")
"""Classes of SQLSTATE that a unit's own statements and values cause."""

_MARK = (
    "INSERT INTO units (tenant, id) SELECT CAST($1 AS TEXT), $2"  # noqa: S608  # our own words
    f" WHERE NOT EXISTS (SELECT 1 FROM moments WHERE name = '{BARRED}' || CAST($1 AS TEXT)) RETURNING 1"
)
_MARKED = "SELECT expect_one(COUNT(*)) FROM mark"
# A mark that is there is written again as it is: the answer waits, as that of the unit would have, for the disk and
# for a synchronous standby, which the unit may have reached no more.
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


def mark_at(seconds: float) -> str:
    """What the marks of a time begin with (Unix time): they are ordered by it."""
    return f"{int(seconds * 1000):012x}"


class Commits:
    """Writes units over the connections of a pool."""

    def __init__(self, pool: Pool, measures: Measures, gate: Gate | None = None) -> None:
        self._pool, self._measures = pool, measures
        pool.when_written = measures.batch_units.add
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

    async def are_kept(self) -> bool:
        """Whether the last units that were committed here are in the database. Raises ``Unavailable``."""
        try:
            found = await self._pool.ask(*(Command(_IS_BARRED, mark) for mark in tuple(self._last)))
        except (Lost, NothingSent, Refused) as problem:
            raise Unavailable(f"the store cannot be read: {type(problem).__name__}") from None
        return all(map(rows_of, found))

    async def close(self) -> None:
        """Refuse new units, and give those in doubt a last chance: else their callers learn that it is not known."""
        self._is_closed = True
        self._gate.refuse()
        if self._doubts:
            await asyncio.wait(self._doubts, timeout=TOLD_SECONDS)
        for task in tuple(self._doubts):
            task.cancel()

    def _begin(self, one: _Commit) -> None:
        """Send a unit, under a new mark each time; not while those of tenants are held."""
        if self._is_held(one):
            self._gate.wait(lambda may_go_on: self._go_on(one, may_go_on=may_go_on))
            return
        one.tries += 1
        self._number += 1
        one.mark = f"{mark_at(time.time())}{self._name}{self._number:x}"
        is_alone = one.tries > 1  # what ended its connection once would take others with it every time
        self._pool.begin(
            one.commands(), lambda outcome: self._ended(one, outcome), tenant=one.tenant, is_alone=is_alone
        )

    def _is_held(self, one: _Commit) -> bool:
        return self._gate.is_held and one.is_of_tenant

    def _go_on(self, one: _Commit, *, may_go_on: bool) -> None:
        if may_go_on:
            self._begin(one)
        else:
            self._resolve(one, Unavailable("the store cannot be written: it may have lost what was committed"))

    def _ended(self, one: _Commit, outcome: Outcome | NothingSent) -> None:
        if isinstance(outcome, list):
            self._last.append((one.tenant, one.mark))
            self._resolve(one, None)
        elif isinstance(outcome, Lost):
            asyncio.get_running_loop().call_later(TOLD_SECONDS, one.tell_of_doubt)
            task = asyncio.create_task(self._find_out(one), name="unit in doubt")
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
        may_go = outcome.sqlstate in BEGUN_ANEW or (outcome.sqlstate == UNIQUE_VIOLATION and one.tries == 1)
        if may_go and not isinstance(failure, Conflict):
            self._begin_anew(one)
        else:
            self._resolve(one, failure)

    def _begin_anew(self, one: _Commit) -> None:
        if one.tries >= MAX_TRIES:
            self._resolve(one, Unavailable("other writers were in the way every time"))
            return
        longest = min(RETRY_SECONDS * 2**one.tries, MAX_RETRY_SECONDS)
        pause = random.uniform(0, longest)  # noqa: S311  # spreads writers, hides nothing
        asyncio.get_running_loop().call_later(pause, self._begin, one)

    async def _find_out(self, one: _Commit) -> None:
        """Find out whether a unit was committed, by barring its mark; begin it anew where it was not."""
        began, pause = perf_counter(), RETRY_SECONDS
        mark = (one.tenant, one.mark)
        try:
            while perf_counter() - began < (TOLD_SECONDS if self._gate.is_ending else MARK_KEPT_SECONDS):
                with contextlib.suppress(Lost, NothingSent, Refused):
                    # A bar whose own answer was lost is still a bar: only what stands there counts.
                    (found,) = await self._pool.ask(Command(_BAR, mark))
                    if rows_of(found) == [(True,)]:
                        self._begin_anew(one)
                    else:
                        self._resolve(one, None)
                    return
                await asyncio.sleep(pause)
                pause = min(2 * pause, MAX_RETRY_SECONDS)
            self._resolve(one, Unavailable("whether the unit was written is not known"))
        except asyncio.CancelledError:
            self._resolve(one, Unavailable("the store was closed before it was known whether the unit was written"))
            raise
        except Exception:  # a fault here must not leave the caller waiting forever
            self._resolve(one, Unavailable("whether the unit was written is not known"))
            raise

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
    """One unit on its way, until it is known whether it was written."""

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

    def tell_of_doubt(self) -> None:
        """Let the request wait no longer."""
        if self.done.done():
            return
        self.stuck.set()
        if self.is_answered:
            self.decided = asyncio.get_running_loop().create_future()
            self.done.set_exception(InDoubt(self.decided))

    def marked(self, grown: int = 0) -> Command:
        """The write of its mark, and of what is certain to grow with it."""
        if grown:
            return Command(_WRITE_MARK_AND_GROW, (self.tenant, self.mark, grown))
        return Command(_WRITE_MARK, (self.tenant, self.mark))

    def commands(self) -> list[Command]:
        """Its statements, and behind them its mark."""
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
        """What it means to the caller that the server refused it."""
        statement = self.unit[refused.place] if refused.place < len(self.unit) else None  # else its mark
        if refused.sqlstate == NOT_ONE_ROW and statement is None:
            return TenantMoves(f"tenant {self.tenant} is in another store, or on its way there")
        if statement is not None and statement.otherwise is not None:
            is_there = refused.sqlstate == UNIQUE_VIOLATION and dialect.must_be_new(statement.sql)
            if is_there or refused.sqlstate == NOT_ONE_ROW:
                return Conflict(statement.otherwise)
        if refused.sqlstate.startswith(OF_THE_UNIT):
            return Unavailable(f"the store refused a row: {refused.sqlstate}")
        return Unavailable(f"the store cannot be written: {refused.sqlstate}")
