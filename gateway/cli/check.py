"""``gateway check``: are the settings usable?"""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from gateway.cli.exits import BAD_SETTINGS, STORE_UNUSABLE
from gateway.cli.loading import Configuration, config_option, json_option, load, reading, refuse_to_send
from gateway.cli.output import print_json
from gateway.core.errors import SettingsError, Unavailable
from gateway.drivers.clock import SystemClock
from gateway.drivers.settings import Settings, advice, unusable_hosts
from gateway.drivers.store.opening import missing_driver, version_of_store
from gateway.drivers.store.schema import VERSION
from gateway.drivers.store.store_files import open_to_other_users
from gateway.flows import tenant_stores
from gateway.flows.background import startup
from gateway.flows.runtime import Gateway


@click.command()
@click.option("--store", "with_store", is_flag=True, help="Also look into each store: would the gateway start on it?")
@config_option
@json_option
@click.pass_context
def check(context: click.Context, config: Path, with_store: bool, as_json: bool) -> None:
    """Check settings, plugins, the hosts to listen on and who may open the store; print every problem.

    Exit code 2 for settings that cannot be used; with --store 4 for a store on which the gateway would not start.
    """
    try:
        loaded = load(config)
        _refuse(loaded)
        versions = _versions(loaded.settings) if with_store else None
        moved = asyncio.run(_check_stores(loaded.settings)) if {*(versions or {}).values()} == {VERSION} else []
    except (SettingsError, Unavailable) as wrong:
        if not as_json:
            raise
        print_json({"problems": str(wrong).splitlines()})
        context.exit(BAD_SETTINGS if isinstance(wrong, SettingsError) else STORE_UNUSABLE)
    counts, advised = _counts(loaded), [*advice(loaded.settings), *moved]
    if as_json:
        print_json({"problems": [], "advice": advised, **counts, **({} if versions is None else {"stores": versions})})
        return
    for line in advised:
        click.echo(f"advice: {line}", err=True)
    click.echo("ok")
    click.echo(f"{config}: " + ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in counts.items()))
    for name, version in (versions or {}).items():
        click.echo(f"store {name}: {_described(version)}")


def _versions(settings: Settings) -> dict[str, int | None]:
    """The version of each store's tables, by its name. Raises ``Unavailable`` with a line for each that is unusable."""
    found: dict[str, int | None] = {}
    problems = []
    for name, target in settings.stores.items():
        try:
            found[name] = asyncio.run(version_of_store(target))
        except Unavailable as problem:
            problems.append(f"store {name}: {problem}")
    if problems:
        raise Unavailable("\n".join(problems))
    return found


async def _check_stores(settings: Settings) -> list[str]:
    """Advice on tenants that were moved. Raises ``SettingsError`` and ``Unavailable`` where a start would."""
    async with reading(settings) as store:
        await startup.check(Gateway(settings=settings, store=store, send=refuse_to_send, clock=SystemClock()))
        moved = await tenant_stores.check(store, settings)
        return [f"tenants.{one}.store: must be {name}, to which the tenant was moved" for one, name in moved.items()]


def _described(version: int | None) -> str:
    if version is None:
        return "there are no tables yet, the first start makes them"
    later = "" if version >= VERSION else f", which the next start brings up to {VERSION}"
    return f"its tables are of version {version}{later}"


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
