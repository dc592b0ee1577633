"""A problem of the settings as one line: file, line, tenant, key, what is wrong. Nothing is read here."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from gateway.core.wording import unknown_name

Path = tuple[str | int, ...]
"""Where a value stands: ``("tenants", "acme", "keys", 0, "sha256")``."""


class Problem(msgspec.Struct, frozen=True):
    """One mistake. ``line`` counts from 1; ``message`` never holds a value, only names."""

    file: str
    line: int
    path: Path
    message: str

    def __str__(self) -> str:
        """``settings.yaml:41: tenant acme: accounts.psp-main.provider: is missing``."""
        return ": ".join(
            part for part in (f"{self.file}:{self.line}", path_for_people(self.path), self.message) if part
        )


def unknown_entry(what: str, name: str, known: Iterable[str]) -> str:
    """Say that a name is not known, and which known one was probably meant."""
    return unknown_name(name, sorted(known), f'unknown {what} "{name}"')


def path_for_people(path: Path) -> str:
    """Name a place: ``server.secret`` or ``tenant acme: keys[0].sha256``."""
    if path[:1] == ("tenants",) and len(path) > 1:
        return f"tenant {path[1]}: {dotted(path[2:] or path)}"
    return dotted(path)


def dotted(path: Path) -> str:
    """Write a path as people do: ``keys[0].sha256``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")
