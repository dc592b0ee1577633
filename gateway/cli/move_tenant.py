"""``gateway store move-tenant``: move one tenant to another of several stores."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from gateway.cli.edited_settings import edit, editing
from gateway.cli.loading import Configuration, config_option, json_option, load, refuse_to_send, tenant_named
from gateway.cli.output import print_one
from gateway.cli.user_name import user_name
from gateway.core.errors import SettingsError
from gateway.drivers.clock import Clock, SystemClock
from gateway.drivers.settings import Settings
from gateway.drivers.store.opening import open_stores
from gateway.drivers.store.reads import Store
from gateway.drivers.store.rows import from_milliseconds
from gateway.flows import move_tenant as flow
from gateway.flows.audit import COMMAND_LINE, Act, Actor
from gateway.flows.runtime import Gateway

READING_SECONDS = 300.0
"""How long a statement may take that looks for one tenant's rows among all."""


@click.command("move-tenant")
@click.argument("tenant", metavar="TENANT")
@click.argument("to", metavar="TO")
@config_option
@json_option
def move_tenant(tenant: str, to: str, config: Path, as_json: bool) -> None:
    """Move one tenant to the store TO of the settings, while gateways serve the others.

    On PostgreSQL gateways may run; they answer the tenant 503 meanwhile, and follow by themselves. A move that was
    interrupted goes on when the command is run again. TO may be the store it leaves: that gives the move up.
    """
    loaded = load(config)
    _check_names(loaded.settings, tenant, to)
    done = asyncio.run(_move(loaded, tenant, to))
    done["file"] = _edit(config, tenant, to)
    print_one(done, as_json=as_json)


def _check_names(settings: Settings, tenant: str, to: str) -> None:
    tenant_named(settings, tenant, "'TENANT'")
    if to not in settings.stores:
        raise click.BadParameter(f'there is no store "{to}"; known are {", ".join(settings.stores)}', param_hint="'TO'")
    if not settings.further_stores:
        raise click.UsageError("the settings have one store only: name several in stores")


async def _move(loaded: Configuration, tenant: str, to: str) -> dict[str, Any]:
    settings = _with_long_timeouts(loaded.settings)
    store = await open_stores(settings)
    try:
        clock = await _clock_of(store)
        gw = Gateway(settings=settings, store=store, send=refuse_to_send, clock=clock)
        moving, begun = await flow.plan(gw, tenant, to)
        if moving is None:
            await flow.forget_arrivals(gw, tenant)
            return {"tenant": tenant, "store": to, "moved": False}
        act = Act(
            name="tenants.move",
            by=Actor(key_id=COMMAND_LINE, given=user_name()),
            tenant=tenant,
            details={"from": moving.source_name, "to": moving.target_name},
        )
        if moving.target_name != to and begun is not None:
            await flow.give_up(gw, moving, begun, act)
            return {"tenant": tenant, "store": to, "moved": False}
        began = clock.now()
        moved = await flow.move(gw, moving, begun, act, _print_copied)
        seconds = (clock.now() - began).total_seconds()
        await flow.clear(gw, moving, moved)
        return {
            "tenant": tenant,
            "store": to,
            "moved": True,
            "from": moving.source_name,
            "refused_seconds": round(seconds, 1),
        }
    finally:
        await store.close()


class _ClockOf(SystemClock):
    """A database's clock: by this machine's, if it is ahead, all gateways would seem to be dead."""

    def __init__(self, database: datetime, own: Clock) -> None:
        self._own, self._ahead = own, own.now() - database

    def now(self) -> datetime:
        """The time there, in UTC."""
        return self._own.now() - self._ahead


async def _clock_of(store: Store) -> Clock:
    own = SystemClock()
    if not store.is_shared:
        return own
    return _ClockOf(from_milliseconds(await store.parts[0].nodes.database_clock()), own)


def _with_long_timeouts(settings: Settings) -> Settings:
    def of(target: Any) -> Any:
        return target if target.path is not None else replace(target, statement_timeout=READING_SECONDS)

    further = {name: of(target) for name, target in settings.further_stores.items()}
    return replace(settings, store=of(settings.store), further_stores=further)


def _edit(config: Path, tenant: str, to: str) -> str | None:
    """Write where the tenant is into the settings; the file's name, or None where it could not be done."""
    try:
        with editing(config) as loaded:  # it may have been changed since the move began
            now = loaded.settings.tenants.get(tenant)
            if now is None or (now.store or loaded.settings.main_store) == to:
                return None
            return edit(loaded, ("tenants", tenant), (("tenants", tenant, "store"), to))
    except (click.ClickException, SettingsError) as problem:
        click.echo(f"write tenants.{tenant}.store: {to} by hand: {problem}", err=True)
        return None


def _print_copied(table: str, rows: int) -> None:
    click.echo(f"{table}: {rows} rows", err=True)
