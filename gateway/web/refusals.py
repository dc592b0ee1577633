"""Answers to what is not a request that can be taken: in fixed words, because a library's own would quote it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from gateway.web.headers import EVERY_ANSWER

MOST_HEADERS = 64
"""Headers of one request."""

AROUND_A_HEADER = 4
"""Bytes around one header on the wire: a colon, a blank and a line's end."""

TOO_LARGE, FAULTS = 431, 500
"""The status of a head that is too large, and the first one of our own faults."""

BAD_REQUEST = "this is not a valid HTTP request\n"
HEAD_TOO_LARGE = "the head of this request is too large\n"
FAULT = "a fault of the gateway\n"

RAW_HEAD_TOO_LARGE = (
    f"HTTP/1.1 {TOO_LARGE} Request Header Fields Too Large\r\nContent-Type: text/plain; charset=utf-8\r\n"
    f"Connection: close\r\nContent-Length: {len(HEAD_TOO_LARGE)}\r\n"
    + "".join(f"{name}: {value}\r\n" for name, value in EVERY_ANSWER.items())
    + f"\r\n{HEAD_TOO_LARGE}"
).encode()
"""For a head that has not even ended: there is no request yet that aiohttp could answer."""

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def head_size(request: web.BaseRequest) -> int:
    """Bytes of a request's head as it came, blanks around values aside."""
    line = len(request.method) + len(request.raw_path)
    return line + sum(len(name) + len(value) + AROUND_A_HEADER for name, value in request.raw_headers)


async def refuse_head(_: web.BaseRequest) -> web.StreamResponse:
    """Answer a request whose head is too large."""
    return _last_words(TOO_LARGE, HEAD_TOO_LARGE)


def refusal(status: int, error: BaseException | None) -> web.StreamResponse:
    """The answer to bytes that are no request, or to one that failed by a fault nobody caught."""
    if isinstance(error, LineTooLong):
        return _last_words(TOO_LARGE, HEAD_TOO_LARGE)
    return _last_words(status, FAULT if status >= FAULTS else BAD_REQUEST)


def _last_words(status: int, text: str) -> web.Response:
    response = web.Response(status=status, text=text)
    response.force_close()
    return response
