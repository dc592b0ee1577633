"""Files the settings are read from: regular ones only, with who owns them and who else may write them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple


class RegularFile(NamedTuple):
    """A regular file as it was read. ``mode`` are its permission bits, ``owner`` is a user id."""

    data: bytes
    mode: int
    owner: int


def read_regular(path: Path, *, most: int) -> RegularFile:
    """Read a regular file of at most ``most`` bytes; a symbolic link is followed and its target checked.

    Never waits: a pipe, a device, a socket or a folder raises ``ValueError``. Raises ``OSError``.
    """
    _refuse_irregular(os.stat(path))  # opening a device may already do something
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with open(descriptor, "rb") as file:
        state = os.fstat(descriptor)
        _refuse_irregular(state)
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"is larger than {most} bytes")
    return RegularFile(data, stat.S_IMODE(state.st_mode), state.st_uid)


def _refuse_irregular(state: os.stat_result) -> None:
    if not stat.S_ISREG(state.st_mode):
        raise ValueError("is not a regular file")
