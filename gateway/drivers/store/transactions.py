"""Units of work in one transaction: each is written whole or not at all, and none fails because of another."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Sequence

from gateway.core.errors import Conflict, GatewayError, Unavailable
from gateway.drivers.store.statements import Unit
from gateway.drivers.store.stored_bytes import ADD, sum_by_tenant

_UNIT_ERRORS = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    UnicodeError,
)
"""What a unit's own values cause: a broken constraint, a value no column takes. The others' units are not harmed."""

_PRIMARY_CODE = 0xFF
"""The part of SQLite's error codes that names the kind."""


class Locked(Unavailable):
    """Another process held the database for longer than the writer waits."""


class _HalfDone(Exception):  # not an error: a reason to begin again
    """A unit failed after it had changed something."""


_Run = Callable[[sqlite3.Cursor, Unit, list[tuple[str, int]]], GatewayError | None]


def commit_units(writer: sqlite3.Connection, units: Sequence[Unit]) -> list[GatewayError | None]:
    """Run units in one transaction; return what went wrong with each.

    A savepoint copies every page that changes in it, so they run without. Only where a unit fails after it has changed
    something is everything undone and run again, each unit in a savepoint of its own.
    """
    try:
        try:
            return _commit(writer, units, _run_whole)
        except _HalfDone:
            writer.execute("ROLLBACK")
            return _commit(writer, units, _run_in_savepoint)
    except Exception as problem:  # the writer must survive any error, or every caller waits forever
        with contextlib.suppress(sqlite3.Error):
            writer.execute("ROLLBACK")
        kind = Locked if _kind(problem) == sqlite3.SQLITE_BUSY else Unavailable
        return [kind(f"the store cannot be written: {type(problem).__name__}") for _ in units]


def _commit(writer: sqlite3.Connection, units: Sequence[Unit], run: _Run) -> list[GatewayError | None]:
    grown: list[tuple[str, int]] = []
    writer.execute("BEGIN IMMEDIATE")
    cursor = writer.cursor()  # one for all statements
    failures = [run(cursor, unit, grown) for unit in units]
    for tenant_and_bytes in sum_by_tenant(grown).items():
        writer.execute(ADD, tenant_and_bytes)
    writer.execute("COMMIT")
    return failures


def _run_whole(cursor: sqlite3.Cursor, unit: Unit, grown: list[tuple[str, int]]) -> GatewayError | None:
    """Run a unit that succeeds, or fails before it has changed anything. Raises ``_HalfDone``."""
    before = cursor.connection.total_changes
    failure = _run(cursor, unit, grown)
    if failure is not None and cursor.connection.total_changes != before:
        raise _HalfDone
    return failure


def _run_in_savepoint(cursor: sqlite3.Cursor, unit: Unit, grown: list[tuple[str, int]]) -> GatewayError | None:
    counted = len(grown)
    cursor.execute("SAVEPOINT unit")
    failure = _run(cursor, unit, grown)
    if failure is not None:
        cursor.execute("ROLLBACK TO unit")
        del grown[counted:]
    cursor.execute("RELEASE unit")
    return failure


def _run(cursor: sqlite3.Cursor, unit: Unit, grown: list[tuple[str, int]]) -> GatewayError | None:
    """Run a unit's statements; return what went wrong with this unit alone. ``grown`` takes what it added."""
    try:
        for sql, params, otherwise, grows in unit:
            cursor.execute(sql, params)
            if otherwise is not None and cursor.rowcount != 1:
                return Conflict(otherwise)
            if grows is not None and cursor.rowcount:
                grown.append(grows)
    except _UNIT_ERRORS as problem:
        return _refused(problem)
    except sqlite3.OperationalError as problem:
        if _kind(problem) != sqlite3.SQLITE_ERROR:  # the disk's fault, or a lock: it meets everybody
            raise
        return _refused(problem)
    return None


def _refused(problem: Exception) -> Unavailable:
    return Unavailable(f"the store refused a row: {type(problem).__name__}")


def _kind(problem: Exception) -> int | None:
    """SQLite's primary error code; ``SQLITE_ERROR`` is a mistake in the SQL itself."""
    code = getattr(problem, "sqlite_errorcode", None)
    return None if code is None else code & _PRIMARY_CODE
