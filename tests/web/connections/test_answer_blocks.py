"""A block has the bytes that aiohttp writes for the same answer; what is unusual is left to aiohttp."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from unittest import mock

import pytest
from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.http_writer import StreamWriter
from aiohttp.test_utils import make_mocked_request

from gateway.web.connections import answer_blocks
from gateway.web.connections.answer_blocks import block_of
from gateway.web.response_headers import add_headers

NOON = "Sat, 28 Nov 2026 12:00:00 GMT"

JSON = {"Content-Type": "application/json", "X-Request-Id": "req_1"}


def closing() -> web.Request:
    """A request of a client that closes the connection."""
    request = make_mocked_request("GET", "/")
    request._message = request._message._replace(should_close=True)
    return request


def ended(answer: web.Response) -> web.Response:
    """An answer after which the connection ends."""
    answer.force_close()
    return answer


async def written_by_aiohttp(request: web.Request, answer: web.Response) -> bytes:
    """What aiohttp writes for an answer."""
    written = bytearray()
    transport = mock.Mock(write=written.extend, is_closing=lambda: False)
    protocol: Any = mock.Mock(transport=transport, _paused=False)
    request._payload_writer = StreamWriter(protocol, asyncio.get_running_loop())
    add_headers(answer)
    with mock.patch("aiohttp.web_response.rfc822_formatted_time", return_value=NOON):
        await answer.prepare(request)
        await answer.write_eof()
    return bytes(written)


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (201, b'{"id":"pay_1"}', JSON),
        (200, "{'ü'}".encode(), {**JSON, "Idempotency-Replayed": "true"}),
        (204, None, {"X-Request-Id": "req_1"}),
        (200, None, {"X-Request-Id": "req_1"}),
        (200, b"", JSON),
        (404, None, {"X-Request-Id": "req_1"}),
        (422, b"{}", {"Content-Type": "application/problem+json", "Retry-After": "1"}),
        (599, b"x", {"content-type": "text/plain", "X-Ü": "ü"}),
    ],
)
async def test_a_block_is_what_aiohttp_writes(status: int, body: bytes | None, headers: Mapping[str, str]) -> None:
    """Byte for byte, in the order of aiohttp's headers."""
    request = make_mocked_request("POST", "/v1/payments")
    with mock.patch.object(answer_blocks, "rfc822_formatted_time", return_value=NOON):
        block = block_of(request, web.Response(status=status, body=body, headers=headers))
    assert block == await written_by_aiohttp(request, web.Response(status=status, body=body, headers=headers))


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (make_mocked_request("HEAD", "/"), web.Response(body=b"{}", headers=JSON)),
        (make_mocked_request("GET", "/", version=HttpVersion10), web.Response(body=b"{}", headers=JSON)),
        (closing(), web.Response(body=b"{}", headers=JSON)),
        (None, ended(web.Response(body=b"{}", headers=JSON))),
        (None, web.Response(status=304, headers=JSON)),
        (None, web.Response(status=204, body=b"{}", headers=JSON)),
        (None, web.Response(body=b"{}")),
        (None, web.Response(text="a", headers={"Content-Security-Policy": "default-src 'self'"})),
        (None, web.Response(body=b"{}", headers={**JSON, "content-length": "7"})),
        (None, web.Response(body=b"{}", headers={**JSON, "X-A": "b\r\nX-C: d"})),
        (None, web.Response(body=bytearray(b"{}"), headers=JSON)),
        (None, web.StreamResponse(headers=JSON)),
        (None, web.HTTPFound("/")),
    ],
)
async def test_what_is_unusual_is_left_to_aiohttp(request_: web.Request | None, answer: web.StreamResponse) -> None:
    """Its rules for these have reasons."""
    assert block_of(request_ or make_mocked_request("GET", "/", version=HttpVersion11), answer) is None
