"""Plugins that are on the path but not installed: each folder of ``sys.path`` whose ``pyproject.toml`` names one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path
from typing import Any

GROUP = "gateway.providers"


class _Source(Distribution):
    """A folder of sources, read as if it were installed."""

    def __init__(self, folder: Path, project: dict[str, Any]) -> None:
        self._folder = folder
        points = project.get("entry-points", {}).get(GROUP, {})
        named = f"Name: {project.get('name', '')}\nVersion: {project.get('version', '')}\n"
        self._files = {
            "METADATA": f"Metadata-Version: 2.1\n{named}",
            "entry_points.txt": "\n".join([f"[{GROUP}]", *(f"{name} = {value}" for name, value in points.items())]),
        }

    def read_text(self, filename: str) -> str | None:
        """One of the files that an installed distribution has."""
        return self._files.get(filename)

    def locate_file(self, path: Any) -> Path:
        """Where a file of it is."""
        return self._folder / str(path)


def on_path() -> Iterator[EntryPoint]:
    """The entry points of plugins whose sources are on the path."""
    for folder in dict.fromkeys(Path(entry) for entry in sys.path):
        try:
            text = (folder / "pyproject.toml").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if GROUP in text:
            yield from _points(folder, text)


def _points(folder: Path, text: str) -> Iterator[EntryPoint]:
    import tomllib  # read where there is something to read: most starts have nothing

    try:
        project = tomllib.loads(text).get("project", {})
    except tomllib.TOMLDecodeError:
        return
    yield from _Source(folder, project).entry_points
