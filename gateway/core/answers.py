"""A provider's answer in JSON, as providers really send it: under any media type, with or without a byte order mark."""

from __future__ import annotations

from typing import Any

from gateway.core.strictjson import loads
from gateway.core.wire import HttpResponse, header, media_type

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LONGEST_MEDIA_TYPE = 100


def json_of(response: HttpResponse) -> Any:
    """What an answer's body says, read as strictly as ``loads``. Raises ``NotStrictJson`` for what is not JSON."""
    return loads(response.body.removeprefix(BYTE_ORDER_MARK))


def unusual(response: HttpResponse) -> tuple[str, ...]:
    """What an answer in JSON has that the protocol does not promise, in a few words each; empty for nearly all."""
    found = []
    if media_type(response.headers) != "application/json":
        given = ", ".join(header(response.headers, "content-type"))
        found.append(f"media type {given[:LONGEST_MEDIA_TYPE]}" if given else "no media type")
    if response.body.startswith(BYTE_ORDER_MARK):
        found.append("a byte order mark")
    return tuple(found)
