"""Changes to the settings by commands: one command at a time, and checked before a file is changed."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from gateway.cli.loading import Configuration, load
from gateway.drivers.settings import LocatedMessages, Settings, load_settings
from gateway.drivers.settings.file_changes import replace_text
from gateway.drivers.settings.problems import Path as KeyPath
from gateway.drivers.settings.yaml_edit import extended, replaced, without

Edit = tuple[KeyPath, dict[str, Any] | list[Any] | str | None]
"""What is put at the end of the mapping or list at a path. A text takes the place of what is there; None removes it."""


@contextmanager
def editing(config: Path) -> Iterator[Configuration]:
    """Load the settings for a change of their files. Other commands that change them wait for the end of the block.

    Raises ``SettingsError``.
    """
    if not config.exists():
        load(config)  # raises: there is nothing to lock
    # The folder is locked because the file is replaced: who waits for a file gets one that is no longer in use.
    folder = os.open(config.resolve().parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield load(config)
    finally:
        os.close(folder)


def load_edited(loaded: Configuration, edited: Mapping[Path, str]) -> Settings:
    """Load the settings as they would be with other texts in some of their files. Raises ``SettingsError``."""
    source, providers = loaded.settings.source, loaded.registry.providers
    return load_settings(source, providers=providers, environ=os.environ, edited=edited)


def edited_text(file: Path, *entries: Edit) -> str:
    """A settings file's text with these edits, made in turn. Raises click's exception where it cannot be edited."""
    try:
        text = file.read_bytes().decode()
        for path, more in entries:
            match more:
                case None:
                    text = without(text, path)
                case str():
                    text = replaced(text, path, more)
                case _:
                    text = extended(text, path, more)
    except ValueError as problem:
        raise click.ClickException(f"{file.name}: {problem}") from None
    return text


def edit(loaded: Configuration, at: KeyPath, *edits: Edit) -> str:
    """Edit the file that holds a place, once the settings are good; its name. Raises ``SettingsError``."""
    file = LocatedMessages(loaded.settings.source).file_of(at)
    text = edited_text(file, *edits)
    load_edited(loaded, {file: text})
    replace_text(file, text)
    return str(file.relative_to(loaded.settings.source.parent))
