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

    def __init__(self, folder: Path, project: dict[str, Any], points: dict[str, str]) -> None:
        self._folder = folder
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
    return (found for found in _found() if isinstance(found, EntryPoint))


def unreadable() -> list[str]:
    """A line for each plugin on the path that is passed over, because its pyproject.toml is wrong."""
    return [found for found in _found() if isinstance(found, str)]


def _found() -> Iterator[EntryPoint | str]:
    for folder in dict.fromkeys(Path(entry) for entry in sys.path):
        path = folder / "pyproject.toml"
        try:
            text = path.read_bytes()
        except OSError:
            continue
        if GROUP.encode() in text:
            yield from _points(path, text)


def _points(path: Path, text: bytes) -> Iterator[EntryPoint | str]:
    import tomllib  # read where there is something to read: most starts have nothing

    try:
        project = _table(tomllib.loads(text.decode()), "project")
        given = _table(_table(project, "entry-points"), GROUP)
    except (ValueError, TypeError) as problem:
        yield f"{path}: {problem}"
        return
    usable = {
        name: value for name, value in given.items() if isinstance(value, str) and EntryPoint.pattern.match(value)
    }
    yield from (
        f'{path}: entry point {name} must be "MODULE" or "MODULE:OBJECT", not "{value}"'
        for name, value in given.items()
        if name not in usable
    )
    yield from _Source(path.parent, project, usable).entry_points


def _table(given: dict[str, Any], name: str) -> dict[str, Any]:
    table = given.get(name, {})
    if not isinstance(table, dict):
        raise TypeError(f'"{name}" must be a table')
    return table
