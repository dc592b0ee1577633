"""How much space is left on the disks of the stores, which must also hold their logs."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

CACHE_SECONDS = 1.0
"""Seconds for which an answer holds: a system call for every payment would be too many."""

_log = logging.getLogger("gateway")


def free_bytes(folder: Path) -> int:
    """Bytes that may still be written to the disk of a folder. Raises ``OSError``."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


class DiskSpace:
    """The disks of some folders. One is low with fewer than ``low`` bytes free; ``changed`` is called when the first
    one is, and when none is any more."""

    def __init__(
        self,
        folders: Iterable[Path],
        low: int,
        *,
        free: Callable[[Path], int] = free_bytes,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``low`` 0, or no folder: no disk is ever asked. ``free`` and ``now`` (seconds) are for tests."""
        self.folders, self._low = tuple(dict.fromkeys(folders)), low
        self._free, self._now = free, now
        self._asked_at = float("-inf")
        self._are_low: set[Path] = set()
        self.changed: Callable[[bool], None] = lambda _: None

    def is_low(self) -> bool:
        """Whether one is low, as of the last second. A disk that cannot be asked is as it was."""
        now = self._now()
        if self.folders and self._low and now - self._asked_at >= CACHE_SECONDS:
            self._asked_at = now
            was_low = bool(self._are_low)
            for folder in self.folders:
                self._ask(folder)
            if bool(self._are_low) is not was_low:
                self.changed(not was_low)
        return bool(self._are_low)

    def low(self) -> tuple[Path, ...]:
        """The folders whose disks are low."""
        return tuple(folder for folder in self.folders if self.is_low() and folder in self._are_low)

    def _ask(self, folder: Path) -> None:
        try:
            is_low = self._free(folder) < self._low
        except OSError as problem:
            _log.warning("the free space of the disk cannot be read", extra={"problem": problem.strerror})
            return
        (self._are_low.add if is_low else self._are_low.discard)(folder)
