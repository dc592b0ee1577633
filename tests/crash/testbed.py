"""What outlives the gateway's process: both providers, the tenants' webhook endpoint, the settings and the data folder.

The servers run in the test's process on loopback and keep records of their own, which are compared with the gateway's
afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.cli.hosting import bind, hosted, url_of
from gateway.drivers.plugin_registry import load_plugins
from gateway.drivers.settings import AccountEntry, Settings, load_settings
from gateway.provider import SimulatedAccount
from tests.crash.crash_points import CrashPoint, CrashPoints
from tests.crash.webhook_endpoint import WebhookEndpoint
from tests.support.durable_postgresql import stable_port
from tests.support.stack import Reply, basic_settings

PROVIDERS = {"creditkey": "creditkey", "psp": "psp_open_api"}
"""Short name -> provider whose simulator runs."""

TIMEOUTS = {"provider_connect": "1s", "provider_total": "1500ms", "tenant_answer": "500ms", "webhook_total": "1s"}
SQLITE = "sqlite:///data/gateway.db"
CLOCKS = {
    "reconcile": ["50ms", "100ms", "200ms"],
    "quiet_period": "200ms",
    "hint": "10ms",
    # No polling: it would hide a hint that was acknowledged and then forgotten.
    "poll": ["1h"],
    "webhook_retry": ["0s"] + ["30ms"] * 29,
}


@dataclass
class Testbed:
    """Everything around the gateway."""

    folder: Path
    url: str
    store_url: str
    settings: Settings
    provider_urls: Mapping[str, str]
    """URL of each provider, by short name."""
    http: aiohttp.ClientSession
    dice: random.Random
    crash_points: CrashPoints
    endpoint: WebhookEndpoint
    up: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while the gateway should be running."""
    faults_ended: bool = False
    """Whether the faults have ended for good."""

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.folder / "settings.yaml"

    async def call_provider(self, provider: str, method: str, path: str, body: Any = None) -> Reply:
        """Call a provider: one of its pages, or ``/_sim``."""
        return await self.fetch(method, self.provider_urls[provider] + path, body)

    async def fetch(self, method: str, url: str, body: Any = None) -> Reply:
        """Call a server that is never killed."""
        accept = {"Accept": "application/json"}
        async with self.http.request(method, url, json=body, headers=accept, allow_redirects=False) as response:
            return Reply(response.status, response.headers, await response.text())

    async def faults(self, provider: str, faults: Mapping[str, Any]) -> None:
        """Replace the faults of a provider."""
        reply = await self.call_provider(provider, "PUT", "/_sim/faults", dict(faults))
        assert reply.status == 200, reply.text


@contextlib.asynccontextmanager
async def running_testbed(folder: Path, seed: str, store_url: str = SQLITE) -> AsyncIterator[Testbed]:
    """Serve everything but the gateway, and the database if it has a server, for the duration of the block."""
    dice = random.Random(f"{seed}/world")
    sockets = {provider: bind(0) for provider in (*PROVIDERS, "hooks")}
    settings = _write_settings(folder, sockets, store_url)
    registry = load_plugins()
    loaded = load_settings(folder / "settings.yaml", providers=registry.providers, environ={})
    async with contextlib.AsyncExitStack() as exits:
        connector = aiohttp.TCPConnector(limit=0)
        http = await exits.enter_async_context(aiohttp.ClientSession(connector=connector))
        provider_urls = {provider: url_of(bound) for provider, bound in sockets.items()}
        crash_points = CrashPoints()
        endpoint = WebhookEndpoint(random.Random(f"{seed}/endpoint"), crash_points)
        url = settings["server"]["public_url"]
        testbed = Testbed(folder, url, store_url, loaded, provider_urls, http, dice, crash_points, endpoint)
        apps = {provider: registry.simulators[name].app(_known(testbed, name)) for provider, name in PROVIDERS.items()}
        for app in apps.values():
            app.middlewares.append(_marking(crash_points))
        apps["hooks"] = endpoint.app()
        for provider, app in apps.items():
            await exits.enter_async_context(hosted(app, sockets[provider]))
        yield testbed


def _write_settings(folder: Path, sockets: Mapping[str, socket.socket], store_url: str) -> dict[str, Any]:
    settings = basic_settings({provider: bound.getsockname()[1] for provider, bound in sockets.items()})
    port = stable_port()
    settings["store"]["url"] = store_url
    settings["server"] |= {"port": port, "public_url": f"http://127.0.0.1:{port}"}
    settings["timeouts"], settings["clocks"] = TIMEOUTS, CLOCKS
    for tenant in settings["tenants"].values():
        for account in tenant["accounts"].values():
            if account["provider"] == "creditkey":
                account["config"]["absence_proves"] = True
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    return settings


def _known(testbed: Testbed, provider: str) -> dict[str, SimulatedAccount]:
    return {
        f"{entry.tenant}/{entry.name}": SimulatedAccount(
            account=entry.account,
            callback_url=f"{testbed.url}/callbacks/{entry.endpoint_id}",
            credentials=entry.provider.credentials(entry.account),
        )
        for entry in entries(testbed.settings)
        if entry.provider.name == provider
    }


def entries(settings: Settings) -> list[AccountEntry]:
    """Return every account of every tenant."""
    return [entry for tenant in settings.tenants.values() for entry in tenant.accounts.values()]


def _marking(crash_points: CrashPoints) -> Any:
    @web.middleware
    async def reached(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Mark a crash point before the effect and one after it, so that the gateway can be killed at either."""
        is_button = request.path.startswith("/pay/") and not request.path.endswith("/url")
        crash_points.reached(CrashPoint.PROVIDER_RECEIVED)
        try:
            return await handler(request)
        finally:
            crash_points.reached(CrashPoint.CALLBACK_ANSWERED if is_button else CrashPoint.PROVIDER_EXECUTED)

    return reached
