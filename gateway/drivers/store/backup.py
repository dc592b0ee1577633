"""Copy a database while a server works on it, and check whether one is whole. One snapshot, durable before it is named.

The copy is marked, so that no server starts on it before ``gateway recover``: it is out of date from the start.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import msgspec

from gateway.core.errors import GatewayError, Unavailable
from gateway.drivers.store.metadata import COPIED, set_timestamp
from gateway.drivers.store.schema import MOMENTS
from gateway.drivers.store.store_files import (
    COMPANION_SUFFIXES,
    anybody_may_replace,
    refuse_foreign_log,
    require_store,
    resolved_path,
)

PAGES_PER_STEP = 1000
"""Pages copied in one step."""

COPY_WRITE_ERRORS = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC})
"""Codes that can only be of the copy: the store is read."""


class NotCopied(GatewayError):
    """There is no backup: the target is taken or cannot be written, or the copy is not whole."""


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that was made. ``size`` in bytes."""

    path: str
    size: int
    payments: int
    operations: int


def back_up(source: Path, target: Path, *, at: datetime, overwrite: bool = False) -> Backup:
    """Copy a database to ``target``, which is there whole or not at all; its folder must exist.

    Raises ``Unavailable`` for a source that cannot be read, else ``NotCopied``.
    """
    source = resolved_path(source)
    require_store(source)
    refuse_foreign_log(source)
    _check_target(source, target, overwrite=overwrite)
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        os.close(descriptor)
        try:
            copy = _copied(source, Path(name), at)
            _put_in_place(Path(name), target, overwrite=overwrite)
        finally:
            for path in (name, f"{name}-journal"):
                Path(path).unlink(missing_ok=True)
    except OSError as problem:
        raise NotCopied(f"{target} cannot be written: {problem.strerror}") from problem
    return msgspec.structs.replace(copy, path=str(target))


def _check_target(source: Path, target: Path, *, overwrite: bool) -> None:
    """Refuse a target that must not be replaced. Raises ``NotCopied``."""
    if target.parent.is_dir() and anybody_may_replace(target.parent):
        raise NotCopied(f"everybody may replace files in {target.parent}: chmod o-w {target.parent}, or choose another")
    if target.exists() and target.samefile(source):
        raise NotCopied(f"{target} is the store itself")
    if resolved_path(target.parent) / target.name in {
        source.with_name(source.name + suffix) for suffix in COMPANION_SUFFIXES
    }:
        raise NotCopied(f"{target} is a file of the store")
    if target.exists() and not overwrite:
        raise NotCopied(f"{target} exists already: --force replaces it")
    if target.exists() and not target.is_file():
        raise NotCopied(f"{target} is not a file")


def check_whole(path: Path) -> None:
    """Raises ``Unavailable`` for a database that is damaged or cannot be read."""
    try:
        with contextlib.closing(_connect(path, "ro")) as connection:
            damage = _damage(connection)
    except sqlite3.Error as problem:
        raise Unavailable(f"the store {path} cannot be read: {problem}") from problem
    if damage is not None:
        raise Unavailable(f"the store {path} is damaged: {damage}")


def _copied(source: Path, part: Path, at: datetime) -> Backup:
    with contextlib.closing(_connect(part, "rw")) as copy:
        _copy(source, copy)
        try:
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, whole in itself
            copy.execute(MOMENTS)  # an older store has none yet
            mark = set_timestamp(COPIED, at)
            copy.execute(mark.sql, mark.params)
            damage = _damage(copy)
            payments, operations = (_count(copy, table) for table in ("payments", "operations"))
        except sqlite3.Error as problem:
            raise NotCopied(f"the copy cannot be used: {problem}") from problem
    if damage is not None:
        raise NotCopied(f"the copy is damaged: {damage}")
    return Backup(path=str(part), size=part.stat().st_size, payments=payments, operations=operations)


def _copy(source: Path, copy: sqlite3.Connection) -> None:
    """Copy in steps within one read transaction: the server's commits neither disturb nor restart it."""
    try:
        with contextlib.closing(_connect(source, "ro")) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT 1 FROM sqlite_master").fetchone()
            reader.backup(copy, pages=PAGES_PER_STEP, sleep=0)
    except sqlite3.Error as problem:
        if getattr(problem, "sqlite_errorcode", None) in COPY_WRITE_ERRORS:
            raise NotCopied(f"the copy cannot be written: {problem}") from problem
        raise Unavailable(f"the store {source} cannot be copied: {problem}") from problem


def _put_in_place(part: Path, target: Path, *, overwrite: bool) -> None:
    """Give a durable file its name, which is durable afterwards too. Raises ``OSError``."""
    _make_durable(part)
    if overwrite:
        part.replace(target)
    else:
        os.link(part, target)  # fails where somebody else was quicker; a rename would not
    _make_durable(target.parent)


def _make_durable(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _damage(connection: sqlite3.Connection) -> str | None:
    (first,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    return None if first == "ok" else str(first)


def _count(connection: sqlite3.Connection, table: str) -> int:
    (number,) = connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()  # noqa: S608  # our own two names
    return int(number)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode={mode}", uri=True, isolation_level=None)
