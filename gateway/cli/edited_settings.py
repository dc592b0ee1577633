"""The settings as they would be with other texts in their files, for commands that change them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from gateway.cli.loading import Configuration
from gateway.drivers.settings import Settings, load_settings
from gateway.drivers.settings.problems import Path as KeyPath
from gateway.drivers.settings.yaml_edit import extended


def load_edited(loaded: Configuration, edited: Mapping[Path, str]) -> Settings:
    """Load the settings as they would be with other texts in some of their files. Raises ``SettingsError``."""
    source, providers = loaded.settings.source, loaded.registry.providers
    return load_settings(source, providers=providers, environ=os.environ, edited=edited)


def edited_text(file: Path, *entries: tuple[KeyPath, dict[str, Any] | list[Any]]) -> str:
    """A settings file's text with an entry at each path. Raises click's exception where it cannot be edited."""
    try:
        text = file.read_bytes().decode()
        for path, more in entries:
            text = extended(text, path, more)
    except ValueError as problem:
        raise click.ClickException(f"{file.name}: {problem}") from None
    return text
