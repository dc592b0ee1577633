"""What goes over the wire, as values: requests to a provider, its answers, its callbacks.

Bodies are raw bytes and URLs already encoded text, so that a signature sees what was really sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from gateway.core.urls import url_for_log

Headers = tuple[tuple[str, str], ...]


def header(headers: Headers, name: str) -> list[str]:
    """All values of one header, in order; names compare without regard to case."""
    wanted = name.lower()
    return [value for key, value in headers if key.lower() == wanted]


def header_text(raw: bytes) -> str:
    """A header's bytes as text: UTF-8, else one character per byte."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def header_texts(raw: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Headers as text, each name and each value as ``header_text``."""
    try:
        return tuple([(name.decode(), value.decode()) for name, value in raw])  # nearly always
    except UnicodeDecodeError:
        return tuple([(header_text(name), header_text(value)) for name, value in raw])


def media_type(headers: Headers) -> str:
    """The media type in lower case without parameters; empty when absent or given twice."""
    given = header(headers, "content-type")
    return given[0].partition(";")[0].strip().lower() if len(given) == 1 else ""


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One call to a provider. ``url`` is encoded text and is sent as it stands."""

    method: str
    url: str
    headers: Headers = ()
    body: bytes = b""

    def __repr__(self) -> str:
        return f"HttpRequest({self.method} {url_for_log(self.url)}, {len(self.body)} bytes)"


class HttpResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's whole answer, or ours to its callback."""

    status: int
    headers: Headers = ()
    body: bytes = b""

    def __repr__(self) -> str:
        return f"HttpResponse({self.status}, {len(self.body)} bytes)"


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider (or a browser) sent to an account's endpoint; nothing of it is believed yet.

    ``suffix`` is the path below the endpoint: ``return``, ``cancel``, ``complete`` with the token removed, or the
    provider's own. ``query`` is raw text. ``payment_id`` was proved by our own token, else None. ``config`` is the
    account's ``config``, for a plugin whose wording depends on it.
    """

    method: str
    suffix: str
    query: str
    headers: Headers
    body: bytes
    remote: str
    received_at: datetime
    payment_id: str | None = None
    config: msgspec.Struct | None = None

    def __repr__(self) -> str:
        return f"Callback({self.method} {self.suffix!r}, {len(self.body)} bytes)"
