"""What a hostile client, provider or operator's mistake cannot do."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace

from gateway.core.errors import NotSent, OutcomeUnknown, ProviderError, SettingsError
from gateway.web.problems import problem_of
from gateway.web.server import running
from tests.support.clients.psp_callbacks import new_payment, post
from tests.support.stack import GatewayStack, creditkey_body, key_of, new_key, psp_body, run_gateway, running_stack

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


# Requests that once were faults of ours


@pytest.mark.parametrize("limit", ["00000000199999999999999999999", "0000000012000000", "201", "0", "1e2", "²"])
async def test_a_limit_is_a_short_number(stack: GatewayStack, limit: str) -> None:
    """A limit that is not 1 to 200 in at most three digits is refused."""
    reply = await stack.call("GET", f"/v1/payments?limit={limit}")
    assert (reply.status, reply.json["errors"][0]["field"]) == (422, "limit")


@pytest.mark.parametrize("path", ["/v1/payments", "/admin/v1/reviews"])
async def test_a_key_of_any_bytes_is_unknown(stack: GatewayStack, path: str) -> None:
    """A bearer key that is no UTF-8 is an unknown key, for tenants and operators."""
    url = stack.admin_url if path.startswith("/admin") else stack.url
    answer = await raw(url, head(f"GET {path}", b"Authorization: Bearer \xff\xfe"))
    assert answer.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
async def test_a_compressed_body_is_refused_and_named(stack: GatewayStack, coding: str) -> None:
    """A tenant's body under any content coding is 415, readable or not."""
    headers = {"Content-Encoding": coding}
    reply = await stack.call("POST", "/v1/payments", data=b"garbage", key=new_key(), headers=headers)
    assert (reply.status, reply.json["code"]) == (415, "unsupported_media_type")


async def test_a_callback_is_judged_as_it_came(stack: GatewayStack) -> None:
    """A callback is never decompressed: one that is garbage for its coding is refused like any other garbage."""
    await new_payment(stack)
    plain, coded = [await post(stack, b"garbage", headers=headers) for headers in ({}, {"Content-Encoding": "gzip"})]
    assert (coded.status, coded.text) == (plain.status, plain.text)
    assert coded.status < 500


async def test_a_small_callback_does_not_grow(stack: GatewayStack) -> None:
    """A megabyte that was packed into a kilobyte is a kilobyte: not too large, only not authentic."""
    packed = gzip.compress(bytes(1 << 20))
    small, coded = [await post(stack, packed, headers=headers) for headers in ({}, {"Content-Encoding": "gzip"})]
    assert (coded.status, coded.text) == (small.status, small.text)


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


# Slow heads


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


# What a provider or our own network says


async def test_a_provider_cannot_publish_our_secret(stack: GatewayStack) -> None:
    """A key that Credit Key quotes back stays out of the answer and the timeline."""
    said = {"result": "unauthorized: shared_secret ss_test is wrong"}
    await stack.faults("creditkey", operation="begin_standalone_checkout", status=401, body=said, times=1)
    created = await stack.create(creditkey_body())
    told = created.text + str(await stack.events(created.json["id"]))
    assert created.json["failure"]["provider_code"] == "unauthorized: shared_secret *** is wrong"
    assert "ss_test" not in told


@pytest.mark.parametrize("word", ["address_not_allowed", "https_required", "connect_failed"])
def test_a_tenant_does_not_learn_why_nothing_was_sent(word: str) -> None:
    """Whatever kept a lookup from leaving the gateway, tenants read one sentence."""
    problem = problem_of(NotSent(word, connection=True, why="the host name was not found"))
    assert problem.detail == "no connection to the provider could be made"


@pytest.mark.parametrize("error", [OutcomeUnknown("timeout"), ProviderError("the provider refused a lookup")])
def test_a_tenant_learns_what_became_of_a_lookup(error: ProviderError) -> None:
    """What the provider did with a lookup is told in its own words."""
    assert problem_of(error).detail == str(error)


# Stopping, and starting with other settings


async def test_stopping_has_one_deadline(tmp_path: Path) -> None:
    """A request that never ends, and its operation, keep the server only as long as it may take to stop."""
    let_go, asked = asyncio.Event(), asyncio.Event()

    async def hang(*_: object, **__: object) -> Any:
        asked.set()
        await let_go.wait()
        raise OutcomeUnknown("timeout")

    async with running_stack(tmp_path) as stack:
        pass
    async with asyncio.timeout(PATIENCE):
        async with running(stack.settings, stack.registry, stop_within=0.2) as server:
            server.gateway.send = hang
            port = urlsplit(server.url).port
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            body = b'{"merchant_reference":"D-1","amount":"1.00","currency":"USD","account":"psp-main"}'
            writer.write(
                head(
                    "POST /v1/payments",
                    f"Authorization: Bearer {key_of('acme')}",
                    f"Idempotency-Key: {new_key()}",
                    "Content-Type: application/json",
                    f"Content-Length: {len(body)}",
                )
                + body
            )
            await asked.wait()
        writer.close()
    let_go.set()
    await server.gateway.drain(PATIENCE)


async def test_an_account_cannot_change_its_provider_under_open_payments(tmp_path: Path) -> None:
    """A start with an account of another provider than its open payments have is refused, and the account named."""
    async with running_stack(tmp_path) as stack:
        assert (await stack.create(psp_body())).status == 201
    acme = stack.settings.tenants["acme"]
    swapped = {**acme.accounts, "psp-main": replace(acme.accounts["creditkey-main"], name="psp-main")}
    tenants = {**stack.settings.tenants, "acme": replace(acme, accounts=swapped)}
    stack.settings = replace(stack.settings, tenants=tenants)
    with pytest.raises(SettingsError, match=r'accounts.psp-main.provider: was "psp_open_api" for payments'):
        async with run_gateway(stack):
            pass
