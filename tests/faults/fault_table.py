"""Every provider fault as data: its name, the outcome it must lead to, whether the request can arrive, and how.

The outcomes follow the outcome rule: nothing sent and 429 are ``not_sent``, a refusal in the provider's own format is
``declined``, and everything that is not a complete, readable answer is ``unknown``.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.faults.proxy import Arrival, Corruption, Exchange
from tests.support.servers.scripted_tcp import reset

BOTH = (Arrival.LOST, Arrival.ARRIVED)
JSON = "application/json"
HTML = b"<!doctype html><title>Sorry</title><h1>Please try again later</h1>"
PADDING = gzip.compress(b" " * 32_000_000)  # 31 KB on the wire; blanks after a JSON value change nothing of it


@dataclass(frozen=True, kw_only=True)
class Fault:
    """``corrupt`` is None for an unreachable address. ``names_ids``: only for answers that carry an id.

    ``status`` is that of a complete answer. ``waits``: only a deadline ends the call.
    """

    name: str
    verdict: str
    corrupt: Corruption | None
    arrivals: tuple[Arrival, ...] = BOTH
    status: int | None = None
    names_ids: bool = False
    waits: bool = False


def message(body: bytes, *, status: int = 200, media: str = JSON, header: str = "X-Fault: yes") -> bytes:
    """Return a complete HTTP answer."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Type: {media}", f"Content-Length: {len(body)}", header]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


def unchanged(exchange: Exchange) -> bytes:
    """Return the body unchanged."""
    return exchange.body


def whole(edit: Callable[[Exchange], bytes] = unchanged, **head: Any) -> Corruption:
    """Send a complete answer: the body that ``edit`` returns, with a head made by ``message``."""

    async def corrupt(exchange: Exchange) -> None:
        exchange.writer.write(message(edit(exchange), **head))

    return corrupt


def redirect(status: int, place: str | None = None) -> Corruption:
    """Redirect to ``place``, or to the same URL."""

    async def corrupt(exchange: Exchange) -> None:
        exchange.writer.write(
            message(exchange.body, status=status, header=f"Location: {place or exchange.request.target}")
        )

    return corrupt


def cut(keep: Callable[[bytes, bytes], bytes], *, rudely: bool) -> Corruption:
    """Send a part of the answer, ``keep(head, body)``, and close the connection; ``rudely``: with a reset."""

    async def corrupt(exchange: Exchange) -> None:
        head, _, body = message(exchange.body).partition(b"\r\n\r\n")
        exchange.writer.write(keep(head + b"\r\n\r\n", body))
        if rudely:
            reset(exchange.writer)

    return corrupt


async def silence(exchange: Exchange) -> None:
    """Send nothing until the client closes."""
    await exchange.reader.read()


async def drip(exchange: Exchange) -> None:
    """Send the answer, then a blank every 20 ms without end."""
    exchange.writer.write(message(exchange.body).replace(b"Content-Length: ", b"Content-Length: 9", 1))
    while not exchange.reader.at_eof():
        exchange.writer.write(b" ")
        with suppress(TimeoutError):
            await asyncio.wait_for(exchange.reader.read(1), 0.02)


async def pour(exchange: Exchange) -> None:
    """Send the answer, then blanks without end, as fast as they are read."""
    blanks = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    exchange.writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {JSON}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    exchange.writer.write(f"{len(exchange.body):x}\r\n".encode() + exchange.body + b"\r\n")
    while not exchange.writer.is_closing():
        exchange.writer.write(blanks)
        await exchange.writer.drain()


def with_other_id(exchange: Exchange) -> bytes:
    """Return the answer with the key of another order."""
    own = json.loads(exchange.body)["id"]
    return exchange.body.replace(json.dumps(own).encode(), json.dumps(exchange.other_order).encode())


def refusal(exchange: Exchange) -> bytes:
    """Return a refusal in the provider's own format."""
    return exchange.refusal


def with_member(text: bytes) -> Callable[[Exchange], bytes]:
    """Put more members in front of the answer's own."""
    return lambda exchange: b"{" + text + b"," + exchange.body.lstrip()[1:]


def gzip_bomb(exchange: Exchange) -> bytes:
    """Return the answer, compressed, followed by 32 MB of blanks."""
    return gzip.compress(exchange.body) + PADDING


def truncated(exchange: Exchange) -> bytes:
    """Return the first half of the body, as if it were complete."""
    return exchange.body[: len(exchange.body) // 2]


def _unknown(
    name: str, corrupt: Corruption, status: int | None = None, *, names_ids: bool = False, waits: bool = False
) -> Fault:
    return Fault(name=name, verdict="unknown", corrupt=corrupt, status=status, names_ids=names_ids, waits=waits)


FAULTS = (
    *(
        # Nothing was sent, so the request cannot have arrived.
        Fault(name=name, verdict="not_sent", corrupt=None, arrivals=(Arrival.LOST,), waits=name == "connect_hang")
        for name in ("refused", "dns", "tls", "connect_hang")
    ),
    _unknown("silence", silence, waits=True),
    _unknown("close_after_request", cut(lambda *_: b"", rudely=False)),
    _unknown("reset_after_request", cut(lambda *_: b"", rudely=True)),
    _unknown("reset_mid_headers", cut(lambda head, _: head[:30], rudely=True)),
    _unknown("reset_mid_body", cut(lambda head, body: head + body[: len(body) // 2], rudely=True)),
    _unknown("short_body", cut(lambda head, body: head + body[:-1], rudely=False)),
    *(
        # The claim of success in the body changes nothing: the status decides.
        _unknown(f"status_{status}", whole(status=status), status)
        for status in (402, 405, 408, 409, 410, 500, 502, 503, 504)
    ),
    *(
        Fault(name=f"status_{status}", verdict="declined", corrupt=whole(refusal, status=status), status=status)
        for status in (400, 401, 403, 404, 422)
    ),
    *(
        _unknown(f"html_{status}", whole(lambda _: HTML, status=status, media="text/html"), status)
        for status in (200, 400, 401, 404)
    ),
    _unknown("html_called_json", whole(lambda _: HTML)),
    Fault(
        name="status_429",
        verdict="not_sent",
        corrupt=whole(refusal, status=429, header="Retry-After: 1"),
        status=429,
    ),
    _unknown("redirect_to_itself_307", redirect(307), 307),
    _unknown("redirect_to_itself_302", redirect(302), 302),
    _unknown("redirect_elsewhere_308", redirect(308, "/elsewhere"), 308),
    _unknown("malformed_json", whole(lambda exchange: exchange.body.replace(b":", b"=", 1))),
    _unknown("truncated_json", whole(truncated)),
    _unknown("duplicate_key_json", whole(with_member(b'"twice":1,"twice":2'))),
    _unknown("nan_json", whole(with_member(b'"score":NaN'))),
    _unknown("wrong_shape_json", whole(lambda exchange: b"[" + exchange.body + b"]")),
    _unknown("empty_object_json", whole(lambda _: b"{}")),
    _unknown("wrong_ids", whole(with_other_id), names_ids=True),
    _unknown("slow_drip", drip, waits=True),
    _unknown("endless_body", pour),
    _unknown("gzip_bomb", whole(gzip_bomb, header="Content-Encoding: gzip")),
)

NO_FAULT = Fault(name="no_fault", verdict="succeeded", corrupt=whole())
"""The answer unchanged. It must be accepted, or the rows above would prove nothing."""
