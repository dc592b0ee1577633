"""The usual answer as one block of bytes: most of what aiohttp does to write an answer is for other ones.

A block has the bytes that aiohttp would write; ``tests/web/connections/test_answer_blocks.py`` compares them.
"""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.helpers import rfc822_formatted_time

from gateway.web.response_headers import EVERY_ANSWER

_EVERY_ANSWER = "".join(f"{name}: {value}\r\n" for name, value in EVERY_ANSWER.items())

_WRITTEN_HERE = frozenset(
    name.lower() for name in (*EVERY_ANSWER, hdrs.CONTENT_LENGTH, hdrs.DATE, hdrs.CONNECTION, hdrs.TRANSFER_ENCODING)
)

_NO_CONTENT = 204
_UNUSUAL = frozenset({*range(100, 200), 304})
"""Statuses with rules of their own about bodies."""


def block_of(request: web.BaseRequest, answer: web.StreamResponse) -> bytes | None:
    """An answer with the headers of ``EVERY_ANSWER``; None where aiohttp must write it: HEAD, another version of HTTP,
    a connection that ends, a body in slices, headers that need a look.
    """
    status, headers = answer.status, answer.headers
    if type(answer) is not web.Response or status in _UNUSUAL or not _is_usual(request, answer, headers):
        return None
    body, own = answer.body or b"", [f"{name}: {value}" for name, value in headers.items()]
    if not isinstance(body, bytes) or not "".join(own).isprintable():
        return None
    if body and (status == _NO_CONTENT or hdrs.CONTENT_TYPE not in headers):
        return None
    length = "" if status == _NO_CONTENT else f"Content-Length: {len(body)}\r\n"
    lines = "\r\n".join([f"HTTP/1.1 {status} {answer.reason}", *own])
    return f"{lines}\r\n{_EVERY_ANSWER}{length}Date: {rfc822_formatted_time()}\r\n\r\n".encode() + body


def _is_usual(request: web.BaseRequest, answer: web.Response, headers: Iterable[str]) -> bool:
    return (
        request.version == HttpVersion11
        and request.method != hdrs.METH_HEAD
        and answer.keep_alive is None
        and request.keep_alive
        and _WRITTEN_HERE.isdisjoint(map(str.lower, headers))
    )
