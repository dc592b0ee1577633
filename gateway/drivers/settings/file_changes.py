"""Changes to the settings' files on disk: each is made wholly or not at all.

A new file belongs to the owner of the settings file, a changed one keeps its owner.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

OWNER_ONLY = 0o600


class NewFile(NamedTuple):
    """What a file is made with; ``mode`` None is that of the settings file."""

    text: str
    mode: int | None = None


@contextmanager
def new_files(settings: Path, files: Mapping[Path, NewFile]) -> Iterator[None]:
    """Make files beside the settings file. When the block fails they are removed again, with the folders made for them.

    Raises ``FileExistsError``: a file that is there is never replaced.
    """
    like = settings.stat()
    made: list[Path] = []
    try:
        for path, new in files.items():
            mode = new.mode or like.st_mode & 0o777
            if not path.parent.exists():
                path.parent.mkdir(mode | (mode & 0o444) >> 2)  # who may read a file may enter its folder
                made.append(path.parent)
                with suppress(PermissionError):
                    os.chown(path.parent, like.st_uid, like.st_gid)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            made.append(path)
            _fill(descriptor, new.text, mode, like)
        yield
    except BaseException:
        for path in reversed(made):
            path.rmdir() if path.is_dir() else path.unlink()
        raise


def replace_text(path: Path, text: str) -> None:
    """Give a file another text at once, with its mode and owner. A link stays, what it leads to is replaced."""
    path = path.resolve()
    like = path.stat()
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        _fill(descriptor, text, like.st_mode & 0o777, like)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _fill(descriptor: int, text: str, mode: int, like: os.stat_result) -> None:
    with open(descriptor, "wb") as file:
        file.write(text.encode())
        file.flush()
        os.fchmod(descriptor, mode)
        with suppress(PermissionError):  # only root gives files away; ours may stay ours
            os.fchown(descriptor, like.st_uid, like.st_gid)
        os.fsync(descriptor)
