"""The environment of the demo: a real gateway, both simulators and a tenant's server, in a temporary folder.

They talk to each other over HTTP, and what the demo shows was read from the wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import tempfile
import uuid
from collections.abc import AsyncIterator, Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import aiohttp
from aiohttp import web
from rich.console import Console
from rich.text import Text

from gateway.cli.hosting import bind, hosted, simulating, url_of
from gateway.cli.loading import load
from gateway.cli.new_credentials import new_key, new_webhook_secret
from gateway.cli.webhook_verifier import NotVerified, verified
from gateway.web.server import running

PROVIDERS = ("psp_open_api", "creditkey")

WEBHOOK_WAIT = 10.0
"""Seconds to wait for a webhook."""


class StepFailed(Exception):
    """A check failed. The message says what was expected."""


class Answer(NamedTuple):
    """A whole HTTP answer."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.text)


class Tenant:
    """The tenant's side: a key for the gateway's API, and a server that takes webhooks."""

    def __init__(self) -> None:
        self.key = new_key("demo")
        self.webhook_secret = new_webhook_secret()
        self._received: dict[tuple[str, int], dict[str, Any]] = {}
        self._arrived = asyncio.Condition()

    def app(self) -> web.Application:
        """The tenant's server."""
        app = web.Application()
        app.router.add_post("/hooks", self._receive)
        return app

    async def webhook(self, payment_id: str, version: int) -> dict[str, Any]:
        """Wait for the verified webhook of a payment's version. Raises ``StepFailed``."""
        try:
            async with self._arrived, asyncio.timeout(WEBHOOK_WAIT):
                await self._arrived.wait_for(lambda: (payment_id, version) in self._received)
        except TimeoutError:
            raise StepFailed(f"expected: a verified webhook of version {version} of {payment_id}") from None
        return self._received[payment_id, version]

    async def _receive(self, request: web.Request) -> web.Response:
        """Believe a webhook only if the reference library verifies it."""
        try:
            body = verified([self.webhook_secret], request.headers, await request.read())
        except NotVerified as problem:
            return web.Response(status=400, text=str(problem))
        async with self._arrived:
            payment = body["data"]["payment"]
            self._received[payment["id"], payment["version"]] = body
            self._arrived.notify_all()
        return web.Response(status=204)


class Environment:
    """What a step works with. ``payments`` are the last answers by a name that the scenarios choose."""

    def __init__(
        self, console: Console, http: aiohttp.ClientSession, *, tenant: Tenant, urls: Mapping[str, str]
    ) -> None:
        self.console = console
        self.tenant = tenant
        self.urls = urls
        self.payments: dict[str, Any] = {}
        self._http = http

    async def call(self, method: str, path: str, body: object = None, *, key: str | None = None) -> Answer:
        """Call the gateway as the tenant does. ``key``: the idempotency key, where it matters."""
        headers = {"Authorization": f"Bearer {self.tenant.key['key']}"}
        if method != "GET":
            headers["Idempotency-Key"] = key or f"demo-{uuid.uuid4()}"
        return await self.send(method, self.urls["gateway"] + path, body, headers)

    async def simulator(self, provider: str, method: str, path: str) -> Any:
        """Call a provider's simulator and return its JSON answer."""
        return (await self.send(method, self.urls[provider] + path)).json

    async def send(
        self, method: str, url: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request as a browser or program would, without following redirects."""
        asked = {"Accept": "application/json", **(headers or {})}
        async with self._http.request(method, url, json=body, headers=asked, allow_redirects=False) as answer:
            return Answer(answer.status, answer.headers, await answer.text())

    def check(self, what: str, holds: bool, seen: object = "") -> None:
        """Go on only if it holds. Raises ``StepFailed``."""
        if not holds:
            raise StepFailed(f"expected: {what}" + (f", seen: {seen}" if seen != "" else ""))
        self.console.print(Text.assemble("  ", ("✓ ", "green"), what))

    def show(self, what: str, text: str) -> None:
        """Print something as it was on the wire: every byte, no markup, no wrapping."""
        self.console.print(Text(f"  {what}", style="dim"))
        for line in text.splitlines():
            self.console.print(Text(f"    {line}"), soft_wrap=True)


@contextlib.asynccontextmanager
async def open_environment(console: Console) -> AsyncIterator[Environment]:
    """Run all servers for the time of the block, on free ports of this machine."""
    tenant = Tenant()
    sockets = {name: bind(0) for name in (*PROVIDERS, "tenant")}
    async with contextlib.AsyncExitStack() as stack:
        for bound in sockets.values():
            stack.callback(bound.close)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-demo-"))
        urls = {name: url_of(bound) for name, bound in sockets.items()}
        loaded = load(_write_settings(Path(folder), tenant, urls))
        await stack.enter_async_context(hosted(tenant.app(), sockets["tenant"]))
        server = await stack.enter_async_context(running(loaded.settings, loaded.registry))
        simulators = {name: sockets[name] for name in PROVIDERS}
        await stack.enter_async_context(simulating(loaded, simulators, server.gateway.callback_url))
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)))
        yield Environment(console, http, tenant=tenant, urls={**urls, "gateway": server.url})


def _write_settings(folder: Path, tenant: Tenant, urls: Mapping[str, str]) -> Path:
    """Fill in the demo's settings with new secrets."""
    text = files("gateway.cli.demo").joinpath("settings.yaml").read_text()
    filled = Template(text).substitute(
        urls,
        server_secret=secrets.token_urlsafe(32),
        shared_secret=secrets.token_urlsafe(32),
        key_id=tenant.key["id"],
        key_sha256=tenant.key["sha256"],
        webhook_secret=tenant.webhook_secret,
    )
    path = folder / "settings.yaml"
    path.write_text(filled)
    return path
