"""The settings file and its includes on disk -> one tree. An included file holds ``tenants`` alone."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Mapping
from pathlib import Path

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway.drivers.settings.piecewise import let_go
from gateway.drivers.settings.problems import Problem
from gateway.drivers.settings.regular_file import RegularFile, read_regular
from gateway.drivers.settings.yaml_file import compose, is_null, nothing, pairs, place_of, tagged, value_at

MAX_FILE_BYTES = 256 * 1024 * 1024
"""Bytes of one file: far more than the tenants of one gateway need."""

WRITABLE_BY_OTHERS = 0o022

LISTENERS = (("server",), ("server", "admin"))
"""Where the settings say on which host and port one process listens."""


class SettingsFiles:
    """The settings file with the tenants of its includes put into one tree; problems of reading them.

    ``owner`` of the settings file is a user id. ``open_to_others`` are problems outside development only.
    ``edited``: what is to be read in place of the text of some files, to check a change before it is made.
    """

    def __init__(self, path: Path, edited: Mapping[Path, str] | None = None) -> None:
        self.path = path.absolute()
        self._edited = edited or {}
        self.problems: list[Problem] = []
        self.open_to_others: list[Problem] = []
        self.owner = -1
        self._digest, self._shared_digest = hashlib.sha256(), hashlib.sha256()
        root = self._compose(self.path)
        self.usable = root is not None
        self.root = root or nothing(self.path.name)
        self._include()

    @property
    def digest(self) -> str:
        """Hex SHA-256 of all files, names included."""
        return self._digest.hexdigest()

    @property
    def shared_digest(self) -> str:
        """The same without the settings file's name and where one process listens: alike for all nodes of a gateway."""
        return self._shared_digest.hexdigest()

    def in_order(self) -> list[Problem]:
        """The problems as a reader of the files meets them, the settings file first."""
        return sorted(self.problems, key=lambda problem: (problem.file != self.path.name, problem.file, problem.line))

    def release(self) -> None:
        """Free the tree, of which nothing is needed any more."""
        tenants = value_at(self.root, ("tenants",))
        if isinstance(tenants, MappingNode):
            let_go(tenants.value)

    def _compose(self, path: Path) -> MappingNode | None:
        name = self._name(path)
        file = self._read(path, name)
        if file is None:
            return None
        for part in (name.encode(), file.data):
            self._digest.update(_counted(part))
        found = compose(file.data, name)
        if isinstance(found, Problem):
            self.problems.append(found)
            return None
        for part in (_without_ports(found, file.data),) if path == self.path else (name.encode(), file.data):
            self._shared_digest.update(_counted(part))
        if b"!" in file.data:
            self.problems += tagged(found)
        return found

    def _read(self, path: Path, name: str) -> RegularFile | None:
        try:
            file = read_regular(path, most=MAX_FILE_BYTES)
        except OSError as error:
            self.problems.append(Problem(name, 1, (), f"cannot be read: {error.strerror}"))
            return None
        except ValueError as error:
            self.problems.append(Problem(name, 1, (), str(error)))
            return None
        if path == self.path:
            self.owner = file.owner
        if file.mode & WRITABLE_BY_OTHERS:
            said = f"has mode {file.mode:04o}, so others can change it: chmod go-w (development: true allows it)"
            self.open_to_others.append(Problem(name, 1, (), said))
        return file._replace(data=self._edited[path].encode()) if path in self._edited else file

    def _name(self, path: Path) -> str:
        folder = self.path.parent
        return str(path.relative_to(folder) if path.is_relative_to(folder) else path)

    def _include(self) -> None:
        patterns = value_at(self.root, ("include",))
        for pattern in patterns.value if isinstance(patterns, SequenceNode) else ():
            if isinstance(pattern, ScalarNode):
                self._include_pattern(pattern)

    def _include_pattern(self, pattern: ScalarNode) -> None:
        names = sorted(glob.glob(pattern.value, root_dir=self.path.parent, recursive=True))
        if not names and not glob.has_magic(pattern.value):  # a pattern may match nothing yet, a name may not
            self.problems.append(Problem(*place_of(pattern), ("include",), f'there is no file "{pattern.value}"'))
        for name in names:
            included = self._compose(self.path.parent / name)
            for key, key_node, value in pairs(included) if included else ():
                self._take(key, key_node, value)

    def _take(self, key: str | None, key_node: Node, value: Node) -> None:
        """Put the tenants of an included file among those of the settings file; nothing else may stand there."""
        if key != "tenants":
            name = key or ""
            said = f'unknown key "{name}": an included file holds tenants only'
            self.problems.append(Problem(*place_of(key_node), (name,), said))
        elif isinstance(value, MappingNode):
            self._tenants(key_node).value.extend(value.value)
        elif not is_null(value):
            self.problems.append(Problem(*place_of(key_node), ("tenants",), "must be a mapping of keys"))

    def _tenants(self, key_node: Node) -> MappingNode:
        found = value_at(self.root, ("tenants",))
        if isinstance(found, MappingNode):
            return found
        made = nothing(self.path.name)
        self.root.value[:] = [pair for pair in self.root.value if pair[0].value != "tenants"] + [(key_node, made)]
        return made


def _counted(part: bytes) -> bytes:
    return len(part).to_bytes(8, "big") + part


def _without_ports(root: Node, data: bytes) -> bytes:
    """A file without the lines on which it says where to listen."""
    found = (value_at(root, (*place, key)) for place in LISTENERS for key in ("host", "port"))
    left_out = {place_of(node)[1] for node in found if node is not None}
    lines = enumerate(data.splitlines(keepends=True), start=1)
    return b"".join(line for number, line in lines if number not in left_out)
