"""A request as the bytes that go out, and where they go.

Pure text: what cannot be written is refused here, before a connection is made.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from gateway.core.errors import NotSent
from gateway.core.urls import PORTS, absolute_url, bracketed
from gateway.core.wire import Headers, HttpRequest

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

_DEFAULTS = (("User-Agent", "payment-gateway"), ("Accept", "*/*"), ("Accept-Encoding", "identity"))
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})

_OURS = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that say where a message goes and ends, and what happens to its connection: a plugin's are left out."""


class Target(NamedTuple):
    """Where a URL leads. ``authority`` is the value of ``Host``; ``path`` is the rest of the URL as it stands."""

    scheme: str
    host: str
    port: int
    authority: str
    path: str


@functools.lru_cache(512)
def target_of(url: str) -> Target:
    """Split a URL without touching its escapes: ``%CKKEY%`` stays as it is. Raises ``NotSent``."""
    text = url.partition("#")[0]
    try:
        parts = absolute_url(text)
    except ValueError:
        raise NotSent("invalid_url", connection=False) from None
    host, port = str(parts.hostname), parts.port or PORTS[parts.scheme]
    authority = bracketed(host)
    if port != PORTS[parts.scheme]:
        authority += f":{port}"
    path = text[len(parts.scheme) + len("://") + len(parts.netloc) :]
    return Target(parts.scheme, host, port, authority, path if path.startswith("/") else "/" + path)


def headers_of(request: HttpRequest) -> Headers:
    """The headers of a request without those of its framing, ahead of them the defaults it does not give itself.

    Raises ``NotSent`` for a method, name or value that would end its line early or cannot be written.
    """
    if _TOKEN.fullmatch(request.method) is None or request.method == "CONNECT":
        raise NotSent("invalid_method", connection=False)
    if not all(_VALUE.fullmatch(value) for _, value in request.headers):
        raise NotSent("invalid_header", connection=False)
    defaults, left_out = _cleaned(tuple([name for name, _ in request.headers]))
    if left_out:
        return (*defaults, *(pair for pair in request.headers if pair[0] not in left_out))
    return (*defaults, *request.headers)


def encoded(request: HttpRequest, target: Target) -> bytes:
    """The whole request, to be written at once. Raises ``NotSent``."""
    lines = [f"{name}: {value}\r\n" for name, value in headers_of(request)]
    if request.body or request.method in _WITH_BODY:
        lines.append(f"Content-Length: {len(request.body)}\r\n")
    start = f"{request.method} {target.path} HTTP/1.1\r\nHost: {target.authority}\r\n"
    return "".join((start, *lines, "Connection: close\r\n\r\n")).encode("latin-1") + request.body


@functools.lru_cache(512)  # a plugin gives the same names with every request
def _cleaned(names: tuple[str, ...]) -> tuple[Headers, frozenset[str]]:
    """The defaults that are missing among header names, and the names that are not sent. Raises ``NotSent``."""
    if not all(_TOKEN.fullmatch(name) for name in names):
        raise NotSent("invalid_header", connection=False)
    given = {name.lower() for name in names}
    left_out = frozenset(name for name in names if name.lower() in _OURS)
    return tuple(pair for pair in _DEFAULTS if pair[0].lower() not in given), left_out
