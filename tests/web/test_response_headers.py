"""What every answer carries, and what none says of us or of its request."""

from __future__ import annotations

import json
import logging
import re

import pytest

from gateway.web import openapi, pages
from tests.support.clients.raw_http import client, get
from tests.support.stack import GatewayStack, creditkey_body, key_of, psp_body

WANTED = {
    "server": "payment-gateway",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
KEY = f"Authorization: Bearer {key_of('acme')}"
SAID = "canary-4711"
"""What the requests hold and no answer may."""

PUBLIC = {
    "a list": (get("/v1/payments", KEY), 200),
    "a problem": (get("/v1/payments"), 401),
    "no route": (get(f"/{SAID}"), 404),
    "no method": (get("/v1/payments").replace(b"GET", b"DELETE"), 405),
    "a page": (get("/problems/not_found"), 200),
    "the document": (get("/openapi.json"), 200),
    "its page": (get("/docs"), 200),
    "its script": (get("/docs/start.js"), 200),
    "an asset": (get("/docs/swagger-ui.css"), 200),
    "an unknown callback": (get(f"/callbacks/{SAID}"), 404),
    "an expectation": (get("/v1/payments", f"Expect: {SAID}"), 417),
    "an upgrade": (get("/openapi.json", "Connection: Upgrade", "Upgrade: websocket"), 200),
    "a long head": (get("/", f"X-Y: {SAID}{'x' * 20_000}"), 431),
    "a longer head": (get("/", *(f"X-Y: {SAID}{'x' * 5000}" for _ in range(5)))[:-2], 431),
    "not HTTP": (f"{SAID}\r\n\r\n".encode(), 400),
    "a bad header": (get("/", f"{SAID} : x"), 400),
    "two lengths": (get("/", "Content-Length: 1", f"Content-Length: {SAID}"), 400),
    "no host": (f"GET /{SAID} HTTP/1.1\r\n\r\n".encode(), 400),
}
OPERATORS = {"ready": (get("/readyz"), 200), "alive": (get("/livez"), 200), "no key": (get("/admin/v1/reviews"), 401)}


def headers_of(answer: bytes) -> dict[str, str]:
    """The headers of an answer, by lower-case names."""
    lines = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


@pytest.mark.parametrize("name", [*PUBLIC, *OPERATORS])
async def test_every_answer_carries_them(stack: GatewayStack, name: str) -> None:
    """Whoever wrote an answer, a handler or aiohttp: it names no version, is not stored, and may run nothing."""
    request, status = (PUBLIC | OPERATORS)[name]
    async with client(stack.admin_url if name in OPERATORS else stack.url) as one:
        await one.send(request)
        answer = await one.answer()
    headers = headers_of(answer)
    assert int(answer.split()[1]) == status
    assert {wanted: headers.get(wanted) for wanted in WANTED} == WANTED
    assert re.fullmatch("req_[0-9a-f]{32}", headers["x-request-id"])
    sources = "'self'" if name == "its page" else "'none'"
    assert re.match(f"default-src {sources};.* frame-ancestors 'none'", headers["content-security-policy"])
    assert SAID.encode() not in answer


async def test_what_a_customer_is_shown_carries_them(stack: GatewayStack) -> None:
    """A return that leads on, and the neutral page of one that does not."""
    for return_url, status in (("https://shop.example/paid", 303), (None, 200)):
        created = (await stack.create(creditkey_body(return_url=return_url))).json
        reply = await stack.visit(await stack.approve(created))
        assert (reply.status, reply.headers["Referrer-Policy"]) == (status, "no-referrer")
        assert reply.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_webhooks_own_headers_are_kept(stack: GatewayStack) -> None:
    """A provider's callback is answered with its own media type."""
    created = (await stack.create(psp_body())).json
    assert (await stack.click(created, "pay")).status < 400
    assert (await stack.payment(created["id"]))["state"] == "captured"


async def test_what_is_not_http_is_no_error_of_ours(stack: GatewayStack, caplog: pytest.LogCaptureFixture) -> None:
    """Garbage leaves no stack and no word of its own in the log."""
    async with client(stack.url) as one:
        assert await one.ask(f"{SAID}\r\n\r\n".encode()) == 400
    assert all(record.levelno < logging.WARNING and record.exc_info is None for record in caplog.records)
    assert SAID not in caplog.text


async def test_the_document_is_made_once(stack: GatewayStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strangers who ask for the document again and again cost no more than its bytes."""
    made = []
    monkeypatch.setattr(openapi, "document", lambda *_, **__: made.append(1) or {"openapi": "3.1.0"})
    pages._document.cache_clear()
    try:
        texts = {(await stack.call("GET", "/openapi.json", tenant=None)).text for _ in range(3)}
    finally:
        pages._document.cache_clear()
    assert (made, [json.loads(text) for text in texts]) == ([1], [{"openapi": "3.1.0"}])


async def test_an_asset_is_read_once(stack: GatewayStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its first reader no asset comes from the disk again."""
    first = (await stack.call("GET", "/docs/swagger-ui.css", tenant=None)).text
    monkeypatch.setattr(pages, "files", None)
    assert (await stack.call("GET", "/docs/swagger-ui.css", tenant=None)).text == first
