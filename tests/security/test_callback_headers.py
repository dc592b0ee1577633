"""The token of a PSP callback, header by header as bytes on the wire: exactly one header, exactly this value."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.support.clients.psp_callbacks import credentials, new_payment, signed_body, stored
from tests.support.stack import GatewayStack, running_stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAME = b"crm-pay-token"
RIGHT = (
    b"{name}: {token}",
    b"CRM-Pay-Token: {token}",
    b"{name}:{token}",
    b"{name}: \t {token} \t",
)
"""Header lines with the token; blanks around a value do not belong to it."""

WRONG = (
    b"x: y",
    b"{name}: {token}\r\n{name}: {token}",
    b"{name}: {token}\r\nCRM-PAY-TOKEN: other",
    b"{name}: other\r\n{name}: {token}",
    b"{name}: {token}\r\n{name}:",
    b"{name}: {token}, {token}",
    b"{name}: {token}\xff",
    b"{name}: \xc3\xa9{token}",
    b"{name}: {token}\xc2\xa0",
    b"{name}: {token}x",
    b'{name}: "{token}"',
    b"{name}: Bearer {token}",
    b"{name}: {upper}",
    b"{name}: {short}",
    b"{name}:",
    b"{name} : {token}",
    b" {name}: {token}",
    b"{name}: {token}\x00",
    b"{name}: \x00{token}",
    b"{name}:\r\n {token}",
    b"{name}: {short}\r\n {last}",
    b"crm_pay_token: {token}",
    b"crm-pay-token\xe2\x80\x8b: {token}",
    b"x-crm-pay-token: {token}",
    b"Authorization: Bearer {token}",
    b"Cookie: {name}={token}",
    b"Proxy-Authorization: {token}",
    b"x: y\n{name}: {token}",
    b"x: y\r{name}: {token}",
)


class Bridge:
    """A sender that writes bytes: one signed callback, with any header lines."""

    def __init__(self, stack: GatewayStack, payment_id: str, body: bytes) -> None:
        self.stack, self.payment_id, self.body = stack, payment_id, body
        self.token = credentials(stack)[1].encode()

    async def send(self, lines: bytes, query: bytes = b"") -> int:
        """Send the callback and return the status; 0 when the connection is closed without an answer."""
        for name, value in (
            (b"{name}", NAME),
            (b"{token}", self.token),
            (b"{upper}", self.token.upper()),
            (b"{short}", self.token[:-1]),
            (b"{last}", self.token[-1:]),
        ):
            lines, query = lines.replace(name, value), query.replace(name, value)
        endpoint = self.stack.entry("acme", "psp-main").endpoint_id.encode()
        head = b"POST /callbacks/%s/pay/callback%s HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n" % (
            endpoint,
            query,
        )
        head += b"Content-Type: application/json\r\nContent-Length: %d\r\n%s\r\n\r\n" % (len(self.body), lines)
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(self.stack.url).port)
        async with asyncio.timeout(10):
            writer.write(head + self.body)
            answer = await reader.read()
        writer.close()
        return int(answer.split()[1]) if answer else 0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bridge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bridge]:
    """One callback that would capture one payment; nothing wrong must ever do so."""
    async with running_stack(tmp_path_factory.mktemp("headers")) as stack:
        payment = await new_payment(stack)
        yield Bridge(stack, payment["id"], signed_body(stack, payment))


@pytest.mark.parametrize("lines", WRONG, ids=repr)
async def test_anything_but_the_token_in_its_header_is_refused(bridge: Bridge, lines: bytes) -> None:
    """Missing, twice, corrupted, folded, smuggled, or under another name."""
    assert 400 <= await bridge.send(lines) < 500


@pytest.mark.parametrize("query", [b"?{name}={token}", b"?token={token}", b"#{token}"], ids=repr)
async def test_a_token_in_the_address_is_none(bridge: Bridge, query: bytes) -> None:
    """The address is written to logs everywhere: nothing there proves anything."""
    assert 400 <= await bridge.send(b"x: y", query) < 500


@pytest.mark.parametrize("lines", RIGHT, ids=repr)
async def test_the_token_in_its_header_is_taken(bridge: Bridge, lines: bytes) -> None:
    """The cases above mean something: the same callback with one right header is recorded."""
    assert await bridge.send(lines) == 204
    assert (await stored(bridge.stack, bridge.payment_id)).state == "captured"
