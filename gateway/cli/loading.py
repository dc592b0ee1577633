"""What commands share: options, and loading the plugins and the settings."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple, Never

import click

from gateway.core.urls import bracketed
from gateway.drivers.installed_plugins import installed
from gateway.drivers.plugin_registry import Registry, load_plugins
from gateway.drivers.settings import (
    AccountEntry,
    Settings,
    SettingsFiles,
    Tenant,
    load_settings,
    plugin_names,
    read_settings,
)
from gateway.drivers.store.opening import open_stores_to_read
from gateway.drivers.store.reads import Store
from gateway.flows import tenant_stores

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    default="settings.yaml",
    envvar="GATEWAY_CONFIG",
    show_default=True,
    show_envvar=True,
    metavar="PATH",
    help="The settings file.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


class Configuration(NamedTuple):
    """The settings and the plugins they were checked with."""

    settings: Settings
    registry: Registry

    @property
    def entries(self) -> list[AccountEntry]:
        """All accounts of all tenants, in the order of the settings."""
        return [entry for tenant in self.settings.tenants.values() for entry in tenant.accounts.values()]


def load(config: Path) -> Configuration:
    """Load plugins and settings. Raises ``SettingsError`` with a line per problem."""
    files = read_settings(config)
    registry = _registry(files)
    return Configuration(load_settings(files, providers=registry.providers, environ=os.environ), registry)


def load_registry(config: Path) -> Registry:
    """Load the plugins that the settings allow. Raises ``SettingsError`` with a line per problem."""
    return _registry(read_settings(config))


def _registry(files: SettingsFiles) -> Registry:
    found = installed()
    names = plugin_names(files, [point.name for point in found])
    return load_plugins(found, blocked=names.blocked, allowed=names.allowed)


def tenants_of(settings: Settings, tenant: str | None) -> list[str]:
    """The tenant that was named, or all. Raises click's usage error for one that is not in the settings."""
    return list(settings.tenants) if tenant is None else [tenant_named(settings, tenant, "--tenant").id]


def tenant_named(settings: Settings, name: str, hint: str) -> Tenant:
    """A tenant. Raises click's usage error about the parameter ``hint`` for one that is not in the settings."""
    if name not in settings.tenants:
        raise click.BadParameter(f'there is no tenant "{name}"', param_hint=hint)
    return settings.tenants[name]


def refuse_unknown_account(
    settings: Settings, tenants: Iterable[str], account: str | None, found: Collection[object]
) -> None:
    """Raise click's usage error where nothing was found because no tenant has this account, nor ever had it."""
    if account is not None and not found and not any(account in settings.tenants[one].accounts for one in tenants):
        raise click.BadParameter(f'no tenant has an account "{account}"', param_hint="--account")


def callback_url(settings: Settings, entry: AccountEntry) -> str | None:
    """The URL that a provider calls; None where only the running server knows its port."""
    base = base_url(settings)
    return base and base + entry.callback_path


def base_url(settings: Settings) -> str | None:
    """The public address of the gateway; None where only the running server knows its port."""
    server = settings.server
    if server.public_url is None and server.port == 0:
        return None
    return server.public_url or http_url(server.host, server.port)


def http_url(host: str, port: int) -> str:
    """The address of a listener; ``host`` may be an IPv6 address."""
    return f"http://{bracketed(host)}:{port}"


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[Store]:
    """Open the store to read, beside a running server too.

    Raises ``Unavailable``, and ``StillNeeded`` where payments of a tenant are in a store that is not read for them.
    """
    store = await open_stores_to_read(settings)
    try:
        await tenant_stores.check(store, settings)
        yield store
    finally:
        await store.close()


async def refuse_to_send(*_: object, **__: object) -> Never:
    """What a command sends its requests to providers with: it sends none."""
    raise AssertionError("a command sends nothing to a provider")
