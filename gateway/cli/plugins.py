"""``gateway plugins``: what is installed."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.loading import config_option, json_option
from gateway.cli.output import print_json, print_table
from gateway.drivers.registry import load_plugins
from gateway.drivers.settings import blocked_plugins


@click.group()
def plugins() -> None:
    """Look at plugins."""


@plugins.command("list")
@config_option
@json_option
def list_plugins(config: Path, as_json: bool) -> None:
    """List what is installed and what it offers."""
    blocked = sorted(blocked_plugins(config))
    found = load_plugins(blocked=blocked).plugins
    if as_json:
        print_json({"data": found, "blocked": blocked})
        return
    rows = [(one.name, one.distribution, one.version, ", ".join(one.providers)) for one in found]
    print_table(("plugin", "distribution", "version", "providers"), rows)
    if blocked:
        click.echo(f"blocked: {', '.join(blocked)}")
