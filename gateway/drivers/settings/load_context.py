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


class Parse(msgspec.Struct, frozen=True):
    """The annotated value is made from its text. ``pattern``: what the text matches as a whole, if that is known."""

    make: Callable[[str, LoadContext], Any]
    pattern: str | None = None


class Check(msgspec.Struct, frozen=True):
    """The annotated value is read as its type, then checked (or replaced)."""

    check: Callable[[Any, LoadContext], Any]
