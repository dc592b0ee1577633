"""What is special about the way through a proxy: who is asked, who refuses, and what aiohttp's errors mean."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
import trustme
from aioresponses import aioresponses

from gateway.core.errors import NotSent, OutcomeUnknown, ProviderError
from gateway.core.wire import HttpResponse
from gateway.drivers.sender.connection_slots import ConnectionSlots
from gateway.drivers.sender.proxied import Proxied
from gateway.drivers.sender.sender import Sender
from tests.drivers.test_sender_tls import server_context
from tests.support.factories.senders import ask, assert_not_sent, free_port, trusting
from tests.support.mocked_response import MockedResponse
from tests.support.servers.forward_proxy import forward_proxy
from tests.support.servers.scripted_tcp import OK, saying, scripted_server
from tests.support.stack import new_key, psp_body, running_stack

URL = "https://psp.example/pay"


async def refused(proxy: str, url: str, *, allow_private: bool = True) -> ProviderError:
    """Send through a proxy and return the error it must end with."""
    async with Sender(Proxied(proxy), ConnectionSlots(1), allow_private=allow_private) as sender:
        with pytest.raises(ProviderError) as caught:
            await ask(sender, url)
    return caught.value


async def test_https_goes_through_a_tunnel() -> None:
    """The proxy is asked for a tunnel and sees neither path nor secrets; the certificate is the server's."""
    authority = trustme.CA()
    context = server_context(authority.issue_cert("localhost"))
    async with (
        forward_proxy() as proxy,
        scripted_server(saying(OK), ssl=context) as remote,
        Sender(Proxied(proxy.url, tls=trusting(authority)), ConnectionSlots(1)) as sender,
    ):
        response = await ask(sender, f"https://localhost:{remote.port}/pay?secret=1")
    assert response.status == 200
    assert proxy.asked == [f"CONNECT localhost:{remote.port} HTTP/1.1".encode()]
    assert remote.requests[0].startswith(b"POST /pay?secret=1 HTTP/1.1\r\n")


async def test_a_proxy_that_refuses() -> None:
    """Where the proxy makes no tunnel nothing was sent."""
    async with forward_proxy(refuses=True) as proxy:
        assert_not_sent(await refused(proxy.url, URL), "connect_failed", why="by egress.proxy: the proxy answered 4")


async def test_a_proxy_that_is_not_there() -> None:
    """Nothing was sent, and nothing goes around it."""
    async with scripted_server(saying(OK)) as remote:
        error = await refused(f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{remote.port}/")
    assert_not_sent(error, "connect_failed", why="by egress.proxy: the connection was refused")
    assert remote.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "169.254.169.254"])
async def test_an_address_in_the_url_is_judged_here(host: str) -> None:
    """What the text alone tells is not left to the proxy."""
    async with forward_proxy() as proxy:
        assert_not_sent(await refused(proxy.url, f"https://{host}/", allow_private=False), "address_not_allowed")
    assert proxy.asked == []


@pytest.mark.parametrize("host", ["127.1", "0x7f000001"])
async def test_an_unusual_address_is_not_passed_on(host: str) -> None:
    """What programs read differently never reaches the proxy."""
    async with forward_proxy() as proxy:
        error = await refused(proxy.url, f"https://{host}/", allow_private=False)
        assert_not_sent(error, "invalid_url", connection=False)
    assert proxy.asked == []


async def test_the_settings_name_the_proxy(tmp_path: Path) -> None:
    """``egress.proxy``: every call of a gateway to a provider, and every webhook, takes it."""
    async with forward_proxy() as proxy:

        def change(written: dict) -> None:
            written["egress"] = {"proxy": proxy.url}

        async with running_stack(tmp_path, change=change) as stack:
            payment = (await stack.create(psp_body(), key=new_key())).json
            await stack.webhook(payment["id"], "payment.created")
    assert payment["state"] == "awaiting_customer"
    ports = {line.split(b"/")[2].rpartition(b":")[2].decode() for line in proxy.asked}
    assert ports == {str(stack.ports["psp"]), str(stack.ports["hooks"])}


def test_without_a_proxy_this_client_is_not_imported() -> None:
    """What not everybody needs costs nothing."""
    code = """
import sys
from gateway.drivers.sender import ClosingConnections, ConnectionSlots, make_sender
make_sender(proxy=None, allow_private=False, slots=ConnectionSlots(1), closing=ClosingConnections(1))
assert "gateway.drivers.sender.proxied" not in sys.modules
assert "aiohttp" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


class TestMocked:
    async def test_an_answer(self) -> None:
        """The parts of an answer are taken over one by one."""
        with aioresponses() as provider:
            provider.post(URL, status=201, body=b"{}", response_class=MockedResponse)
            async with Sender(Proxied("http://proxy.example:3128"), ConnectionSlots(1)) as sender:
                response = await ask(sender, URL)
        assert response == HttpResponse(status=201, headers=(("Content-Type", "application/json"),), body=b"{}")

    @pytest.mark.parametrize(
        ("problem", "kind", "word"),
        [
            (aiohttp.ConnectionTimeoutError(), NotSent, "connect_failed"),
            (aiohttp.ServerDisconnectedError(), OutcomeUnknown, "connection_lost"),
            (aiohttp.SocketTimeoutError(), OutcomeUnknown, "timeout"),
            (aiohttp.ClientPayloadError(), OutcomeUnknown, "connection_lost"),
            (TimeoutError(), OutcomeUnknown, "timeout"),
            (ConnectionResetError(), OutcomeUnknown, "connection_lost"),
        ],
    )
    async def test_an_error(self, problem: Exception, kind: type[ProviderError], word: str) -> None:
        """What nothing is known of counts as sent; only errors of connecting do not."""
        with aioresponses() as provider:
            provider.post(URL, exception=problem)
            error = await refused("http://proxy.example:3128", URL, allow_private=False)
        assert (type(error), str(error)) == (kind, word)
