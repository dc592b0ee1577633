"""How much room is left on the store's disk. What it grows by beside its rows (its log) needs room there too."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

CACHE_SECONDS = 1.0
"""Seconds for which an answer holds: a system call for every payment would be too many."""

_log = logging.getLogger("gateway")


def free_bytes(folder: Path) -> int:
    """Bytes that may still be written to the disk of a folder. Raises ``OSError``."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


class DiskSpace:
    """The disk of a folder. It is low with fewer than ``low`` bytes free; ``changed`` is called when that changes."""

    def __init__(
        self,
        folder: Path | None,
        low: int,
        *,
        free: Callable[[Path], int] = free_bytes,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``low`` 0, or no folder: the disk is never asked. ``free`` and ``now`` (seconds) are for tests."""
        self.folder, self._low = folder, low
        self._free, self._now = free, now
        self._asked_at = float("-inf")
        self._is_low = False
        self.changed: Callable[[bool], None] = lambda _: None

    def is_low(self) -> bool:
        """Whether it is low, as of the last second. A disk that cannot be asked is as it was."""
        now = self._now()
        if self.folder is not None and self._low and now - self._asked_at >= CACHE_SECONDS:
            self._asked_at = now
            self._ask(self.folder)
        return self._is_low

    def _ask(self, folder: Path) -> None:
        try:
            is_low = self._free(folder) < self._low
        except OSError as problem:
            _log.warning("the disk cannot be asked for its free bytes", extra={"problem": problem.strerror})
            return
        if is_low is not self._is_low:
            self._is_low = is_low
            self.changed(is_low)
