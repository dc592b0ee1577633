"""What is looked up is what aiohttp's router finds: the same handler with the same parameters."""

from __future__ import annotations

from collections.abc import Iterator
from unittest import mock

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from yarl import URL

from gateway.web import direct_routes
from gateway.web.app import make_app
from gateway.web.direct_routes import DirectRoutes
from tests.support.clients.raw_http import client, get
from tests.support.stack import GatewayStack

shared = pytest.mark.asyncio(loop_scope="module")

DIRECT = (
    ("POST", "/v1/payments"),
    ("GET", "/v1/payments?state=captured"),
    ("HEAD", "/v1/payments"),
    ("GET", "/"),
    ("POST", "/callbacks/ep_1/pay/callback"),
    ("OPTIONS", "/callbacks/ep_1/return/token"),
    ("GET", "/callbacks/ep_1/?a=%20"),
    ("GET", "/callbacks/ep_1//"),
)
INDIRECT = (
    ("PUT", "/v1/payments"),
    ("POST", "/v1/payments/"),
    ("POST", "//v1/payments"),
    ("POST", "/v1%2Fpayments"),
    ("POST", "/v1/p%61yments"),
    ("GET", "/v1/payments/{id}"),
    ("GET", "/v1/payments/pay_1"),
    ("POST", "/callbacks/ep_1"),
    ("POST", "/callbacks/"),
    ("POST", "/callbacks//x"),
    ("POST", "/callbacks/a{b}/x"),
    ("POST", "/callbacks/ep_1/a%2Fb"),
    ("POST", "/callbacks/ep%5F1/x"),
    ("POST", "/Callbacks/ep_1/x"),
)


def test_the_match_of_a_callback_is_made_once(stack: GatewayStack) -> None:
    """A provider calls the same address again and again; another address has its own."""
    routes = DirectRoutes(make_app(stack.gateway))
    once, again, other = (routes._found("POST", f"/callbacks/ep_{name}/x") for name in "aab")
    assert once is again
    assert (dict(once or {}), dict(other or {})) == (
        {"endpoint_id": "ep_a", "suffix": "x"},
        {"endpoint_id": "ep_b", "suffix": "x"},
    )


@pytest.fixture
def found() -> Iterator[list[web.Request]]:
    """The requests whose handler was looked up: they reach the middleware from here."""
    requests: list[web.Request] = []

    async def answer(request: web.Request, _: object) -> web.StreamResponse:
        requests.append(request)
        return web.Response()

    with mock.patch.object(direct_routes, "answer_errors", answer):
        yield requests


def request_of(method: str, target: str, **headers: str) -> web.Request:
    """A request as the parser makes it: its path as it was sent."""
    made = make_mocked_request(method, "/", headers)
    path, _, query = target.partition("?")
    made._rel_url = URL.build(path=path, query_string=query, encoded=True)
    return made


@pytest.mark.parametrize(("method", "target"), DIRECT)
@shared
async def test_a_busy_path_is_looked_up(
    shared_stack: GatewayStack, found: list[web.Request], method: str, target: str
) -> None:
    """Handler, parameters and application are those of aiohttp's router."""
    app = make_app(shared_stack.gateway)
    request = request_of(method, target)
    await DirectRoutes(app)(request)
    routed = await app.router.resolve(request)
    assert found == [request]
    assert (request.match_info.route, dict(request.match_info)) == (routed.route, dict(routed))
    assert request.app is app


@pytest.mark.parametrize(("method", "target"), INDIRECT)
@shared
async def test_any_other_path_takes_aiohttps_way(shared_stack: GatewayStack, method: str, target: str) -> None:
    """Another spelling, another method, and what has parameters."""
    direct = DirectRoutes(make_app(shared_stack.gateway))
    assert direct._found(method, request_of(method, target).rel_url.raw_path) is None


@shared
async def test_an_expectation_is_answered_as_ever(shared_stack: GatewayStack) -> None:
    """A client that waits for leave to send its body gets it."""
    async with client(shared_stack.url) as one:
        await one.send(get("/docs", "Expect: 100-continue"))
        assert b"100 Continue" in (await one.answer())[:40]
