"""Odd and old HTTP requests: each is answered as its version can read it, and nothing hangs."""

from __future__ import annotations

import pytest

from tests.support.clients.raw_http import client, get
from tests.support.stack import GatewayStack, key_of
from tests.web.test_response_headers import headers_of

KEY = f"Authorization: Bearer {key_of('acme')}"
JSON = "Content-Type: application/json"
shared = pytest.mark.asyncio(loop_scope="module")


def post(path: str, *headers: str, version: str = "1.1", body: bytes = b"{}") -> bytes:
    """A request with a body."""
    head = (f"POST {path} HTTP/{version}", "Host: x", *headers, f"Content-Length: {len(body)}", "", "")
    return "\r\n".join(head).encode() + body


WITH_KEY = (KEY, JSON, "Idempotency-Key: manners-1")


ODD = {
    "HTTP/1.0": (get("/v1/payments", KEY).replace(b"HTTP/1.1", b"HTTP/1.0"), b"HTTP/1.0", 200),
    "HTTP/1.0 with a body": (post("/v1/payments", *WITH_KEY, version="1.0"), b"HTTP/1.0", 422),
    "HTTP/1.0 that expects": (
        post("/v1/payments", *WITH_KEY, "Expect: 100-continue", version="1.0"),
        b"HTTP/1.0",
        422,
    ),
    "an expectation nobody knows": (post("/v1/payments", *WITH_KEY, "Expect: 200-ok"), b"HTTP/1.1", 417),
    "HTTP/2.0": (get("/docs").replace(b"HTTP/1.1", b"HTTP/2.0"), b"HTTP/2.0", 505),
    "HTTP/0.9": (b"GET /docs\r\n\r\n", b"HTTP/0.9", 505),
    "a method in lower case": (get("/docs").replace(b"GET", b"get"), b"HTTP/1.0", 400),
    "a method nobody knows": (get("/docs").replace(b"GET", b"FOO"), b"HTTP/1.0", 400),
    "TRACE": (get("/docs").replace(b"GET", b"TRACE"), b"HTTP/1.1", 405),
}


@pytest.mark.parametrize("name", ODD)
@shared
async def test_odd_requests(shared_stack: GatewayStack, name: str) -> None:
    """Each is answered as its version can read it, with an id, and nothing hangs."""
    request, version, status = ODD[name]
    async with client(shared_stack.url) as one:
        await one.send(request)
        answer = await one.answer()
    assert answer.split()[:2] == [version, str(status).encode()]
    assert headers_of(answer)["x-request-id"].startswith("req_")


@shared
async def test_a_client_that_waits_for_100_continue(shared_stack: GatewayStack) -> None:
    """The body is asked for before it is sent."""
    async with client(shared_stack.url) as one:
        head, _, body = post("/v1/payments", *WITH_KEY, "Expect: 100-continue").partition(b"\r\n\r\n")
        await one.send(head + b"\r\n\r\n")
        assert (await one.answer()).split()[:2] == [b"HTTP/1.1", b"100"]
        await one.send(body)
        assert (await one.answer()).split()[1] == b"422"
