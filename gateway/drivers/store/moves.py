"""Moves of tenants from one of several stores to another, as rows of ``moments`` where every process sees them.

A ``Move`` is in the store that a tenant leaves, and stays there: it says how far the move is, and afterwards where the
tenant is. A *bar* is beside it: PostgreSQL's engine writes no unit of a tenant that has one, also for a process that
knows nothing of the move (``postgresql/commits.py``). The store that a tenant comes to has a bar too, and an
``ARRIVING``, until it has all rows.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from gateway.drivers.clock import milliseconds
from gateway.drivers.store.engine import Engine
from gateway.drivers.store.metadata import delete_timestamp, set_timestamp
from gateway.drivers.store.nodes import NodeRow
from gateway.drivers.store.rows import columns, made_of
from gateway.drivers.store.statements import NO_TENANT, Statement

BARRED = "barred "
"""Prefix of the timestamp since which no unit of a tenant, which follows, is written in a store."""

MOVE = "move "
"""Prefix of the timestamp since which a tenant is moved away; a ``Move`` as JSON follows."""

ARRIVING = "arriving "
"""Prefix of the timestamp since which rows of a tenant, which follows, are copied into a store."""

OTHER_MOVE = "another command moves this tenant at the same time"
"""The conflict where a move has been brought further."""


class Step(StrEnum):
    """How far a move is: known to all, barred in the store that is left, done, and its rows there deleted."""

    ANNOUNCED = "announced"
    BARRED = "barred"
    MOVED = "moved"
    CLEARED = "cleared"


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant on its way to the store ``to``. ``at``: when it was announced (Unix milliseconds), which names it."""

    tenant: str
    to: str
    step: Step = Step.ANNOUNCED
    at: int

    @property
    def is_over(self) -> bool:
        """Whether the tenant is in the other store."""
        return self.step in (Step.MOVED, Step.CLEARED)

    @property
    def name(self) -> str:
        """The move as the name of a moment."""
        return MOVE + msgspec.json.encode(self).decode()

    @property
    def row(self) -> Statement:
        """The move as it is written first."""
        return Statement("INSERT INTO moments (name, at) VALUES (?, ?)", (self.name, self.at))

    def acknowledged(self, node: str) -> str:
        """The id of a claim that says: this process has seen the move as far as it is."""
        return f"{self.tenant} {self.at} {'over' if self.is_over else 'held'} {node}"


def advance(move: Move, step: Step) -> tuple[Move, Statement]:
    """The move one step further, and what writes that."""
    after = replace(move, step=step)
    return after, Statement("UPDATE moments SET name = ? WHERE name = ?", (after.name, move.name), OTHER_MOVE)


def is_still(move: Move) -> Statement:
    """In a unit that rests on a move being as far as this: a conflict otherwise."""
    return _touch(move.name)


def arrives_still(tenant: str) -> Statement:
    """In a unit that rests on a tenant's rows being on their way here: a conflict otherwise."""
    return _touch(ARRIVING + tenant)


def _touch(name: str) -> Statement:
    return Statement("UPDATE moments SET at = at WHERE name = ?", (name,), OTHER_MOVE)


def delete(move: Move) -> Statement:
    """Forget a move."""
    return Statement("DELETE FROM moments WHERE name = ?", (move.name,), OTHER_MOVE)


def bar(tenant: str, at: datetime) -> Statement:
    """Write no unit of a tenant's any more."""
    return set_timestamp(BARRED + tenant, at)


def lift_bar(tenant: str) -> Statement:
    """Write them again."""
    return delete_timestamp(BARRED + tenant)


def begin_arrival(tenant: str, at: datetime) -> list[Statement]:
    """From here on rows of a tenant may come, and nobody else may write any."""
    return [set_timestamp(ARRIVING + tenant, at), bar(tenant, at)]


def end_arrival(tenant: str) -> list[Statement]:
    """All rows are there."""
    return [delete_timestamp(ARRIVING + tenant), lift_bar(tenant)]


def acknowledge(move: Move, node: str) -> Statement:
    """Note that a process has seen a move as far as it is; in the store that is left."""
    return Statement(
        "INSERT INTO claims (tenant, kind, id, node) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (NO_TENANT, "move", move.acknowledged(node), node),
    )


class Moves:
    """The reads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def all(self) -> list[Move]:
        """Every move out of this store, also those that are over."""
        rows = await self._engine.rows("SELECT name FROM moments WHERE name LIKE ?", (f"{MOVE}%",))
        return [msgspec.json.decode(name.removeprefix(MOVE), type=Move) for (name,) in rows]

    async def arriving(self) -> set[str]:
        """The tenants whose rows are on their way here."""
        rows = await self._engine.rows("SELECT name FROM moments WHERE name LIKE ?", (f"{ARRIVING}%",))
        return {name.removeprefix(ARRIVING) for (name,) in rows}

    async def not_acknowledged(self, move: Move, now: datetime) -> list[NodeRow]:
        """The living processes that have not seen a move as far as it is."""
        rows = await self._engine.rows(
            f"SELECT {columns(NodeRow)} FROM nodes n WHERE alive_until > ? AND NOT EXISTS (SELECT 1 FROM claims c"  # noqa: S608  # our own words
            " WHERE c.tenant = '' AND c.kind = 'move' AND c.id = ? || n.id)",
            (milliseconds(now), move.acknowledged("")),
        )
        return [made_of(NodeRow, row) for row in rows]

    async def under_way(self, tenant: str, now: datetime) -> int:
        """How much of a tenant's work living processes have begun and not ended: what is claimed, and being sent."""
        (counted,) = await self._engine.rows(
            "SELECT (SELECT COUNT(*) FROM claims c JOIN nodes n ON n.id = c.node"
            " WHERE c.tenant = ? AND n.alive_until > ?)"
            " + (SELECT COUNT(*) FROM payments p JOIN nodes n ON n.id = json_extract(p.open_doc, '$.node')"
            " WHERE p.tenant = ? AND p.open_status = 'sending' AND n.alive_until > ?)",
            (tenant, milliseconds(now)) * 2,
        )
        return int(counted[0])

    async def begun(self) -> int:
        """A number above that of every transaction that has written something until now; only on a server."""
        return await self._number("xmax")

    async def all_ended_below(self, number: int) -> bool:
        """Whether every transaction below a number has ended."""
        return await self._number("xmin") >= number

    async def _number(self, bound: str) -> int:
        (row,) = await self._engine.rows(
            f"SELECT CAST(CAST(pg_snapshot_{bound}(pg_current_snapshot()) AS TEXT) AS BIGINT)",  # our own words
            (),
        )
        return int(row[0])
