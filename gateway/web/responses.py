"""What handlers answer, as HTTP. Long bodies are written in slices, so that clients which do not read cost little."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import payload, web
from aiohttp.abc import AbstractStreamWriter

from gateway.core.views import to_json
from gateway.flows.payments.idempotency import Answer

JSON = "application/json"

SLICE = 16 * 1024
"""Bytes that are written before the client has taken those before."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A handler's answer: a status and the view to encode."""

    view: Any
    status: int = 200


def to_response(reply: Reply | Answer) -> web.Response:
    """Encode a handler's answer; an ``Answer`` is stored under an idempotency key and encoded already."""
    if isinstance(reply, Answer):
        headers = {"Idempotency-Replayed": "true"} if reply.is_replayed else {}
        return body_response(reply.body, JSON, status=reply.status, headers=headers)
    return body_response(to_json(reply.view), JSON, status=reply.status)


def body_response(
    body: bytes, content_type: str, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Answer with a body of any length."""
    whole = body if len(body) <= SLICE else _Slices(body, content_type)
    return web.Response(status=status, body=whole, content_type=content_type, headers=headers)


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
