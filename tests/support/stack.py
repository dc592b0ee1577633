"""The whole stack for tests: a real gateway, both simulators and a tenant's webhook endpoint, on loopback.

Ports are free ones, the store is a SQLite file or a PostgreSQL database, the clock may be a virtual one.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import standardwebhooks
import yaml
from aiohttp import web

from gateway.drivers.clock import Clock
from gateway.drivers.plugin_registry import Registry, load_plugins
from gateway.drivers.settings import AccountEntry, Settings, load_settings
from gateway.flows.runtime import Current, Gateway
from gateway.provider import SimulatedAccount
from gateway.web.server import STOP_WITHIN, running
from tests.support.postgresql import fresh_database
from tests.support.virtual_clock import VirtualClock

ENGINE = "GATEWAY_TEST_ENGINE"
"""The environment variable that lets stacks keep their store on another engine than SQLite: ``postgresql``."""

of_sqlite = pytest.mark.skipif(ENGINE in os.environ, reason="of what a shared store has not")
"""Marks a test of what SQLite has and a shared store has not: a disk, a lock, a process that is alone, sizes of rows,
reads that need no connection and so no time."""

STANDING_STILL = 3.0
"""Seconds in which a gateway stops whose time stands still: what sleeps then sleeps to the end."""

WEBHOOK_SECRET = "whsec_YWNtZS1kZXZlbG9wbWVudC13ZWJob29rLWtleS0wMDE="


def key_of(tenant: str) -> str:
    """The bearer key of a test tenant."""
    return f"gw_k1_test-key-of-{tenant}"


def basic_settings(ports: Mapping[str, int]) -> dict[str, Any]:
    """Two tenants: acme with Credit Key and a PSP account, globex with a PSP account of other keys."""
    psp, creditkey, hooks = (f"http://127.0.0.1:{ports[name]}" for name in ("psp", "creditkey", "hooks"))

    def tenant(name: str, accounts: dict[str, Any], methods: dict[str, Any]) -> dict[str, Any]:
        return {
            "name": name.title(),
            "keys": [{"id": "k1", "sha256": hashlib.sha256(key_of(name).encode()).hexdigest()}],
            "return_origins": ["https://shop.example"],
            "rate_limit": {"per_second": 10000, "burst": 10000},
            "webhook": {"url": f"{hooks}/{name}", "secrets": [WEBHOOK_SECRET]},
            "accounts": accounts,
            "deposit_methods": methods,
        }

    return {
        "server": {
            "host": "127.0.0.1",
            "port": 0,
            "secret": "test-master-secret-of-forty-characters-00",
            "admin": {"host": "127.0.0.1", "port": 0},
            "callback_rate": {"per_second": 10000, "burst": 10000},
            "development": True,
        },
        "store": {"url": "sqlite:///data/gateway.db"},
        "clocks": {"hint": "1ms"},
        "tenants": {
            "acme": tenant(
                "acme",
                {
                    "creditkey-main": {
                        "provider": "creditkey",
                        "config": {"base_url": creditkey, "public_key": "pk_test", "shared_secret": "ss_test"},
                    },
                    "psp-main": {
                        "provider": "psp_open_api",
                        "config": {"app_url": psp},
                        "fields": {
                            "amount": {"key": "sum"},
                            "nationality": {"enabled": False},
                            "channel": {"value": "web"},
                            "custom_1": {"label": {"en": "VIP code"}, "max_length": 40, "pattern": "[A-Z]+"},
                        },
                    },
                },
                {"bank": {"label": {"en": "Bank", "de": "Bank (de)"}, "account": "psp-main"}},
            ),
            "globex": tenant(
                "globex",
                {
                    "psp-main": {
                        "provider": "psp_open_api",
                        "config": {"app_url": psp},
                        "fields": {"amount": {"key": "total"}, "order_no": {"key": "invoice"}},
                    }
                },
                {"card": {"account": "psp-main"}},
            ),
        },
    }


@dataclass
class Reply:
    """A whole HTTP answer."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class GatewayStack:
    """What a test works with."""

    folder: Path
    settings: Settings
    registry: Registry
    ports: Mapping[str, int]
    http: aiohttp.ClientSession
    delivered_webhooks: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)
    webhook_answer: Callable[[web.Request], int | web.Response | Awaitable[int]] = lambda _: 204
    webhook_arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    webhook_attempts: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list)
    """Every try that arrived: (tenant, headers, body), delivered or not."""
    current: Current = None  # type: ignore[assignment]  # set when the server runs
    url: str = ""
    admin_url: str = ""
    simulated: dict[str, dict[str, SimulatedAccount]] = field(default_factory=dict)
    """The accounts that each simulator knows, by the simulator's name."""
    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by a test that wants a reload, as SIGHUP does."""

    @property
    def gateway(self) -> Gateway:
        """The gateway of the current settings."""
        return self.current.gateway

    @property
    def store_file(self) -> Path:
        """Where SQLite keeps the store. Skips the test where the store is kept elsewhere: it is of SQLite's own."""
        path = self.settings.store.path
        if path is None:
            pytest.skip("SQLite's own: it looks into the store's file")
        return path

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        tenant: str | None = "acme",
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> Reply:
        """Call the gateway as a tenant. ``key`` is the idempotency key."""
        sent = dict(headers or {})
        if tenant is not None:
            sent["Authorization"] = f"Bearer {key_of(tenant)}"
        if key is not None:
            sent["Idempotency-Key"] = key
        if body is not None:
            data = json.dumps(body).encode()
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        async with self.http.request(
            method, self.url + path, data=data, headers=sent, allow_redirects=False
        ) as response:
            return Reply(response.status, response.headers, await response.text())

    async def stay_alive(self) -> None:
        """Renew the node after a leap of the clock: its heartbeat slept through it."""
        if self.gateway.store.is_shared:
            await self.gateway.node.renew(self.settings.digest, self.url)

    async def create(self, body: Mapping[str, Any], *, tenant: str = "acme", key: str | None = None) -> Reply:
        return await self.call("POST", "/v1/payments", body, tenant=tenant, key=key or new_key())

    async def payment(self, payment_id: str, *, tenant: str = "acme") -> Any:
        return (await self.call("GET", f"/v1/payments/{payment_id}", tenant=tenant)).json

    async def events(self, payment_id: str, *, tenant: str = "acme") -> list[Any]:
        return (await self.call("GET", f"/v1/payments/{payment_id}/events", tenant=tenant)).json["data"]

    async def events_of_type(self, payment_id: str, kind: str) -> list[Any]:
        """The part of a payment's timeline that is of one type."""
        return [event for event in await self.events(payment_id) if event["type"] == kind]

    def entry(self, tenant: str, account: str) -> AccountEntry:
        """One account of the settings."""
        return self.settings.tenants[tenant].accounts[account]

    async def call_provider(self, side: str, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Call a simulator: ``side`` is ``psp`` or ``creditkey``."""
        url = f"http://127.0.0.1:{self.ports[side]}{path}"
        async with self.http.request(
            method, url, json=body, headers={"Accept": "application/json", **headers}, allow_redirects=False
        ) as response:
            return Reply(response.status, response.headers, await response.text())

    async def click(self, payment: Any, button: str) -> Reply:
        """Press a button of the PSP's payment page: ``pay``, ``fail`` or ``pending``."""
        path = payment["redirect_url"].partition(f":{self.ports['psp']}")[2]
        return await self.call_provider("psp", "POST", f"{path}/{button}")

    async def approve(self, payment: Any) -> str:
        """Approve at Credit Key's page; return the address the browser is sent back to."""
        reply = await self.call_provider("creditkey", "POST", f"/checkout/{payment['provider_reference']}/approve")
        return reply.json["redirect"]

    async def visit(self, url: str) -> Reply:
        """Open an address as a browser would, without following it further."""
        async with self.http.get(url, allow_redirects=False) as response:
            return Reply(response.status, response.headers, await response.text())

    async def faults(self, side: str, **faults: Any) -> None:
        assert (await self.call_provider(side, "PUT", "/_sim/faults", faults)).status == 200

    async def provider_orders(self, side: str) -> list[Any]:
        return (await self.call_provider(side, "GET", "/_sim/orders")).json

    async def provider_requests(self, side: str) -> list[Any]:
        return (await self.call_provider(side, "GET", "/_sim/requests")).json

    def webhooks(self, payment_id: str) -> list[Any]:
        """The verified webhooks of a payment, in order of arrival."""
        verifier = standardwebhooks.Webhook(WEBHOOK_SECRET)
        bodies = [verifier.verify(body, dict(headers)) for headers, body in self.delivered_webhooks]
        return [body for body in bodies if body["data"]["payment"]["id"] == payment_id]

    async def webhook(self, payment_id: str, kind: str) -> Any:
        """Wait until a webhook of this type has arrived."""

        def found() -> Any:
            return next((body for body in self.webhooks(payment_id) if body["type"] == kind), None)

        async with self.webhook_arrived, asyncio.timeout(10):
            await self.webhook_arrived.wait_for(lambda: found() is not None)
        return found()


def new_key() -> str:
    return f"key-{uuid.uuid4().hex}"


def psp_body(**changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "merchant_reference": f"D-{uuid.uuid4().hex[:12]}",
        "amount": "162.48",
        "currency": "USD",
        "account": "psp-main",
        "customer": {"id": "C-88", "name": "Dana Reyes", "email": "dana@reyes.example", "nationality": "us"},
    }
    return {**body, **changes}


def creditkey_body(**changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "merchant_reference": f"SO-{uuid.uuid4().hex[:12]}",
        "amount": "1067.33",
        "currency": "USD",
        "account": "creditkey-main",
        "customer": {"id": "C-88"},
        "order": {
            "items": [{"merchant_id": "PJ-1", "name": "Pallet jack", "price": "410.00", "sku": "PJ-1", "quantity": 2}],
            "charges": {
                "total": "942.50",
                "shipping": "60.00",
                "tax": "84.83",
                "discount_amount": "20.00",
                "grand_total": "1067.33",
            },
            "billing_address": {
                "first_name": "Dana",
                "last_name": "Reyes",
                "company_name": "Reyes Supply",
                "email": "dana@reyes.example",
                "address1": "12 Dock Rd",
                "address2": "",
                "city": "Tacoma",
                "state": "WA",
                "zip": "98421",
                "phone_number": "253-555-0142",
            },
        },
        "checkout": {"mode": "link", "contact_method": "email"},
        "return_url": "https://shop.example/paid",
        "cancel_url": "https://shop.example/gave-up",
    }
    return {**body, **changes}


def order_of(total: str, **charges: str) -> dict[str, Any]:
    """An order whose charges come to ``total``."""
    order = dict(creditkey_body()["order"])
    order["charges"] = {"total": total, "grand_total": total, **charges}
    return order


@contextlib.asynccontextmanager
async def running_stack(
    folder: Path,
    *,
    change: Callable[[dict[str, Any]], None] = lambda _: None,
    clock: Clock | None = None,
    extra_plugins: tuple[object, ...] = (),
    engine: str | None = None,
) -> AsyncIterator[GatewayStack]:
    """Run everything for the time of the block. ``change`` edits the settings before they are written.

    ``engine``: what the store is kept on, ``sqlite`` or ``postgresql``; None for what ``ENGINE`` says. A test whose
    clock is not the server's is skipped there: what is claimed is held by the time of both.
    """
    if engine is None and clock is not None and ENGINE in os.environ:
        pytest.skip("its clock is moved by the test, which the database does not see")
    if (engine or os.environ.get(ENGINE)) == "postgresql":
        change = _with_store(_database_of(folder), change)
    async with _running_stack(folder, change, clock, extra_plugins) as stack:
        yield stack


_databases: dict[Path, tuple[str, contextlib.ExitStack]] = {}


def _database_of(folder: Path) -> str:
    """The database that takes the place of the file in a stack's folder, and stays as long as that would."""
    if folder not in _databases:
        opened = contextlib.ExitStack()
        _databases[folder] = opened.enter_context(fresh_database()), opened
    return _databases[folder][0]


def drop_databases(folder: Path) -> None:
    """Drop those of a folder that is deleted."""
    for one in [one for one in _databases if one.is_relative_to(folder)]:
        _databases.pop(one)[1].close()


def _with_store(url: str, change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    def changed(written: dict[str, Any]) -> None:
        written["store"]["url"] = url
        change(written)

    return changed


@contextlib.asynccontextmanager
async def _running_stack(
    folder: Path,
    change: Callable[[dict[str, Any]], None],
    clock: Clock | None,
    extra_plugins: tuple[object, ...],
) -> AsyncIterator[GatewayStack]:
    sockets = {name: _bound_socket() for name in ("psp", "creditkey", "hooks")}
    ports = {name: bound.getsockname()[1] for name, bound in sockets.items()}
    written = basic_settings(ports)
    change(written)
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240  # before anything runs
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(written, sort_keys=False))
    registry = load_plugins(extra=extra_plugins)
    settings = load_settings(path, providers=registry.providers, environ={})
    async with contextlib.AsyncExitStack() as exits:
        http = await exits.enter_async_context(aiohttp.ClientSession())
        stack = GatewayStack(folder, settings, registry, ports, http)
        await _serve(_webhook_endpoint(stack), sockets["hooks"], exits)
        await exits.enter_async_context(run_gateway(stack, clock=clock))
        for side, provider in (("psp", "psp_open_api"), ("creditkey", "creditkey")):
            stack.simulated[side] = simulated(stack, provider)
            app = registry.simulators[provider].app(stack.simulated[side])
            await _serve(app, sockets[side], exits)
        yield stack


@contextlib.asynccontextmanager
async def run_gateway(stack: GatewayStack, *, clock: Clock | None = None) -> AsyncIterator[GatewayStack]:
    """Run the gateway of a stack; a test may end it and run it again on the same store."""
    within = STOP_WITHIN if not isinstance(clock, VirtualClock) else STANDING_STILL
    async with running(stack.settings, stack.registry, clock, stop_within=within, reload_wanted=stack.wanted) as server:
        stack.current, stack.url, stack.admin_url = server.current, server.url, server.admin_url
        yield stack


def simulated(stack: GatewayStack, provider: str) -> dict[str, SimulatedAccount]:
    """The accounts of one provider as its simulator knows them."""
    return {
        f"{entry.tenant}/{entry.name}": SimulatedAccount(
            account=entry.account,
            callback_url=stack.gateway.callback_url(entry),
            credentials=entry.provider.credentials(entry.account),
        )
        for tenant in stack.settings.tenants.values()
        for entry in tenant.accounts.values()
        if entry.provider.name == provider
    }


def _bound_socket() -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", 0))
    return bound


async def _serve(app: web.Application, bound: socket.socket, exits: contextlib.AsyncExitStack) -> None:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    exits.push_async_callback(runner.cleanup)
    await web.SockSite(runner, bound).start()


def _webhook_endpoint(stack: GatewayStack) -> web.Application:
    async def receive(request: web.Request) -> web.Response:
        body = await request.read()
        chosen = stack.webhook_answer(request)
        chosen = await chosen if isinstance(chosen, Awaitable) else chosen
        answer = web.Response(status=chosen) if isinstance(chosen, int) else chosen
        async with stack.webhook_arrived:
            stack.webhook_attempts.append((request.match_info["tenant"], dict(request.headers), body))
            if answer.status < 300:
                stack.delivered_webhooks.append((dict(request.headers), body))
            stack.webhook_arrived.notify_all()
        return answer

    app = web.Application()
    app.router.add_post("/{tenant}", receive)
    return app
