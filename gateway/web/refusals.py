"""Answers to what is not a request that can be taken: in fixed words, because a library's own would quote it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from gateway.web.headers import EVERY_ANSWER, REQUEST_ID_HEADER

MOST_HEADERS = 64
"""Headers of one request."""

AROUND_A_HEADER = 4
"""Bytes around one header on the wire: a colon, a blank and a line's end."""

TOO_LARGE, FAULTS, NOT_OUR_VERSION = 431, 500, 505
"""The status of a head that is too large, the first one of our own faults, and that of another HTTP."""

BAD_REQUEST = "this is not a valid HTTP request\n"
OTHER_VERSION = "this server speaks HTTP/1.1 and HTTP/1.0\n"
HEAD_TOO_LARGE = "the head of this request is too large\n"
FAULT = "a fault of the gateway\n"

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def raw_head_too_large(request_id: str) -> bytes:
    """The answer to a head that has not even ended: there is no request yet that aiohttp could answer."""
    headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "Connection": "close",
        "Content-Length": str(len(HEAD_TOO_LARGE)),
        REQUEST_ID_HEADER: request_id,
        **EVERY_ANSWER,
    }
    lines = [f"HTTP/1.1 {TOO_LARGE} Request Header Fields Too Large", *(f"{name}: {headers[name]}" for name in headers)]
    return "\r\n".join([*lines, "", HEAD_TOO_LARGE]).encode()


def head_size(request: web.BaseRequest) -> int:
    """Bytes of a request's head as it came, blanks around values aside."""
    line = len(request.method) + len(request.raw_path)
    return line + sum(len(name) + len(value) + AROUND_A_HEADER for name, value in request.raw_headers)


async def refuse_head(_: web.BaseRequest) -> web.StreamResponse:
    """Answer a request whose head is too large."""
    return _last_words(TOO_LARGE, HEAD_TOO_LARGE)


async def refuse_version(_: web.BaseRequest) -> web.StreamResponse:
    """Answer a request of a version of HTTP that is not spoken here."""
    return _last_words(NOT_OUR_VERSION, OTHER_VERSION)


def refusal(status: int, error: BaseException | None) -> web.StreamResponse:
    """The answer to bytes that are no request, or to one that failed by a fault nobody caught."""
    if isinstance(error, LineTooLong):
        return _last_words(TOO_LARGE, HEAD_TOO_LARGE)
    return _last_words(status, FAULT if status >= FAULTS else BAD_REQUEST)


def _last_words(status: int, text: str) -> web.Response:
    response = web.Response(status=status, text=text)
    response.force_close()
    return response
