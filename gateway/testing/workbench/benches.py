"""Where a plugin is tried: against its simulator, or with an account of the settings at the real provider."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp
import msgspec
from msgspec.structs import replace

from gateway.core.masking import without_numbers_and_keys
from gateway.drivers.installed_plugins import installed
from gateway.drivers.plugin_registry import load_plugins
from gateway.drivers.settings import (
    AccountEntry,
    BearerKey,
    Settings,
    StoreTarget,
    load_settings,
    plugin_names,
    read_settings,
)
from gateway.provider import Account, Provider
from gateway.testing.conform.mutants import Mutant
from gateway.testing.conform.proxy import Proxies
from gateway.testing.conform.testbed import Testbed, testbed
from gateway.testing.installed import Plugin
from gateway.testing.samples import Samples
from gateway.testing.workbench.recording import Recorder
from gateway.web.server import running


class Bench(msgspec.Struct, kw_only=True):
    """A running gateway with a plugin whose calls are recorded.

    ``source`` and ``providers`` are what its settings were loaded from. ``is_real``: calls reach the provider.
    """

    bed: Testbed
    recorder: Recorder
    source: Path
    providers: Mapping[str, Provider]
    is_real: bool

    def account_of(self, provider: Provider) -> Account:
        """The account as it is loaded for another copy of the plugin. Raises ``SettingsError``."""
        providers = {**self.providers, provider.name: provider}
        loaded = load_settings(self.source, providers=providers, environ=os.environ)
        return loaded.tenants[self.bed.entry.tenant].accounts[self.bed.entry.name].account

    def masked(self, text: str) -> str:
        """A text without secrets: those of the tenant's accounts, of logins, keys and card numbers."""
        return without_numbers_and_keys(self.bed.server.gateway.masks.of(self.bed.entry.tenant).over(text))


@contextlib.asynccontextmanager
async def simulated(plugin: Plugin, samples: Samples) -> AsyncIterator[Bench]:
    """Against the plugin's simulator, in this process. Raises ``SettingsError`` and ``NoSimulator``."""
    recorder = Recorder()
    async with testbed(plugin.name, Mutant(recorder.wrapped(plugin.providers[0])), samples) as bed:
        source = bed.server.gateway.settings.source
        yield Bench(bed=bed, recorder=recorder, source=source, providers={}, is_real=False)


@contextlib.asynccontextmanager
async def real(plugin: Plugin, config: Path, owner: str) -> AsyncIterator[Bench]:
    """With one account of the settings, in a store of its own; no webhook is sent. It listens where ``serve`` would.

    Raises ``SettingsError``, ``LookupError`` for an account that is not there, and ``OSError`` for a port in use.
    """
    files = read_settings(config)
    names = plugin_names(files, [point.name for point in installed()])
    recorder, registry = Recorder(), load_plugins(blocked=names.blocked, allowed=names.allowed)
    wrapped = {one.name: recorder.wrapped(one) for one in plugin.providers}
    registry.providers = {**registry.providers, **wrapped}
    settings = load_settings(files, providers=registry.providers, environ=os.environ)
    entries = [one for tenant in settings.tenants.values() for one in tenant.accounts.values()]
    usable = {one.owner: one for one in entries if one.provider.name in wrapped}
    if owner not in usable:
        raise LookupError(f'--account "{owner}": must be one of {", ".join(usable) or "none: there is no account"}')
    entry, key = usable[owner], f"gw_try_{secrets.token_urlsafe(24)}"
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-try-")))
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)))
        server = await stack.enter_async_context(running(_alone(settings, entry, folder, key), registry))
        proxies = Proxies(http)
        proxies.gateway = server.url
        bed = Testbed(entry, proxies, http, key)
        bed.server = server
        yield Bench(bed=bed, recorder=recorder, source=config, providers=registry.providers, is_real=True)


def _alone(settings: Settings, entry: AccountEntry, folder: Path, key: str) -> Settings:
    """The settings with a key of our own and no other, a store in ``folder``, and no webhook."""
    tenant = settings.tenants[entry.tenant]
    known = BearerKey(id="try", sha256=hashlib.sha256(key.encode()).hexdigest())
    admin = replace(settings.server.admin, host="127.0.0.1", port=0)
    return replace(
        settings,
        server=replace(settings.server, admin=admin, watch=False),
        store=StoreTarget(url=folder / "gateway.db"),
        further_stores={},
        tenants={**settings.tenants, tenant.id: replace(tenant, webhook=None, store=None)},
        keys_by_sha256={known.sha256: (tenant.id, known)},
        operators_by_sha256={},
    )
