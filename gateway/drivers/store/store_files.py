"""The store's files: where they are, that nobody else may open them, and whose log lies beside the database.

Everything is made for its owner alone before SQLite opens it, whatever the umask: SQLite gives its log and its index
the database's own mode. What was made wider before is refused (``strict``), or narrowed in development.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from gateway.core.errors import GatewayError, Unavailable

ERASED = ".erased"
"""What the name of the list of erased payments ends with."""

COMPANION_SUFFIXES = ("-wal", "-shm", "-journal", ".lock", ERASED)
"""What the names of a store's other files end with."""

FOLDER, FILE = 0o700, 0o600
"""The modes of what we make."""

OTHERS = 0o077
"""What group and others may do."""

READ_VERSION, KEEPS_NO_LOG = 19, b"\x01"
"""Where a database's header says how it is to be read, and what stands there without a write-ahead log."""

_log = logging.getLogger("gateway")


class AlreadyRunning(GatewayError):
    """Another server holds the lock of this data folder."""


def resolved_path(path: Path) -> Path:
    """Resolve links to the real file: its log lies beside it, and a process with another name must meet the lock."""
    return Path(os.path.realpath(path))


def open_to_other_users(path: Path) -> list[str]:
    """What other users may open of the store at ``path``: a sentence each, with the remedy; empty when private."""
    path = resolved_path(path)
    return [*_open_folder(path.parent), *_open_files(path)]


def make_private(path: Path, *, strict: bool) -> None:
    """Make folder and database where they are missing, for their owner alone.

    Wider ones that are there raise ``Unavailable`` if ``strict``; else the files are narrowed, and so is a folder that
    holds nothing but them. A folder that holds more is not ours to change.
    """
    try:
        _make_folder(path.parent)
        wide = open_to_other_users(path)
        if wide and strict:
            raise Unavailable("; ".join(wide))
        if wide:
            _narrow(path)
        os.close(open_private(path))
    except OSError as problem:
        raise Unavailable(f"the data folder {path.parent} cannot be used: {problem.strerror}") from problem


def take_lock(path: Path) -> int:
    """Lock the store's folder; the lock is held until the descriptor is closed. Raises ``AlreadyRunning``."""
    try:
        lock = open_private(path.with_name(path.name + ".lock"))
    except OSError as problem:
        raise Unavailable(f"the data folder {path.parent} cannot be used: {problem.strerror}") from problem
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise AlreadyRunning(f"another gateway is using {path}") from None
    return lock


def require_store(path: Path) -> None:
    """Raises ``Unavailable`` where no database is; SQLite would take an empty file for a new one."""
    if not path.is_file():
        raise Unavailable(f"there is no store {path}: gateway serve makes it at its first start")
    if path.stat().st_size == 0:
        raise Unavailable(f"the store {path} is an empty file")


def refuse_foreign_log(path: Path) -> None:
    """Refuse a log beside a database that was closed without one, as every backup is: it is another database's.

    SQLite would take its pages in and ruin the database. Raises ``Unavailable``.
    """
    log = path.with_name(path.name + "-wal")
    try:
        with path.open("rb") as file:
            version = file.read(READ_VERSION + 1)[READ_VERSION:]
        is_empty = log.stat().st_size == 0  # as a reader leaves it
    except OSError:
        return  # one of them is not there, or opening says what is wrong
    if version == KEEPS_NO_LOG and not is_empty:
        raise Unavailable(f"{log} belongs to another database than {path.name}: move it away, and the -shm file too")


def anybody_may_replace(folder: Path) -> bool:
    """Whether anybody may replace files in a folder: all may write, and no sticky bit keeps them from others' files."""
    mode = folder.stat().st_mode
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def _open_folder(folder: Path) -> Iterator[str]:
    try:
        found = folder.stat()
    except OSError:
        return
    mode = stat.S_IMODE(found.st_mode)
    if os.geteuid() not in (0, found.st_uid) and found.st_uid != 0:
        yield f"the folder {folder} belongs to another user: give it to the gateway's user"
    elif mode & stat.S_ISVTX:
        yield f"the folder {folder} is shared by all users: name one of the gateway's own in store.url"
    elif mode & OTHERS:
        yield f"the folder {folder} has mode {mode:04o}, others may open it: chmod 700 {folder}"


def _open_files(path: Path) -> Iterator[str]:
    for file in _files(path):
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & OTHERS:
            yield f"the file {file} has mode {mode:04o}, others may open it: chmod 600 {file}"


def _files(path: Path) -> list[Path]:
    names = ("", *COMPANION_SUFFIXES)
    return [file for suffix in names if (file := path.with_name(path.name + suffix)).is_file()]


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing."""
    for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        missing.mkdir(mode=FOLDER, exist_ok=True)
        missing.chmod(FOLDER)  # a umask may have taken too much


def open_private(file: Path) -> int:
    """Open a file to read and write, made for its owner alone where it is missing. Raises ``OSError``."""
    is_new = not file.exists()
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, FILE)
    if is_new:
        os.fchmod(descriptor, FILE)
    return descriptor


def _narrow(path: Path) -> None:
    """In development: close the store's files to others, and its folder where it holds nothing else."""
    with contextlib.suppress(PermissionError):
        for file in _files(path):
            file.chmod(FILE)
        if all(one.name.startswith(path.name) for one in path.parent.iterdir()):
            path.parent.chmod(FOLDER)
    for left in open_to_other_users(path):
        _log.warning("others may open the store; outside development this is refused", extra={"problem": left})
