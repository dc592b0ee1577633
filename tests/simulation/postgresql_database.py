"""A real PostgreSQL below a history. The loop waits for each answer, and the virtual time stands still meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import psycopg
from psycopg import pq

from gateway.core.errors import GatewayError
from gateway.drivers.clock import milliseconds
from gateway.drivers.store.postgresql.commits import _Commit
from gateway.drivers.store.postgresql.connection import Command, Refused, _encoded, _failure, rows_of
from gateway.drivers.store.postgresql.dialect import translated
from gateway.drivers.store.statements import Unit


class Rows(list[tuple[Any, ...]]):
    """The rows of an answer, as ``sqlite3`` gives them."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All."""
        return self

    def fetchone(self) -> tuple[Any, ...] | None:
        """The first, if there is one."""
        return next(iter(self), None)


class PostgresqlDatabase:
    """One connection, for all processes of a history. ``now``: the server's clock, which is not the machine's here."""

    def __init__(self, url: str, now: Callable[[], datetime]) -> None:
        self._opened = psycopg.connect(url, autocommit=True)
        self._now = now
        self._written = 0

    def execute(self, sql: str, params: Sequence[Any] = ()) -> Rows:
        """Run a statement of the store, or of the checks, as ``sqlite3`` would."""
        if sql == "SELECT clock_milliseconds()":
            return Rows([(milliseconds(self._now()),)])
        return Rows(rows_of(self._run(Command(translated(sql), params), 0)))

    def write(self, tenant: str, unit: Unit) -> GatewayError | None:
        """Write a unit, as the engine sends it; why it was refused."""
        one = _Commit(tenant, unit)
        self._written += 1
        one.mark = f"{self._written:012x}"
        self._run(Command("BEGIN", ()), 0)
        try:
            for place, command in enumerate(one.commands()):
                self._run(command, place)
        except Refused as refused:
            self._run(Command("ROLLBACK", ()), 0)
            return one.failure(refused)
        self._run(Command("COMMIT", ()), 0)
        return None

    def close(self) -> None:
        """Close the connection."""
        self._opened.close()

    def _run(self, command: Command, place: int) -> pq.abc.PGresult:
        values, formats = _encoded(command.params)
        result = self._opened.pgconn.exec_params(command.sql.encode(), values, param_formats=formats)
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise _failure(result, place)
        return result
