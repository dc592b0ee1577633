"""Clients that send slowly, stop in the middle or never ask: 408 or a closed connection, and no fault in the log."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace

from gateway.drivers.store.reads import PaymentFilter
from tests.support.clients.raw_http import bounded_stack, client
from tests.support.scenarios.inbox import inbox_of
from tests.support.stack import GatewayStack, key_of, new_key, run_gateway, running_stack
from tests.web.test_response_headers import headers_of

KEY = f"Authorization: Bearer {key_of('acme')}"
JSON = "Content-Type: application/json"


@pytest.fixture
async def hasty(tmp_path: Path) -> AsyncIterator[GatewayStack]:
    """A gateway that waits for a body no longer than a moment."""
    async with bounded_stack(tmp_path, timeouts={"request_body": 0.05}) as stack:
        yield stack


def half(method: str, path: str, *headers: str, begun: bytes = b"{") -> bytes:
    """A request whose body is begun and not ended."""
    framing = "Transfer-Encoding: chunked" if begun.startswith(b"1\r\n") else "Content-Length: 9"
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: x", *headers, framing, "", "")).encode() + begun


def half_requests(stack: GatewayStack) -> dict[str, bytes]:
    """Requests that stop in the middle of their body, of all who send bodies."""
    gw, idempotent = stack.gateway, f"Idempotency-Key: {new_key()}"
    psp, creditkey = (gw.callback_url(stack.entry("acme", name)) for name in ("psp-main", "creditkey-main"))
    psp_path, creditkey_path = (url.removeprefix(stack.url) for url in (psp, creditkey))
    return {
        "create": half("POST", "/v1/payments", KEY, JSON, idempotent),
        "create, nothing of it": half("POST", "/v1/payments", KEY, JSON, idempotent, begun=b""),
        "create, in chunks": half("POST", "/v1/payments", KEY, JSON, idempotent, begun=b"1\r\n{\r\n"),
        "update": half("PATCH", "/v1/payments/pay_1", KEY, JSON, idempotent),
        "refund": half("POST", "/v1/payments/pay_1/refunds", KEY, JSON, idempotent),
        "sync": half("POST", "/v1/payments/pay_1/sync", KEY, JSON),
        "PSP callback": half("POST", psp_path, JSON),
        "PSP callback, in chunks": half("POST", psp_path, JSON, begun=b"1\r\n{\r\n"),
        "PSP callback below the address": half("POST", f"{psp_path}/pay/callback", JSON),
        "Credit Key callback": half("POST", creditkey_path, JSON),
    }


async def test_a_body_that_drips_too_long_is_408(hasty: GatewayStack) -> None:
    """Callers and providers read that their body did not arrive; nothing is stored, and the connection ends."""
    for name, request in half_requests(hasty).items():
        async with client(hasty.url) as one:
            await one.send(request)
            answer = await one.answer()
            headers = headers_of(answer)
            assert answer.split()[1] == b"408", name
            assert headers["connection"].lower() == "close", name
            assert headers["x-request-id"].startswith("req_"), name
            assert b'"code":"request_timeout"' in answer, name
            await one.closed()
    assert await inbox_of(hasty) == 0
    assert await hasty.gateway.store.payments("acme", PaymentFilter(limit=1)) == []


async def test_a_body_that_breaks_off_is_408_or_a_closed_connection(
    hasty: GatewayStack, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that stops sending finds its connection closed; the log has no fault and no wrong status."""
    with caplog.at_level(logging.INFO, logger="gateway"):
        for name, request in half_requests(hasty).items():
            async with client(hasty.url) as one:
                await one.send(request)
                one.sock.shutdown(socket.SHUT_WR)
                assert (await one.rest()).split()[1:2] in ([], [b"408"]), name
    statuses = {vars(record)["status"] for record in caplog.records if record.msg == "request"}
    assert statuses <= {408}
    assert all(record.levelno < logging.ERROR for record in caplog.records)
    assert await inbox_of(hasty) == 0


PATIENCE = 10
"""Seconds after which a test gives up on what should have happened at once."""


async def raw(url: str, *parts: bytes) -> bytes:
    """Send bytes as they are; return all that comes until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
    async with asyncio.timeout(PATIENCE):
        writer.write(b"".join(parts))
        received = await reader.read()
    writer.close()
    return received


class LogLines(logging.Handler):
    """The gateway's log events so far, and whether one says that a request has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.request_ended = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())
        if record.getMessage() == "request":
            self.request_ended.set()


@pytest.fixture
async def log_lines() -> AsyncIterator[LogLines]:
    """Read along with the gateway's log."""
    lines = LogLines()
    logger = logging.getLogger("gateway")
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(lines)
    yield lines
    logger.removeHandler(lines)
    logger.setLevel(level)


def head(line: str, *headers: str | bytes) -> bytes:
    """A request's head that ends its connection."""
    lines = (f"{line} HTTP/1.1", "Host: x", "Connection: close", *headers)
    return b"\r\n".join(one if isinstance(one, bytes) else one.encode() for one in lines) + b"\r\n\r\n"


@pytest.mark.parametrize("path", ["/v1/payments", "callback"])
async def test_a_body_that_breaks_off_is_no_fault(stack: GatewayStack, log_lines: LogLines, path: str) -> None:
    """A client that goes away in the middle of its body leaves no fault in the log."""
    if path == "callback":
        path = f"/callbacks/{stack.entry('acme', 'psp-main').endpoint_id}/pay/callback"
    start = head(
        f"POST {path}",
        f"Authorization: Bearer {key_of('acme')}",
        f"Idempotency-Key: {new_key()}",
        "Content-Type: application/json",
        "Content-Length: 10",
        "Expect: 100-continue",
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(stack.url).port)
    async with asyncio.timeout(PATIENCE):
        writer.write(start)
        await reader.readuntil(b"\r\n\r\n")  # 100 Continue: the body is awaited
        writer.close()
        await log_lines.request_ended.wait()
    assert "fault" not in log_lines.said


def impatient(stack: GatewayStack) -> None:
    """Let a stack give a request's head a twentieth of a second."""
    stack.settings = replace(stack.settings, timeouts=replace(stack.settings.timeouts, request_head=0.05))


@pytest.mark.parametrize("begun", [b"", b"GET /v1/payments HTTP/1.1\r\nHost: x\r\n"])
async def test_a_head_that_does_not_arrive_ends_its_connection(tmp_path: Path, begun: bytes) -> None:
    """A connection that sends no request, or half a head, is closed when the time for it is over."""
    async with running_stack(tmp_path) as stack:
        impatient(stack)
    async with run_gateway(stack):
        assert await raw(stack.url, begun) == b""


async def test_a_slow_head_on_a_kept_connection_ends_it(tmp_path: Path) -> None:
    """The time for a head begins anew with its first byte after an answered request."""
    whole = b"GET /problems/not_found HTTP/1.1\r\nHost: x\r\n\r\n"
    async with running_stack(tmp_path) as stack:
        impatient(stack)
    async with run_gateway(stack):
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(stack.url).port)
        async with asyncio.timeout(PATIENCE):
            writer.write(whole)
            assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
            await reader.readuntil(b"</html>\n")
            writer.write(b"GET /")
            assert await reader.read() == b""
        writer.close()
