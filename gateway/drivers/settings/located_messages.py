"""Lines that name a place in the settings file, for what is found out after it was loaded."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from yaml.nodes import Node

from gateway.drivers.settings.problems import Path as KeyPath
from gateway.drivers.settings.problems import Problem
from gateway.drivers.settings.settings_files import SettingsFiles
from gateway.drivers.settings.yaml_file import place


class LocatedMessages:
    """Makes lines such as ``settings.yaml:9: server.host: …``; the file is read again, once, for the first of them."""

    def __init__(self, source: Path) -> None:
        self._source = source

    def at(self, path: KeyPath, message: str) -> str:
        """The line for a key, or for the nearest thing above it that exists."""
        return str(Problem(*place(self._root, path), path, message))

    def file_of(self, path: KeyPath) -> Path:
        """The file that a key is in."""
        return self._source.parent / place(self._root, path)[0]

    @cached_property
    def _root(self) -> Node:
        return SettingsFiles(self._source).root
