"""``/docs`` and the types of errors, behind a proxy that serves the gateway below a path and takes the path away."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from msgspec.structs import replace

from gateway.drivers.settings import Settings
from gateway.web import pages
from tests.support.servers.reverse_proxy import proxied
from tests.support.stack import GatewayStack, running_stack

ADDRESSES = [
    "https://pay.example",
    "https://pay.example/",
    "https://pay.example/gw",
    "https://pay.example/gw/",
    "https://pay.example:8443/gw",
    "http://127.0.0.1:8088/payments/eu/",
    "https://pay.example/a-b_c.d",
    "https://[2001:db8::1]/gw",
]
"""Public addresses, with and without a path."""


async def get(stack: GatewayStack, url: str) -> str:
    """Read an address that must be there."""
    async with stack.http.get(url) as answer:
        assert answer.status == 200, url
        return await answer.text()


@pytest.mark.parametrize("address", ADDRESSES)
async def test_the_page_works_below_a_path(tmp_path: Path, address: str) -> None:
    """Style, scripts and document are found below the path; servers and the types of errors name it."""
    path = urlsplit(address).path.rstrip("/")
    async with (
        running_stack(tmp_path, change=lambda written: written["server"].update(public_url=address)) as stack,
        proxied(stack, path) as front,
    ):
        page = await get(stack, f"{front}/docs")
        links = re.findall(r'(?:src|href)="(docs/[^"]+)"', page)
        assert len(links) == 4
        for link in links:
            assert urljoin(f"{front}/docs", link).startswith(f"{front}/docs/")
            assert await get(stack, urljoin(f"{front}/docs", link))
        named = re.search(r'url: "([^"]+)"', await get(stack, f"{front}/docs/start.js"))
        assert named
        assert urljoin(f"{front}/docs", named[1]) == f"{front}/openapi.json"
        assert f'"url":"{address.rstrip("/")}"' in await get(stack, f"{front}/openapi.json")
        async with stack.http.get(f"{front}/v1/payments") as answer:
            kind = (await answer.json())["type"]
        assert kind == f"{path}/problems/unauthorized"
        assert f"{path}/problems/unauthorized" in await get(stack, urljoin(front, kind))


async def test_without_a_public_address_the_bound_one_is_named(stack: GatewayStack) -> None:
    """And types of errors are the plain path."""
    document = (await stack.call("GET", "/openapi.json", tenant=None)).json
    assert [server["url"] for server in document["servers"]] == [stack.url]
    problem = (await stack.call("GET", "/v1/payments", tenant=None)).json
    assert problem["type"] == "/problems/unauthorized"


async def test_the_shipped_key_is_shown_where_it_is_good(stack: GatewayStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """In development, with the shipped settings; never where nobody has that key."""

    async def description() -> str:
        document = (await stack.call("GET", "/openapi.json", tenant=None)).json
        return str(document["components"]["securitySchemes"]["tenant"]["description"])

    assert pages._SHIPPED_KEY not in await description()
    monkeypatch.setattr(pages, "_SHIPPED_KEY", "gw_k1_test-key-of-acme")
    assert "gw_k1_test-key-of-acme" in await description()
    monkeypatch.setattr(stack.gateway, "settings", without_development(stack))
    assert "gw_k1_test-key-of-acme" not in await description()


def without_development(stack: GatewayStack) -> Settings:
    """The settings as they would be in production."""
    settings = stack.gateway.settings
    return replace(settings, server=replace(settings.server, development=False))
