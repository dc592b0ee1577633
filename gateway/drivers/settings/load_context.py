"""What a value of the settings may depend on, and the annotations that say how it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec


class LoadContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a value may depend on: folder and owner (a user id) of the settings file, environment, development mode."""

    folder: Path
    owner: int
    environ: Mapping[str, str]
    development: bool


Make = Callable[[str, LoadContext], Any]
"""A text and what it may depend on -> a value. Raises ``ValueError`` with what would be right."""


class Parse(msgspec.Struct, frozen=True):
    """The annotated value is made from its text. ``pattern``: what the text matches as a whole, if that is known."""

    make: Make
    pattern: str | None = None


class Check(msgspec.Struct, frozen=True):
    """The annotated value is read as its type, then checked (or replaced)."""

    check: Callable[[Any, LoadContext], Any]


class Alike(msgspec.Struct, frozen=True):
    """Thousands of tenants may have the annotated value alike: read once, and one object for all. It has no secret."""
