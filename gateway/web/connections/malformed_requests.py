"""Answers to malformed requests, in fixed words: aiohttp's own answers would quote the request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from gateway.web.response_headers import EVERY_ANSWER, REQUEST_ID_HEADER

MAX_HEADERS = 64
"""Headers of one request."""

HEADER_OVERHEAD = 4
"""Bytes of a header on the wire beside its name and value: a colon, a blank and the end of the line."""

TOO_LARGE, FAULTS, OTHER_HTTP_VERSION = 431, 500, 505
"""The statuses of a head that is too large, of internal errors, and of another version of HTTP."""

BAD_REQUEST = "this is not a valid HTTP request\n"
OTHER_VERSION = "this server speaks HTTP/1.1 and HTTP/1.0\n"
HEAD_TOO_LARGE = "the head of this request is too large\n"
FAULT = "an internal error of the gateway\n"

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def raw_head_too_large(request_id: str) -> bytes:
    """The raw answer to a head that has not ended: aiohttp has no request to answer yet."""
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
    """Bytes of a request's head as it was sent, except blanks around values."""
    line = len(request.method) + len(request.raw_path)
    return line + sum(len(name) + len(value) + HEADER_OVERHEAD for name, value in request.raw_headers)


async def refuse_head(_: web.BaseRequest) -> web.StreamResponse:
    """Answer a request whose head is too large."""
    return _final_answer(TOO_LARGE, HEAD_TOO_LARGE)


async def refuse_version(_: web.BaseRequest) -> web.StreamResponse:
    """Answer a request of an unsupported version of HTTP."""
    return _final_answer(OTHER_HTTP_VERSION, OTHER_VERSION)


def refusal(status: int, error: BaseException | None) -> web.StreamResponse:
    """The answer to bytes that are not a request, or to an internal error that no handler caught."""
    if isinstance(error, LineTooLong):
        return _final_answer(TOO_LARGE, HEAD_TOO_LARGE)
    return _final_answer(status, FAULT if status >= FAULTS else BAD_REQUEST)


def _final_answer(status: int, text: str) -> web.Response:
    response = web.Response(status=status, text=text)
    response.force_close()
    return response
