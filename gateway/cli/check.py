"""``gateway check``: are the settings usable?"""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.exits import BAD_SETTINGS
from gateway.cli.loading import Configuration, config_option, json_option, load
from gateway.cli.output import print_json
from gateway.core.errors import SettingsError
from gateway.drivers.settings import advice, unusable_hosts
from gateway.drivers.store.opening import missing_driver
from gateway.drivers.store.store_files import open_to_other_users


@click.command()
@config_option
@json_option
@click.pass_context
def check(context: click.Context, config: Path, as_json: bool) -> None:
    """Check settings, plugins, the hosts to listen on and who may open the store; print every problem."""
    try:
        loaded = load(config)
        _refuse(loaded)
    except SettingsError as wrong:
        if not as_json:
            raise
        print_json({"problems": wrong.problems})
        context.exit(BAD_SETTINGS)
    counts, advised = _counts(loaded), advice(loaded.settings)
    if as_json:
        print_json({"problems": [], "advice": advised, **counts})
        return
    for line in advised:
        click.echo(f"advice: {line}", err=True)
    click.echo("ok")
    click.echo(f"{config}: " + ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in counts.items()))


def _refuse(loaded: Configuration) -> None:
    """Refuse hosts that nothing can listen on, a store without its driver and, outside development, an open one.

    Raises ``SettingsError``.
    """
    problems = unusable_hosts(loaded.settings)
    for target in loaded.settings.stores.values():
        if target.path is not None and not loaded.settings.server.development:
            problems += open_to_other_users(target.path)
    problems += missing_driver(loaded.settings.store)
    if problems:
        raise SettingsError(problems)


def _counts(loaded: Configuration) -> dict[str, int]:
    return {
        "tenants": len(loaded.settings.tenants),
        "accounts": len(loaded.entries),
        "deposit_methods": sum(len(tenant.deposit_methods) for tenant in loaded.settings.tenants.values()),
        "plugins": len(loaded.registry.plugins),
    }
