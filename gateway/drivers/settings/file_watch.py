"""Notice that the settings' files change. Also one that an ``include`` begins to match, or whose folder comes later."""

from __future__ import annotations

import fnmatch
import glob
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

from gateway.drivers.settings.model import Settings

LOOK_MILLISECONDS = 1000
"""How often is looked whether there are other folders to watch, even if nothing changes."""

CONFIG_MAP = "..data"
"""The link that Kubernetes replaces when it rewrites the files of a mounted folder."""


async def changes(current: Callable[[], Settings]) -> AsyncIterator[None]:
    """Yield after each change to the settings file and its includes. ``current`` returns the settings of today."""
    from watchfiles import awatch  # who does not watch does not need it

    while True:
        settings = current()
        folders = _folders(settings)
        found = awatch(
            *folders,
            watch_filter=partial(_matters, settings),
            rust_timeout=LOOK_MILLISECONDS,
            yield_on_timeout=True,
            recursive=any(glob.has_magic(str(Path(pattern).parent)) for pattern in settings.include),
        )
        async for changed in found:
            if changed:
                yield
            if (_folders(current()), current().include) != (folders, settings.include):
                break
        yield  # for what changed before its folder was watched


def _folders(settings: Settings) -> set[Path]:
    """The folders that exist and below which everything lies that may be read."""
    paths = {settings.source.parent / pattern for pattern in settings.include} | {settings.source}
    return {_folder_above(path) for path in paths}


def _folder_above(path: Path) -> Path:
    while glob.has_magic(str(path)) or not path.is_dir():
        path = path.parent
    return path


def _matters(settings: Settings, _change: object, changed: str) -> bool:
    """Whether a changed path is of the settings: next to them there may be a store, which changes all the time."""
    path = Path(changed)
    patterns = (str(settings.source.parent / pattern) for pattern in settings.include)
    return (
        path == settings.source or path.name == CONFIG_MAP or any(fnmatch.fnmatch(str(path), one) for one in patterns)
    )
