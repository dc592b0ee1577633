"""The sender against servers that misbehave in every way, on real sockets; plain answers with aioresponses."""

from __future__ import annotations

import asyncio
import gzip
import socket

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from aioresponses import aioresponses

from gateway.core.errors import NotSent, OutcomeUnknown, ProviderError
from gateway.core.wire import HttpRequest, HttpResponse
from gateway.drivers import sender as module
from gateway.drivers.sender import BODY_LIMIT, Sender
from tests.drivers.far_side import (
    OK,
    FarSide,
    Script,
    dripping,
    far_side,
    keep_alive,
    pouring,
    saying,
    saying_then_reset,
    saying_then_silence,
    silent,
)
from tests.fakes import MockedResponse

SOON = 0.2
HANGS = 3
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"


class FakeResolver(AbstractResolver):
    """Answers every name with one address; with an error when there is none; never when told ``...``."""

    def __init__(self, address: str | None) -> None:
        self.address = address

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002  # part of the interface
    ) -> list[ResolveResult]:
        if self.address == "...":
            await asyncio.get_running_loop().create_future()
        if self.address is None:
            raise OSError(None, "no such name")
        return [ResolveResult(hostname=host, host=self.address, port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        """There is nothing to close."""


async def send(
    url: str, method: str = "POST", *, total: float = 5, connect: float = 5, **sender: object
) -> HttpResponse:
    """Send one small request with a sender of its own."""
    body = b'{"amount":"10.00"}' if method in {"POST", "PUT"} else b""
    async with Sender(**({"allow_private": True} | sender)) as own:
        return await own.send(
            HttpRequest(method=method, url=url, body=body), total=total, connect=connect, owner="acme/psp"
        )


async def failure(*args: object, **kwargs: object) -> ProviderError:
    """Send and return the error it must end with."""
    with pytest.raises(ProviderError) as caught:
        await send(*args, **kwargs)
    return caught.value


def free_port() -> int:
    """A port of the loopback interface on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


class TestAnswers:
    async def test_an_answer_is_returned_whole(self) -> None:
        """Status, headers in order and body come back as they were sent."""
        reply = b"HTTP/1.1 404 Not Found\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 4\r\n\r\nnope"
        async with far_side(saying(reply)) as far:
            response = await send(far.url)
        assert response == HttpResponse(
            status=404, headers=(("X-A", "1"), ("X-A", "2"), ("Content-Length", "4")), body=b"nope"
        )

    async def test_the_url_is_sent_as_it_stands(self) -> None:
        """A placeholder and the escapes of a query are not encoded again."""
        async with far_side(saying(OK)) as far:
            await send(far.url + "/a%2fb?key=%CKKEY%&text=%7e+%20")
        assert far.requests[0].startswith(b"POST /a%2fb?key=%CKKEY%&text=%7e+%20 HTTP/1.1\r\n")

    async def test_the_request_is_sent_as_it_stands(self) -> None:
        """Headers and body are the given ones; no media type is invented and no compression asked for."""
        request = {"method": "POST", "headers": (("X-Sign", "AB"), ("X-Sign", "CD")), "body": b'{"a":1}'}
        async with far_side(saying(OK)) as far, Sender(allow_private=True) as sender:
            await sender.send(HttpRequest(url=far.url, **request), total=5, connect=5, owner="acme/psp")
        head, _, body = far.requests[0].partition(b"\r\n\r\n")
        assert b"X-Sign: AB\r\nX-Sign: CD" in head
        assert b"Accept-Encoding: identity" in head
        assert b"content-type" not in head.lower()
        assert body == b'{"a":1}'

    async def test_a_redirect_is_an_answer(self) -> None:
        """A 302 comes back as it is, and where it points nobody is called."""
        async with far_side(saying(OK)) as elsewhere:
            reply = f"HTTP/1.1 302 Found\r\nLocation: {elsewhere.url}\r\nContent-Length: 0\r\n\r\n"
            async with far_side(saying(reply.encode())) as far:
                response = await send(far.url, "GET")
        assert response.status == 302
        assert elsewhere.connections == 0

    async def test_compressed_bytes_stay_compressed(self) -> None:
        """A gzip bomb is a small body: nothing is unpacked, so memory stays bounded."""
        bomb = gzip.compress(bytes(20_000_000))
        reply = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
        async with far_side(saying(reply, bomb)) as far:
            assert (await send(far.url)).body == bomb

    async def test_a_body_may_be_as_large_as_the_limit(self) -> None:
        """64 KiB exactly is read."""
        reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BODY_LIMIT
        async with far_side(saying(reply, b"x" * BODY_LIMIT)) as far:
            assert len((await send(far.url)).body) == BODY_LIMIT

    async def test_no_cookie_is_kept(self) -> None:
        """What one answer sets, the next request does not carry."""
        reply = OK.replace(b"\r\n", b"\r\nSet-Cookie: a=b\r\nConnection: close\r\n", 1)
        async with far_side(saying(reply)) as far, Sender(allow_private=True) as sender:
            for _ in range(2):
                await sender.send(HttpRequest(method="GET", url=far.url), total=5, connect=5, owner="acme/psp")
        assert b"cookie" not in far.requests[1].lower()

    async def test_no_proxy_of_the_environment_is_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """``HTTP_PROXY`` is not obeyed."""
        async with far_side(saying(OK)) as proxy, far_side(saying(OK)) as far:
            monkeypatch.setenv("HTTP_PROXY", proxy.url)
            monkeypatch.setenv("http_proxy", proxy.url)
            await send(far.url)
        assert (proxy.connections, far.connections) == (0, 1)


class TestNotSent:
    async def test_a_refused_connection(self) -> None:
        """Where nobody listens nothing was sent."""
        error = await failure(f"http://127.0.0.1:{free_port()}/?secret=1")
        assert_not_sent(error, "connect_failed")

    async def test_a_name_that_does_not_resolve(self) -> None:
        """Without an address nothing was sent."""
        assert_not_sent(await failure("http://shop.example/", resolver=FakeResolver(None)), "connect_failed")

    @pytest.mark.parametrize("limits", [{"connect": SOON}, {"total": SOON}])
    async def test_a_resolver_that_never_answers(self, limits: dict[str, float]) -> None:
        """Either deadline that ends while the name is looked up ends before anything was sent."""
        async with asyncio.timeout(HANGS):
            error = await failure("http://shop.example/", resolver=FakeResolver("..."), **limits)
        assert_not_sent(error, "connect_failed")

    @pytest.mark.parametrize("limits", [{"connect": SOON}, {"total": SOON}])
    async def test_a_handshake_that_never_ends(self, limits: dict[str, float]) -> None:
        """Either deadline that ends within the TLS handshake ends before anything was sent."""
        async with far_side(silent) as far, asyncio.timeout(HANGS):
            assert_not_sent(await failure(f"https://127.0.0.1:{far.port}/", **limits), "connect_failed")

    @pytest.mark.parametrize(
        "script", [saying_then_reset(b"HTTP/1.1 400 Bad Request\r\n\r\n"), saying(b"no TLS here\r\n\r\n")]
    )
    async def test_a_handshake_that_fails(self, script: Script) -> None:
        """A server that does not speak TLS got nothing of the request."""

        async def hello(far: FarSide, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            reader.feed_eof()
            await script(far, reader, writer)

        async with far_side(hello) as far:
            assert_not_sent(await failure(f"https://127.0.0.1:{far.port}/"), "connect_failed")

    @pytest.mark.parametrize("url", ["https:///path", "ftp://127.0.0.1/", "https://[::1/", "nonsense"])
    async def test_an_address_that_is_none(self, url: str) -> None:
        """A URL nobody can be called at sends nothing."""
        assert_not_sent(await failure(url), "connect_failed")

    async def test_a_private_address(self) -> None:
        """Outside development a loopback address is judged at the socket, before a connection."""
        async with far_side(keep_alive) as far:
            error = await failure(f"https://127.0.0.1:{far.port}/", allow_private=False)
        assert_not_sent(error, "address_not_allowed")
        assert far.connections == 0

    async def test_a_name_that_leads_to_a_private_address(self) -> None:
        """The address is judged, not the name: a resolver that answers 127.0.0.1 opens no connection."""
        async with far_side(keep_alive) as far:
            url = f"https://shop.example:{far.port}/"
            error = await failure(url, allow_private=False, resolver=FakeResolver("127.0.0.1"))
        assert_not_sent(error, "address_not_allowed")
        assert far.connections == 0

    async def test_plain_http(self) -> None:
        """Outside development nothing is sent in the clear."""
        async with far_side(keep_alive) as far:
            assert_not_sent(await failure(far.url, allow_private=False), "https_required")
        assert far.connections == 0


UNKNOWN = [
    ("silence", silent, "timeout"),
    ("silence within the head", saying_then_silence(b"HTTP/1.1 200 OK\r\nContent-"), "timeout"),
    ("silence within the body", saying_then_silence(HEAD, b"x"), "timeout"),
    ("a body in drips", dripping, "timeout"),
    ("a close without an answer", saying(), "connection_lost"),
    ("a reset without an answer", saying_then_reset(), "connection_lost"),
    ("a reset within the head", saying_then_reset(b"HTTP/1.1 200 OK\r\nContent-"), "connection_lost"),
    ("a reset within the body", saying_then_reset(HEAD, b"x" * 50), "connection_lost"),
    ("a short body", saying(HEAD, b"x" * 50), "connection_lost"),
    ("a short chunk", saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"), "connection_lost"),
    ("no HTTP", saying(b"220 mail.example ESMTP\r\n\r\n"), "bad_http"),
    ("an endless header", saying(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 20_000, b"\r\n\r\n"), "bad_http"),
    ("two lengths", saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), "bad_http"),
    ("a body over the limit", saying(b"HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n", b"x" * 65537), "too_large"),
    ("a body without end", pouring, "too_large"),
]


class TestOutcomeUnknown:
    @pytest.mark.parametrize(("script", "word"), [pytest.param(*row[1:], id=row[0]) for row in UNKNOWN])
    async def test_after_sending(self, script: Script, word: str) -> None:
        """Whatever happens instead of a whole answer leaves the outcome open, in one fixed word."""
        async with far_side(script) as far:
            error = await failure(far.url + "/?secret=1", total=SOON if word == "timeout" else 5)
        assert type(error) is OutcomeUnknown
        assert str(error) == word
        assert error.__cause__ is None
        assert error.__suppress_context__

    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "POST"])
    async def test_a_dropped_request_is_not_sent_again(self, method: str) -> None:
        """On a new connection that is dropped, the provider sees one request, whatever the method."""
        async with far_side(saying()) as far:
            assert type(await failure(far.url, method)) is OutcomeUnknown
        assert len(far.requests) == 1

    @pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
    async def test_a_request_on_a_dropped_kept_connection_is_not_sent_again(self, method: str) -> None:
        """On a kept connection that is dropped under the second request, the provider sees it once."""

        async def one_answer(far: FarSide, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await saying(OK)(far, reader, writer)
            await far.hear(reader)

        async with far_side(one_answer) as far, Sender(allow_private=True) as sender:
            request = HttpRequest(method=method, url=far.url)
            await sender.send(request, total=5, connect=5, owner="acme/psp")
            with pytest.raises(OutcomeUnknown):
                await sender.send(request, total=5, connect=5, owner="acme/psp")
        assert (len(far.requests), far.connections) == (2, 1)

    async def test_a_cancelled_call_is_no_error_of_the_provider(self) -> None:
        """Cancellation passes through."""
        heard = asyncio.Event()

        async def script(far: FarSide, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            await far.hear(reader)
            heard.set()
            await reader.read()

        async with far_side(script) as far:
            call = asyncio.create_task(send(far.url))
            await heard.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call


class TestConnections:
    async def test_a_connection_in_use_is_used_again(self) -> None:
        """Calls in quick succession share a connection."""
        async with far_side(keep_alive) as far, Sender(allow_private=True) as sender:
            for _ in range(3):
                await sender.send(
                    HttpRequest(method="POST", url=far.url, body=b"x"), total=5, connect=5, owner="acme/psp"
                )
        assert (len(far.requests), far.connections) == (3, 1)

    async def test_an_idle_connection_is_not_used_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Once a connection was idle for longer than ``KEEPALIVE``, a call opens its own."""
        monkeypatch.setattr(module, "KEEPALIVE", 0.0)
        async with far_side(keep_alive) as far, Sender(allow_private=True) as sender:
            for _ in range(3):
                await sender.send(
                    HttpRequest(method="POST", url=far.url, body=b"x"), total=5, connect=5, owner="acme/psp"
                )
        assert (len(far.requests), far.connections) == (3, 3)

    async def test_a_call_that_waits_for_a_connection_was_not_sent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A host whose connections are all taken costs its own callers a connect error, and nobody's money."""
        monkeypatch.setattr(module, "CONNECTIONS_PER_HOST", 1)
        heard = asyncio.Event()

        async def script(far: FarSide, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            await far.hear(reader)
            heard.set()
            await reader.read()

        async with far_side(script) as far, Sender(allow_private=True) as sender:
            request = HttpRequest(method="POST", url=far.url, body=b"x")
            first = asyncio.create_task(sender.send(request, total=5, connect=5, owner="acme/psp"))
            await heard.wait()
            with pytest.raises(NotSent):
                await sender.send(request, total=5, connect=SOON, owner="acme/psp")
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
        assert len(far.requests) == 1


class TestMocked:
    URL = "https://psp.example/pay"

    async def test_an_answer(self) -> None:
        """The parts of an answer are taken over one by one."""
        with aioresponses() as provider:
            provider.post(self.URL, status=201, body=b"{}", response_class=MockedResponse)
            response = await send(self.URL, allow_private=False)
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
            provider.post(self.URL, exception=problem)
            error = await failure(self.URL, allow_private=False)
        assert (type(error), str(error)) == (kind, word)


def assert_not_sent(error: ProviderError, word: str) -> None:
    """The error is ``NotSent`` for want of a connection, in one fixed word."""
    assert type(error) is NotSent
    assert error.connection
    assert str(error) == word
