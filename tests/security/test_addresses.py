"""The gateway connects to no private address, however it is spelled, named or rebound, for providers and webhooks.

Connects are counted by the interpreter's own audit, so it does not matter which client makes them.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml

from gateway.core.errors import NotSent, ProviderError, SettingsError
from gateway.core.wire import HttpRequest
from gateway.drivers.plugin_registry import load_plugins
from gateway.drivers.settings import Settings, load_settings
from gateway.drivers.store.deliveries import DeliveryRow
from gateway.web.server import Running, running
from tests.security.address_spellings import BY_NAME, BY_TEXT, FORBIDDEN, PUBLIC, SCHEMES
from tests.security.connect_audit import answering, watched
from tests.support.servers.scripted_tcp import saying, scripted_server
from tests.support.stack import basic_settings, psp_body, running_stack

shared = pytest.mark.asyncio(loop_scope="module")

TENANT_KEY = f"gw_k1_{secrets.token_urlsafe(32)}"
SECRETS = {name: secrets.token_urlsafe(40) for name in ("MASTER", "CK_PUBLIC", "CK_SECRET")} | {
    "WEBHOOK": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwNmYzQ3JtMTI="
}
REGISTRY = load_plugins()
TEXTS = [f"https://{host}/" for hosts in BY_TEXT.values() for host in hosts] + list(SCHEMES)
NAMES = [host for hosts in BY_NAME.values() for host in hosts]


def production(folder: Path, url: str = "https://public.example/") -> Settings:
    """Settings as for production in which every address we send to is ``url``. Raises ``SettingsError``."""
    settings = basic_settings({"psp": 1, "creditkey": 1, "hooks": 1})
    settings["server"] |= {"development": False, "secret": "env:MASTER", "public_url": "https://pay.example"}
    settings["clocks"] = {"webhook_retry": ["0s"]}
    acme = settings["tenants"]["acme"]
    settings["tenants"] = {"acme": acme}
    acme["keys"] = [{"id": "k1", "sha256": hashlib.sha256(TENANT_KEY.encode()).hexdigest()}]
    acme["webhook"] = {"url": url, "secrets": ["env:WEBHOOK"]}
    config = {"public_key": "env:CK_PUBLIC", "shared_secret": "env:CK_SECRET", "base_url": url}
    acme["accounts"]["creditkey-main"]["config"] = config
    acme["accounts"]["psp-main"]["config"] = {"app_url": url}
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(settings))
    return load_settings(path, providers=REGISTRY.providers, environ=SECRETS)


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Running]:
    """A gateway as for production, in this process."""
    async with running(production(folder), REGISTRY) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """One gateway for all addresses."""
    async with serving(tmp_path_factory.mktemp("production")) as opened:
        yield opened


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[str], list[str]]], None]]:
    """Let a function answer for all names."""
    return lambda choose: monkeypatch.setattr(socket, "getaddrinfo", answering(choose))


async def refused(server: Running, url: str, *, owner: str = "acme/psp-main") -> list[Exception]:
    """Send one call to a provider and one webhook; what each ended with."""
    found: list[Exception] = []
    for send in (server.gateway.send, server.gateway.deliver):
        with pytest.raises(ProviderError) as caught:
            await send(HttpRequest(method="POST", url=url, body=b"{}"), total=2, connect=2, owner=owner)
        found.append(caught.value)
    return found


def test_the_table_is_long_enough() -> None:
    """At least 120 spellings, none twice."""
    assert len({*TEXTS, *NAMES}) == len(TEXTS) + len(NAMES) >= 120


@pytest.mark.parametrize("url", TEXTS, ids=ascii)
def test_what_the_text_alone_tells_is_refused_at_load(tmp_path: Path, url: str) -> None:
    """For webhooks and for every provider, with the key named."""
    with pytest.raises(SettingsError) as caught:
        production(tmp_path, url)
    for key in ("webhook.url", "base_url", "app_url"):
        assert key in str(caught.value)


@pytest.mark.parametrize("url", ["https://public.example/", "https://8.8.8.8/", "https://[2606:4700::1111]:8443/x"])
def test_an_honest_address_is_taken(tmp_path: Path, url: str) -> None:
    """The table refuses nothing that is public; a name and both kinds of numbers may be used."""
    assert production(tmp_path, url)


@shared
@pytest.mark.parametrize("url", TEXTS, ids=ascii)
async def test_no_spelling_is_connected_to(server: Running, url: str, names: Any) -> None:
    """Should such an address reach the sender all the same, nothing leaves and the call is certainly not sent."""
    names(lambda _: ["127.0.0.1"])
    with watched() as connects:
        ended = await refused(server, url)
    assert connects == []
    assert [type(one) for one in ended] == [NotSent, NotSent]


@shared
@pytest.mark.parametrize("host", NAMES)
@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254"])
async def test_a_name_is_judged_by_what_it_resolves_to(server: Running, host: str, address: str, names: Any) -> None:
    """A name is allowed in the settings; the addresses it resolves to are checked at the connect."""
    names(lambda _: [address])
    with watched() as connects:
        ended = await refused(server, f"https://{host}/")
    assert connects == []
    assert [type(one) for one in ended] == [NotSent, NotSent]


@shared
@pytest.mark.parametrize("bad", FORBIDDEN)
async def test_a_name_that_is_rebound_is_judged_anew(server: Running, bad: str, names: Any) -> None:
    """Public at the first look-up, private at every later one: only the public address is ever tried."""
    looked_up: list[str] = []

    def choose(host: str) -> list[str]:
        looked_up.append(host)
        return [PUBLIC[0]] if len(looked_up) == 1 else [bad]

    names(choose)
    host = f"rebound-{FORBIDDEN.index(bad)}.example"
    with watched() as connects:
        for port in (443, 8443, 9443):  # each looks the name up again, should a look-up be remembered
            await refused(server, f"https://{host}:{port}/")
    assert len(looked_up) > 1
    assert set(connects) == {PUBLIC[0]}


@shared
@pytest.mark.parametrize("bad", FORBIDDEN)
@pytest.mark.parametrize("place", ["first", "last", "between"])
async def test_of_mixed_answers_only_public_ones_are_tried(server: Running, bad: str, place: str, names: Any) -> None:
    """A private address among public ones is skipped, in any position."""
    answers = {"first": [bad, *PUBLIC], "last": [*PUBLIC, bad], "between": [PUBLIC[0], bad, PUBLIC[1]]}[place]
    names(lambda _: answers)
    with watched() as connects:
        await refused(server, f"https://mixed-{place}-{FORBIDDEN.index(bad)}.example/")
    assert set(connects) <= set(PUBLIC)


async def test_a_payment_and_its_webhook_reach_no_private_address(tmp_path: Path, names: Any) -> None:
    """Through the whole gateway: all names resolve to this machine, and nothing is called."""
    names(lambda _: ["127.0.0.1"])
    async with serving(tmp_path) as server, aiohttp.ClientSession() as http:
        port = int(server.url.rpartition(":")[2])
        with watched(port) as connects:
            headers = {"Authorization": f"Bearer {TENANT_KEY}", "Idempotency-Key": "key-of-one-payment"}
            body = psp_body(account="psp-main")
            async with http.post(f"{server.url}/v1/payments", json=body, headers=headers) as answer:
                payment = await answer.json()
            assert (answer.status, payment["state"], payment["operation"]["status"]) == (201, "failed", "not_sent")
            tried = await _tried(server, payment["id"])
        assert connects == []
        assert {one.status for one in tried} == {"dead"}


@pytest.mark.parametrize(
    ("status", "answered"), [(201, 201), *((redirect, 202) for redirect in (301, 302, 303, 307, 308))]
)
async def test_nothing_that_a_provider_points_to_is_fetched(tmp_path: Path, status: int, answered: int) -> None:
    """Neither a redirect nor the address of a payment page makes the gateway call anybody."""
    async with scripted_server(saying(b"HTTP/1.1 204 No Content\r\n\r\n")) as trap:
        body = f'{{"result":true,"msg":"","data":{{"url":"{trap.url}/page"}}}}'.encode()
        lines = (
            f"HTTP/1.1 {status} Found",
            f"Location: {trap.url}/x",
            f"Refresh: 0;url={trap.url}/y",
            f"Link: <{trap.url}/z>; rel=preload",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        )
        async with scripted_server(saying("\r\n".join(lines).encode() + b"\r\n\r\n" + body)) as provider:

            def point(settings: dict[str, Any]) -> None:
                for tenant in settings["tenants"].values():
                    tenant["accounts"]["psp-main"]["config"]["app_url"] = provider.url

            async with running_stack(tmp_path, change=point) as stack:
                created = await stack.create(psp_body())
                await stack.gateway.tasks.drain(10)
        assert (created.status, provider.connections, trap.connections) == (answered, 1, 0)


async def _tried(server: Running, payment_id: str) -> list[DeliveryRow]:
    """The webhooks of a payment once none is on its way any more."""
    async with asyncio.timeout(10):
        while True:
            found = await server.gateway.store.deliveries.of_payment("acme", payment_id)
            if all(one.status != "pending" for one in found):
                return found
            await asyncio.sleep(0.01)
