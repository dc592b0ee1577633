"""``gateway plugins``: list the installed plugins, check one, and begin a new one."""

from __future__ import annotations

from pathlib import Path

import click
from msgspec.structs import asdict

from gateway.cli.exits import Group
from gateway.cli.loading import config_option, json_option
from gateway.cli.new_plugin import new
from gateway.cli.output import print_json, print_table
from gateway.cli.plugin_capabilities import capabilities_of, first_accounts, in_words
from gateway.cli.plugin_check import check_plugin
from gateway.cli.plugin_conform import conform_plugin
from gateway.cli.plugin_try import try_plugin
from gateway.drivers.installed_plugins import chosen, installed
from gateway.drivers.plugin_registry import load_plugins
from gateway.drivers.settings import plugin_names, read_settings


@click.group(cls=Group)
def plugins() -> None:
    """Show plugins, check them, and begin a new one."""


plugins.add_command(check_plugin)
plugins.add_command(conform_plugin)
plugins.add_command(try_plugin)
plugins.add_command(new)


@plugins.command("list")
@config_option
@json_option
def list_plugins(config: Path, as_json: bool) -> None:
    """List the installed plugins and their providers."""
    points = installed()
    names = plugin_names(read_settings(config), [point.name for point in points])
    registry = load_plugins(points, blocked=names.blocked, allowed=names.allowed)
    accounts = first_accounts(config)
    found = [
        {
            **asdict(one),
            "capabilities": [capabilities_of(registry.providers[name], accounts.get(name)) for name in one.providers],
        }
        for one in registry.plugins
    ]
    allowed = {point.name for point in chosen(points, (), names.allowed)}
    left_out = {
        "blocked": sorted(names.blocked),
        "not_allowed": sorted({point.name for point in points} - allowed - names.blocked),
    }
    if as_json:
        print_json({"data": found, **left_out})
        return
    print_table(
        ("plugin", "distribution", "version", "providers", "api", "commands", "optional", "rules"),
        [
            (
                *(plugin[part] for part in ("name", "distribution", "version")),
                able.provider,
                able.api_version,
                " ".join(able.commands),
                " ".join(able.optional),
                in_words(able.rules),
            )
            for plugin in found
            for able in plugin["capabilities"]
        ],
    )
    for why, which in left_out.items():
        if which:
            click.echo(f"{why.replace('_', ' ')}: {', '.join(which)}")
