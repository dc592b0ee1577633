"""Long answers, written slice by slice: a client that does not read makes nobody hold a second copy."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import payload, web
from aiohttp.abc import AbstractStreamWriter

SLICE = 16 * 1024
"""Bytes that are written before the client has taken those before."""


class _Slices(payload.Payload):
    _value: bytes
    _autoclose = True

    def __init__(self, value: bytes, content_type: str) -> None:
        super().__init__(value, content_type=content_type)
        self._size = len(value)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._value.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        left = memoryview(self._value)
        while left:
            await writer.write(bytes(left[:SLICE]))
            await writer.drain()
            left = left[SLICE:]


def body_response(
    body: bytes, content_type: str, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """An answer with this body, however long it is."""
    whole = body if len(body) <= SLICE else _Slices(body, content_type)
    return web.Response(status=status, body=whole, content_type=content_type, headers=headers)
