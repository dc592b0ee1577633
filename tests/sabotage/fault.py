"""What a planted fault is: exact texts in the code and their replacements; and the command of a harness of tests."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Edit(NamedTuple):
    """A text that occurs in a file exactly once, and its replacement."""

    file: str
    before: str
    after: str


class Fault(NamedTuple):
    """A mistake; ``name`` describes it."""

    name: str
    harness: str
    edits: tuple[Edit, ...]

    def plant(self, root: Path) -> None:
        """Change the files below ``root``. Raises ``ValueError`` unless a text occurs exactly once."""
        for edit in self.edits:
            path = root / edit.file
            text = path.read_text()
            if text.count(edit.before) != 1:
                raise ValueError(f"{self.name}: {edit.file} has the text {text.count(edit.before)} times")
            path.write_text(text.replace(edit.before, edit.after))


def simple(name: str, harness: str, file: str, before: str, after: str) -> Fault:
    """A mistake in one place."""
    return Fault(name, harness, (Edit(file, before, after),))


def of_tests(*paths: str) -> tuple[str, ...]:
    """The command that runs tests up to the first that fails."""
    return ("-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", *paths)
