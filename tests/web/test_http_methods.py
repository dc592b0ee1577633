"""HEAD, OPTIONS and Allow on every path."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from gateway.web.app import make_admin_app, make_app
from tests.support.scenarios.inbox import inbox_of
from tests.support.stack import GatewayStack, creditkey_body, key_of

NOWHERE = "/nothing/here"
shared = pytest.mark.asyncio(loop_scope="module")


class Place(NamedTuple):
    """A path of one of the listeners, and the methods it takes."""

    is_admin: bool
    path: str
    methods: frozenset[str]


def paths_of(stack: GatewayStack) -> list[Place]:
    """Every path of both listeners except those of callbacks, with names filled in."""
    made = {False: make_app(stack.gateway), True: make_admin_app(stack.gateway)}
    found: dict[tuple[bool, str], set[str]] = {}
    for is_admin, app in made.items():
        for route in app.router.routes():
            path = route.resource.canonical if route.resource is not None else ""
            if not path.startswith("/callbacks"):
                found.setdefault((is_admin, path), set()).add(route.method)
    return [Place(*key, frozenset(methods)) for key, methods in found.items()]


def filled(path: str) -> str:
    """A path with its names filled in."""
    for name, value in (("{code}", "not_found"), ("{asset}", "swagger-ui.css")):
        path = path.replace(name, value)
    return "/".join("pay_x" if part.startswith("{") else part for part in path.split("/"))


def methods_at(place: Place, places: list[Place]) -> frozenset[str]:
    """The methods of a path: also those of ``inbox/{id}`` at ``inbox/replay``."""
    patterns = ((re.sub(r"\{\w+\}", "[^/]+", one.path), one) for one in places if one.is_admin == place.is_admin)
    return frozenset().union(*(one.methods for pattern, one in patterns if re.fullmatch(pattern, filled(place.path))))


@shared
async def test_head_options_and_allow_of_every_path(shared_stack: GatewayStack) -> None:
    """HEAD is GET without its body; OPTIONS is 204 and names the methods, and so does 405."""
    found = paths_of(shared_stack)
    assert len(found) > 20
    for one in found:
        url = (shared_stack.admin_url if one.is_admin else shared_stack.url) + filled(one.path)
        sent = {"Authorization": f"Bearer {key_of('acme')}"}
        async with shared_stack.http.options(url) as options:
            assert (options.status, await options.read()) == (204, b""), url
            assert set(options.headers["Allow"].split(",")) == methods_at(one, found) | {"OPTIONS"}, url
        async with shared_stack.http.request("PROPFIND", url, headers=sent) as wrong:
            assert (wrong.status, wrong.headers["Allow"]) == (405, options.headers["Allow"]), url
        assert ("GET" in one.methods) == ("HEAD" in one.methods), url
        if "GET" in one.methods:
            async with (
                shared_stack.http.get(url, headers=sent, allow_redirects=False) as whole,
                shared_stack.http.head(url, headers=sent) as head,
            ):
                assert (head.status, head.content_type) == (whole.status, whole.content_type), url
                length = str(len(await whole.read()))
                is_told = head.status != 302 and one.path != "/metrics"  # whose numbers move in between
                assert head.headers["Content-Length"] == length if is_told else True, url
                assert await head.read() == b""


@shared
async def test_options_of_nothing(shared_stack: GatewayStack) -> None:
    """What is not there has no methods."""
    for path in (NOWHERE, "/callbacks/unknown"):
        async with shared_stack.http.options(shared_stack.url + path) as reply:
            assert (reply.status, "Allow" in reply.headers) == (404, False)


@shared
async def test_options_of_a_callback_address(shared_stack: GatewayStack) -> None:
    """A provider reads which methods its address takes; nothing is stored of that."""
    gw = shared_stack.gateway
    psp = gw.callback_url(shared_stack.entry("acme", "psp-main"))
    before = await inbox_of(shared_stack)
    async with shared_stack.http.options(psp) as reply:
        assert (reply.status, reply.headers["Allow"]) == (204, "POST,OPTIONS")
    assert await inbox_of(shared_stack) == before


@shared
async def test_head_of_a_customers_way_back(shared_stack: GatewayStack) -> None:
    """A link that is looked at with HEAD leads where GET leads."""
    created = (await shared_stack.create(creditkey_body())).json
    link = await shared_stack.approve(created)
    async with shared_stack.http.head(link, allow_redirects=False) as reply:
        assert (reply.status, reply.headers["Location"].partition("?")[0]) == (303, "https://shop.example/paid")
    async with shared_stack.http.options(link) as reply:
        assert (reply.status, reply.headers["Allow"]) == (204, "GET,OPTIONS")
    async with shared_stack.http.put(link) as reply:
        assert reply.headers["Allow"] == "GET,HEAD,OPTIONS"
