"""The interface between the store and its database. The reads of every table are written once, for all engines."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, Protocol

from gateway.drivers.store.gate import Gate
from gateway.drivers.store.rows import Row, made_of
from gateway.drivers.store.statements import Statement, Unit

answering: ContextVar[asyncio.Task[Any] | None] = ContextVar("answering", default=None)
"""The task that answers a request: it does not wait long for a unit once that unit is in doubt."""

stuck: ContextVar[asyncio.Event] = ContextVar("stuck", default=asyncio.Event())  # noqa: B039  # nobody waits for this one
"""Set by work for which a request waits when the store delays it, so that the request stops waiting."""


class Engine(Protocol):
    """What a database must do. All raise ``Unavailable`` when it cannot, ``commit`` also ``Conflict``.

    ``is_shared``: whether several processes may use it at once; then work is claimed before it is begun.
    ``gate``: holds units back; always open where one process has the database.
    """

    is_shared: bool
    gate: Gate

    async def commit(self, tenant: str, unit: Unit) -> None:
        """Write a unit of work, whole or not at all; return only when it is durable.

        All its rows are of ``tenant``, or the gateway's own; ``NO_TENANT`` where all are the gateway's.
        Raises ``InDoubt`` in a task that answers a request, where it is not known for too long whether it is written.
        """
        ...

    async def claim(self, tenant: str, statement: Statement) -> list[tuple[Any, ...]]:
        """Commit one statement of ``claims.py`` for a tenant and return its rows; only where the store is shared."""
        ...

    async def rows(self, sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Read committed rows."""
        ...

    async def row(self, sql: str, params: Sequence[Any]) -> tuple[Any, ...] | None:
        """Read one committed row by its key; None where it does not exist. For queries that look at a few pages."""
        ...

    async def keeps_last_units(self) -> bool:
        """Whether the database still has the units that this process wrote last; False if it has lost commits."""
        ...

    async def empty_log(self) -> bool:
        """Remove all traces of deleted rows from the database's log; False while a reader prevents that."""
        ...

    async def close(self) -> None:
        """Finish what was begun and let go of the database."""
        ...


class Reads:
    """The reads of one table, or of several that belong together."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def _all(self, kind: type[Row], sql: str, params: Sequence[Any]) -> list[Row]:
        """Rows of the columns of a Struct."""
        return [made_of(kind, row) for row in await self._engine.rows(sql, params)]
