"""Moves of tenants from one of several stores to another, as rows of ``moments`` where every process sees them.

The store that a tenant leaves has a ``Move``, and keeps it: it says how far the move is, and afterwards where the
tenant is. Beside it is a *bar*: PostgreSQL's engine refuses every unit of a barred tenant, also one of a process that
has not read of the move (``postgresql/commits.py``). The store that a tenant comes to has a bar too, and an
``ARRIVING``, until all rows are copied.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from gateway.drivers.clock import milliseconds
from gateway.drivers.store.engine import Reads
from gateway.drivers.store.metadata import delete_timestamp, rename_timestamp, set_timestamp, values_behind
from gateway.drivers.store.nodes import NodeRow
from gateway.drivers.store.rows import columns, from_milliseconds
from gateway.drivers.store.statements import NO_TENANT, Statement

BARRED = "barred "
"""Prefix of the timestamp since which a store refuses units of a tenant, whose name follows."""

NOT_BARRED = f"NOT EXISTS (SELECT 1 FROM moments barred WHERE barred.name = '{BARRED}' || tenant)"  # noqa: S608  # above
"""A condition on rows: their tenant is not being moved, nor are these what is left of one that was."""

MOVE = "move "
"""Prefix of the timestamp since which a tenant is being moved away; a ``Move`` as JSON follows."""

ARRIVING = "arriving "
"""Prefix of the timestamp since which a tenant, whose name follows, is copied into a store."""

OTHER_MOVE = "another command moves this tenant at the same time"
"""The conflict where a move is not at the step that was read."""


class Step(StrEnum):
    """How far a move is: announced to all processes, barred in the store that is left, done, its old rows deleted."""

    ANNOUNCED = "announced"
    BARRED = "barred"
    MOVED = "moved"
    CLEARED = "cleared"


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant on its way to the store ``to``.

    ``at``: when the command began that moves it (Unix milliseconds), which names it. Of several moves of a tenant the
    last has the highest.
    """

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
        """The name of its timestamp."""
        return MOVE + msgspec.json.encode(self).decode()

    def acknowledged(self, node: str) -> str:
        """The id of the claim by which a process says that it has read of this step of the move."""
        return f"{self.tenant} {self.at} {'over' if self.is_over else 'held'} {node}"


def announce(move: Move) -> Statement:
    """Note a new move in the store that is left."""
    return Statement("INSERT INTO moments (name, at) VALUES (?, ?)", (move.name, move.at))


def advance(move: Move, step: Step) -> tuple[Move, Statement]:
    """Bring a move to its next step; return it as it is then, and what writes that."""
    return _renamed(move, replace(move, step=step))


def take_over(move: Move, at: datetime) -> tuple[Move, Statement]:
    """Make a move this command's, so that another one that had begun it brings it no further; return as ``advance``."""
    return _renamed(move, replace(move, at=max(milliseconds(at), move.at + 1)))


def _renamed(before: Move, after: Move) -> tuple[Move, Statement]:
    return after, rename_timestamp(before.name, after.name, OTHER_MOVE)


def is_still(move: Move) -> Statement:
    """A condition for a unit: a conflict unless the move is at this step."""
    return rename_timestamp(move.name, move.name, OTHER_MOVE)


def arrives_still(move: Move) -> Statement:
    """A condition for a unit: a conflict unless it is this command that copies the tenant's rows into this store."""
    return Statement(
        "UPDATE moments SET at = at WHERE name = ? AND at = ?", (ARRIVING + move.tenant, move.at), OTHER_MOVE
    )


def delete(move: Move) -> Statement:
    """Forget a move."""
    return delete_timestamp(move.name, OTHER_MOVE)


def bar(tenant: str, at: datetime) -> Statement:
    """Refuse units of a tenant in this store from now on."""
    return set_timestamp(BARRED + tenant, at)


def lift_bar(tenant: str) -> Statement:
    """Accept them again."""
    return delete_timestamp(BARRED + tenant)


def begin_arrival(move: Move) -> list[Statement]:
    """Begin to copy a tenant into this store: nothing else may write its rows, nor may an earlier command."""
    at = from_milliseconds(move.at)
    return [set_timestamp(ARRIVING + move.tenant, at), bar(move.tenant, at)]


def end_arrival(tenant: str) -> list[Statement]:
    """End it, when all rows are copied."""
    return [delete_timestamp(ARRIVING + tenant), lift_bar(tenant)]


def acknowledge(move: Move, node: str) -> Statement:
    """Note that a process has read of a step of a move; in the store that is left."""
    return Statement(
        "INSERT INTO claims (tenant, kind, id, node) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (NO_TENANT, "move", move.acknowledged(node), node),
    )


class Moves(Reads):
    """The reads."""

    async def all(self) -> list[Move]:
        """Every move out of this store, also those that are done."""
        return [msgspec.json.decode(move, type=Move) for move in await values_behind(self._engine, MOVE)]

    async def arriving(self) -> set[str]:
        """The tenants that are being copied into this store."""
        return {*await values_behind(self._engine, ARRIVING)}

    async def not_acknowledged(self, move: Move, now: datetime) -> list[NodeRow]:
        """The living processes that have not read of this step of a move yet."""
        return await self._all(
            NodeRow,
            f"SELECT {columns(NodeRow)} FROM nodes n WHERE alive_until > ? AND NOT EXISTS (SELECT 1 FROM claims c"  # noqa: S608  # our own words
            " WHERE c.tenant = '' AND c.kind = 'move' AND c.id = ? || n.id)",
            (milliseconds(now), move.acknowledged("")),
        )

    async def under_way(self, tenant: str, now: datetime) -> int:
        """How much work for a tenant living processes have begun and not ended: what is claimed or being sent."""
        (counted,) = await self._engine.rows(
            "SELECT (SELECT COUNT(*) FROM claims c JOIN nodes n ON n.id = c.node"
            " WHERE c.tenant = ? AND n.alive_until > ?)"
            " + (SELECT COUNT(*) FROM payments p JOIN nodes n ON n.id = json_extract(p.open_doc, '$.node')"
            " WHERE p.tenant = ? AND p.open_status = 'sending' AND n.alive_until > ?)",
            (tenant, milliseconds(now)) * 2,
        )
        return int(counted[0])

    async def writing(self) -> set[str]:
        """The transactions that write in this database now; only on PostgreSQL. Others of the server do not count."""
        rows = await self._engine.rows(
            "SELECT CAST(backend_xid AS TEXT) FROM pg_stat_activity"
            " WHERE datname = current_database() AND backend_xid IS NOT NULL",
            (),
        )
        return {transaction for (transaction,) in rows}

    async def have_ended(self, transactions: set[str]) -> bool:
        """Whether none of these transactions is running any more."""
        return transactions.isdisjoint(await self.writing())
