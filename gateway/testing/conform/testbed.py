"""A real gateway, a provider's simulator and the proxies between them, on free ports of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import hashlib
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.core.errors import SettingsError
from gateway.core.money import Money, currency_digits
from gateway.core.strictjson import dumps
from gateway.drivers.plugin_registry import Registry, load_plugins
from gateway.drivers.settings import AccountEntry, Settings, load_settings
from gateway.provider import Provider, SimulatedAccount
from gateway.testing.accounts import MASTER, made_up
from gateway.testing.conform.mutants import Mutant
from gateway.testing.conform.proxy import Proxies
from gateway.testing.recipes import CUSTOMER, order_of
from gateway.testing.samples import SampleAccount, Samples
from gateway.testing.simulator import SIMULATOR, MovableClock
from gateway.web.server import Running, running

KEY = "gw_kit_conformance-key-0123456789"
STEP = timedelta(minutes=2)
ROUNDS = 40
"""How often a payment is looked at before its story ends: eighty minutes of the gateway's clock."""


class StoryFailed(Exception):
    """A story cannot go on; the text says at which step and why."""


class NoSimulator(LookupError):
    """The plugin offers none for its provider."""


class Testbed:
    """The tenant's side of a story."""

    __test__ = False  # no class of tests

    server: Running
    """Once it runs."""

    def __init__(self, entry: AccountEntry, proxies: Proxies, http: aiohttp.ClientSession, key: str = KEY) -> None:
        self.entry, self.proxies, self.http, self.key = entry, proxies, http, key
        self.clock = MovableClock()

    async def create(self) -> Any:
        """Create a payment with everything that a provider may want."""
        return await self.api("POST", "/v1/payments", create_body(self.entry), 201, 202)

    async def api(self, method: str, path: str, body: Any = None, *wanted: int) -> Any:
        """Call the gateway as the tenant. Raises ``StoryFailed`` for another status than the ``wanted`` ones."""
        headers = {"Authorization": f"Bearer {self.key}", "Idempotency-Key": uuid.uuid4().hex}
        async with self.http.request(method, self.proxies.gateway + path, json=body, headers=headers) as answer:
            said = await answer.json(content_type=None)
        if wanted and answer.status not in wanted:
            raise StoryFailed(f"{method} {path} was answered {answer.status}: {said}")
        return said

    async def change(self, payment: Any, path: str, body: Any = None) -> Any:
        """Capture, cancel or refund."""
        return await self.api("POST", f"/v1/payments/{payment['id']}{path}", body or {}, 200, 201, 202)

    async def payment(self, payment: Any) -> Any:
        """The payment as it is now."""
        return await self.api("GET", f"/v1/payments/{payment['id']}", None, 200)

    async def customer(self, payment: Any, does: str) -> Any:
        """Let the customer do something, and follow the browser to the gateway."""
        if (payment["redirect_url"] or "").startswith(self.proxies.public):
            await self._form_posted(payment["redirect_url"])
        for name in _names(payment):
            body = {"payment_id": name or "", "does": does}
            async with self.http.post(f"{self.proxies.simulator}/_sim/customer", json=body) as answer:
                said = await answer.json(content_type=None)
            if answer.status == 200:
                return await self._followed(said.get("redirect"))
        raise StoryFailed(f"POST /_sim/customer was answered {answer.status}: {said}")

    async def resolved(self, payment: Any, *states: str) -> Any:
        """The payment once nothing of it is open and it is in one of ``states``; else as it is after an hour."""
        for _ in range(ROUNDS):
            if "FetchPayment" in self.commands:
                await self.api("POST", f"/v1/payments/{payment['id']}/sync", {})
            now = await self.payment(payment)
            if now["pending_operation"] is None and (not states or now["state"] in states):
                return now
            self.clock.advance(STEP)
            await asyncio.sleep(0.01)  # the gateway's own schedule runs meanwhile
        return now

    @property
    def commands(self) -> set[str]:
        """What the provider can do, by name."""
        return {one.__name__ for one in self.entry.provider.commands}

    async def ledger(self, payment: Any) -> list[Any]:
        """The lines about a payment in the simulator's ledger."""
        async with self.http.get(f"{self.proxies.simulator}/_sim/ledger") as answer:
            lines = await answer.json(content_type=None)
        return [line for line in lines if line["payment_id"] in _names(payment)]

    async def causes(self, payment: Any) -> set[str]:
        """What has moved a payment so far."""
        events = await self.api("GET", f"/v1/payments/{payment['id']}/events", None, 200)
        return {one["cause"] for one in events["data"]}

    async def _followed(self, redirect: Any) -> None:
        method, url, fields = "GET", redirect, None
        if isinstance(redirect, Mapping):
            method, url, fields = "POST", redirect["url"], redirect["fields"]
        if isinstance(url, str) and url.startswith(self.proxies.public):
            async with self.http.request(method, url, data=fields, allow_redirects=False):
                return

    async def _form_posted(self, url: str) -> None:
        """Open a page of the gateway and post its form, as the customer's browser does."""
        async with self.http.get(url) as answer:
            page = FormReader()
            page.feed(await answer.text())
        async with self.http.post(page.action, data=page.fields, allow_redirects=False):
            return


class FormReader(HTMLParser):
    """The form of a page: where it is posted, and its fields."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a form and its inputs."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = given.get("action", "")
        elif tag == "input" and given.get("name"):
            self.fields[given["name"]] = given.get("value", "")


def _names(payment: Any) -> list[str]:
    """The names by which a provider may know a payment."""
    return [payment[name] for name in ("id", "provider_reference", "merchant_reference") if payment[name]]


def create_body(entry: AccountEntry) -> dict[str, Any]:
    """The body of a create."""
    currencies = entry.rules.currencies
    currency = "USD" if currencies is None or "USD" in currencies else min(currencies)
    money = Money.of(Decimal("10"), currency, currency_digits(currency, {}) or 0)
    return {
        "merchant_reference": f"KIT-{uuid.uuid4().hex[:12]}",
        "amount": money.text(),
        "currency": currency,
        "account": entry.name,
        "customer": msgspec.to_builtins(CUSTOMER),
        "order": msgspec.json.decode(dumps(order_of(money))),
        "fields": {field.name: "kit" for field in entry.account.fields.asked()},
        "return_url": "https://shop.example/paid",
        "cancel_url": "https://shop.example/gave-up",
    }


@contextlib.asynccontextmanager
async def testbed(name: str, mutant: Mutant, samples: Samples) -> AsyncIterator[Testbed]:
    """Run it all for the time of the block, with a provider as the mutant has it. Raises ``SettingsError`` and
    ``NoSimulator``."""
    provider = mutant.provider
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-conform-")))
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)))
        proxies = Proxies(http)
        provider_url = await _served(stack, _passing(proxies.to_provider))
        proxies.public = await _served(stack, _passing(proxies.to_gateway))
        registry = watched(load_plugins(allowed={name}), mutant, proxies)
        offered = registry.simulators.get(provider.name)
        if offered is None:
            raise NoSimulator(f"provider {provider.name} has no simulator to run against")
        settings = settings_of(folder, provider, samples, provider_url, proxies.public, registry)
        (entry,) = settings.tenants["kit"].accounts.values()
        bed = Testbed(entry, proxies, http)
        server = await stack.enter_async_context(running(settings, registry, bed.clock))
        bed.server = server
        proxies.gateway = server.url
        url = proxies.public + entry.callback_path
        account = SimulatedAccount(account=entry.account, callback_url=url, credentials=entry.credentials)
        app = offered.app({entry.owner: account})
        if SIMULATOR in app:
            app[SIMULATOR].clock = bed.clock
        proxies.simulator = await _served(stack, app)
        yield bed


async def _served(stack: contextlib.AsyncExitStack, app: web.Application) -> str:
    server = await stack.enter_async_context(TestServer(app))
    return str(server.make_url("")).rstrip("/")


def _passing(handler: Any) -> web.Application:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    return app


def watched(registry: Registry, mutant: Mutant, proxies: Proxies) -> Registry:
    """The same plugins, with the provider as the mutant has it; the proxies hear what is built for which command."""
    provider = copy.copy(mutant.provider)
    kind = type(provider)

    def build(_: Any, command: Any, account: Any) -> Any:
        request = mutant.build(command, account)
        proxies.built(command, request)
        return request

    members = {"parse": _member(mutant.parse), "verify": _member(mutant.verify), "build": build}
    provider.__class__ = type(kind.__name__, (kind,), members)
    changed = copy.copy(registry)
    changed.providers = {**registry.providers, provider.name: provider}
    return changed


def _member(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _, *given: function(*given)


def settings_of(
    folder: Path, provider: Provider, samples: Samples, provider_url: str, public_url: str, registry: Registry
) -> Settings:
    """Settings with one account, whose addresses lead to the simulator. Raises ``SettingsError``."""
    problem = SettingsError(["no account"])
    for account in _accounts(provider, samples, provider_url):
        written = {
            "server": {
                "port": 0,
                "admin": {"port": 0},
                "secret": MASTER,
                "development": True,
                "public_url": public_url,
                "callback_rate": {"per_second": 10000, "burst": 10000},
            },
            "clocks": {"hint": "1ms"},
            "store": {"url": "sqlite:///gateway.db"},
            "tenants": {"kit": _tenant(provider, account)},
        }
        path = folder / "settings.yaml"
        path.write_bytes(dumps(written))
        try:
            return load_settings(path, providers=registry.providers, environ={})
        except SettingsError as found:
            problem = found
    raise problem


def _tenant(provider: Provider, account: SampleAccount) -> dict[str, Any]:
    fields = {"fields": account.fields} if account.fields else {}
    return {
        "name": "Kit",
        "keys": [{"id": "kit", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}],
        "return_origins": ["https://shop.example"],
        "rate_limit": {"per_second": 10000, "burst": 10000},
        "accounts": {account.name: {"provider": provider.name, "config": account.config, **fields}},
        "deposit_methods": {"kit": {"label": {"en": "Kit"}, "account": account.name}},
    }


def _accounts(provider: Provider, samples: Samples, url: str) -> Iterator[SampleAccount]:
    """The account to try with: the first sample's, or one that is made up; its addresses lead to ``url``. Where it has
    no address, one is added, and, as the two may exclude each other, in place of each other member in turn."""
    mine = [one for one in samples.accounts if one.provider in (None, provider.name)]
    first = mine[0] if mine else made_up(provider)
    names = [field.encode_name for field in msgspec.structs.fields(provider.account_type)]
    given = [name for name in first.config if name.endswith("url")]
    addresses = dict.fromkeys(given or [name for name in names if name.endswith("url")], url)
    for left_out in ("", *first.config):
        config = {name: value for name, value in first.config.items() if name != left_out}
        yield msgspec.structs.replace(first, tenant="kit", config={**config, **addresses})
