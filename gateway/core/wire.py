"""What goes over the wire, as values: requests to a provider, its answers, its callbacks.

Bodies are raw bytes and URLs already encoded text, so that a signature sees what was really sent.
"""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import SplitResult, urlsplit

import msgspec

_URL_TEXT = re.compile(r"[!-\[\]-~]+")
"""Visible ASCII without the backslash, which browsers take for a slash."""

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


def media_type(headers: Headers) -> str:
    """The media type in lower case without parameters; empty when absent or given twice."""
    given = header(headers, "content-type")
    return given[0].partition(";")[0].strip().lower() if len(given) == 1 else ""


def url_for_log(url: str) -> str:
    """An URL without query and fragment, which may carry secrets."""
    return url.partition("?")[0].partition("#")[0]


def page_url(text: str) -> SplitResult:
    """The parts of an absolute http(s) URL without user-info; all of it, a fragment too, is visible ASCII.

    The whole will stand in a header some day. Raises ``ValueError``.
    """
    try:
        parts = urlsplit(text)
        usable = parts.port != 0 and bool(parts.hostname) and parts.scheme in ("http", "https")
    except ValueError:
        usable = False
    if not usable or _URL_TEXT.fullmatch(text) is None:
        raise ValueError("must be an absolute URL such as https://shop.example/path")
    if "@" in parts.netloc:
        raise ValueError("must not carry a user name or password")
    return parts


def absolute_url(text: str) -> SplitResult:
    """The parts of a URL that we send to: as ``page_url``, without a fragment. Raises ``ValueError``."""
    parts = page_url(text)
    if "#" in text:
        raise ValueError("must not have a fragment")
    return parts


def origin_of(url: str) -> str | None:
    """The origin of a page's URL in one form: lower case, no default port. None if it has none."""
    try:
        parts = page_url(url)
    except ValueError:
        return None
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    default = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in (None, default) else "")


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
