"""Both ways out against servers that misbehave in every way, on real sockets: one behaviour, two implementations."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from gateway.core.errors import OutcomeUnknown
from gateway.core.wire import HttpResponse
from gateway.drivers.sender.response_parser import MAX_BODY_BYTES
from tests.support.factories.senders import WAYS, ask, assert_not_sent, failure, free_port, opening, send
from tests.support.passing_time import pass_time
from tests.support.servers.scripted_tcp import (
    OK,
    Script,
    ScriptedServer,
    dripping,
    keep_alive,
    pouring,
    saying,
    saying_then_reset,
    saying_then_silence,
    scripted_server,
    silent,
)

SOON = 0.2
HANGS = 3
LONG = 60
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

pytestmark = pytest.mark.parametrize("way", WAYS)


class TestAnswers:
    async def test_an_answer_is_returned_whole(self, way: str) -> None:
        """Status, headers in order and body come back as they were sent."""
        reply = b"HTTP/1.1 404 Not Found\r\nX-A: 1\r\nX-A:  2 \r\nContent-Length: 4\r\n\r\nnope"
        async with scripted_server(saying(reply)) as remote:
            response = await send(remote.url, way=way)
        assert response == HttpResponse(
            status=404, headers=(("X-A", "1"), ("X-A", "2"), ("Content-Length", "4")), body=b"nope"
        )

    @pytest.mark.parametrize(
        "reply",
        [
            OK,
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK,
            CHUNKED + b"1;x=y\r\no\r\n1\r\nk\r\n0\r\nTrailer: 1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\nok",
            b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nok",
        ],
        ids=["length", "interim", "chunks", "until the end", "old", "an offered upgrade"],
    )
    async def test_every_form_of_body(self, way: str, reply: bytes) -> None:
        """A body ends where its length, its last chunk or the connection ends; interim answers are passed over."""
        async with scripted_server(saying(reply)) as remote:
            response = await send(remote.url, way=way)
        assert (response.status, response.body) == (200, b"ok")

    @pytest.mark.parametrize(
        ("method", "reply"),
        [
            ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
            ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            ("POST", b"HTTP/1.1 204 No Content\r\n\r\n"),
            ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        ],
    )
    async def test_an_answer_without_a_body(self, way: str, method: str, reply: bytes) -> None:
        """Where no body can be, none is waited for."""
        async with scripted_server(saying_then_silence(reply)) as remote:
            response = await send(remote.url, method, way=way)
        assert (response.status, response.body) == (int(reply[9:12]), b"")

    async def test_the_url_is_sent_as_it_stands(self, way: str) -> None:
        """A placeholder and the escapes of a query are not encoded again."""
        async with scripted_server(saying(OK)) as remote:
            await send(remote.url + "/a%2fb?key=%CKKEY%&text=%7e+%20#top", way=way)
        assert remote.requests[0].startswith(b"POST /a%2fb?key=%CKKEY%&text=%7e+%20 HTTP/1.1\r\n")

    @pytest.mark.parametrize(("rest", "path"), [("", b"/"), ("?a=b", b"/?a=b")])
    async def test_a_url_without_a_path(self, way: str, rest: str, path: bytes) -> None:
        """The root is asked for."""
        async with scripted_server(saying(OK)) as remote:
            await send(remote.url + rest, way=way)
        assert remote.requests[0].split(b" ")[1] == path

    async def test_the_request_is_sent_as_it_stands(self, way: str) -> None:
        """Headers and body are the given ones; no media type is invented and no compression asked for."""
        async with scripted_server(saying(OK)) as remote, opening(way)() as sender:
            await ask(sender, remote.url, headers=(("X-Sign", "AB"), ("X-Sign", "CD")), body=b'{"a":1}')
        head, _, body = remote.requests[0].partition(b"\r\n\r\n")
        assert b"X-Sign: AB\r\nX-Sign: CD" in head
        assert b"Accept-Encoding: identity" in head
        assert b"User-Agent: payment-gateway" in head
        assert f"Host: 127.0.0.1:{remote.port}".encode() in head
        assert b"content-type" not in head.lower()
        assert body == b'{"a":1}'

    async def test_a_plugin_may_give_its_own_user_agent(self, way: str) -> None:
        """What a request says itself is not said twice."""
        async with scripted_server(saying(OK)) as remote, opening(way)() as sender:
            await ask(sender, remote.url, headers=(("user-agent", "acme/1"), ("accept", "text/plain")))
        head = remote.requests[0].lower()
        assert (head.count(b"user-agent: "), head.count(b"accept: ")) == (1, 1)
        assert b"user-agent: acme/1\r\n" in head

    async def test_a_request_cannot_say_how_it_is_framed(self, way: str) -> None:
        """Length, encoding and the use of the connection are ours, whatever a plugin gives."""
        told = (
            ("Content-Length", "1"),
            ("Transfer-Encoding", "chunked"),
            ("Connection", "keep-alive"),
            ("Expect", "100-continue"),
        )
        async with scripted_server(saying(OK)) as remote, opening(way)() as sender:
            await ask(sender, remote.url, headers=told, body=b"whole")
        head, _, body = remote.requests[0].lower().partition(b"\r\n\r\n")
        assert b"content-length: 5" in head
        assert b"connection: close" in head
        assert not any(word in head for word in (b"chunked", b"keep-alive", b"expect"))
        assert body == b"whole"

    async def test_a_redirect_is_an_answer(self, way: str) -> None:
        """A 302 comes back as it is, and where it points nobody is called."""
        async with scripted_server(saying(OK)) as elsewhere:
            reply = f"HTTP/1.1 302 Found\r\nLocation: {elsewhere.url}\r\nContent-Length: 0\r\n\r\n"
            async with scripted_server(saying(reply.encode())) as remote:
                response = await send(remote.url, "GET", way=way)
        assert response.status == 302
        assert elsewhere.connections == 0

    async def test_compressed_bytes_stay_compressed(self, way: str) -> None:
        """A gzip bomb is a small body: nothing is unpacked, so memory stays bounded."""
        bomb = gzip.compress(bytes(20_000_000))
        reply = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
        async with scripted_server(saying(reply, bomb)) as remote:
            assert (await send(remote.url, way=way)).body == bomb

    async def test_a_body_may_be_as_large_as_the_limit(self, way: str) -> None:
        """64 KiB exactly is read."""
        reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % MAX_BODY_BYTES
        async with scripted_server(saying(reply, b"x" * MAX_BODY_BYTES)) as remote:
            assert len((await send(remote.url, way=way)).body) == MAX_BODY_BYTES

    @pytest.mark.parametrize(
        "script", [pouring, saying(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", bytes(99999))]
    )
    async def test_a_body_may_be_cut(self, way: str, script: Script) -> None:
        """Where the status alone is wanted, the beginning of a body that is too large is returned."""
        async with scripted_server(script) as remote, opening(way)(cuts_bodies=True) as sender:
            response = await ask(sender, remote.url)
        assert (response.status, len(response.body)) == (200, MAX_BODY_BYTES)

    async def test_no_cookie_is_kept(self, way: str) -> None:
        """What one answer sets, the next request does not carry."""
        reply = OK.replace(b"\r\n", b"\r\nSet-Cookie: a=b\r\n", 1)
        async with scripted_server(saying(reply)) as remote, opening(way)() as sender:
            for _ in range(2):
                await ask(sender, remote.url, "GET")
        assert b"cookie" not in remote.requests[1].lower()

    async def test_no_proxy_of_the_environment_is_used(self, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """``HTTP_PROXY`` is not obeyed."""
        async with scripted_server(saying(OK)) as proxy, scripted_server(saying(OK)) as remote:
            monkeypatch.setenv("HTTP_PROXY", proxy.url)
            monkeypatch.setenv("http_proxy", proxy.url)
            await send(remote.url, way=way)
        assert (proxy.connections, remote.connections) == (0, 1)


class TestNotSent:
    @pytest.mark.parametrize("limits", [{"connect": SOON}, {"total": SOON}])
    async def test_a_handshake_that_never_ends(self, way: str, limits: dict[str, float]) -> None:
        """Either deadline that ends within the TLS handshake ends before anything was sent."""
        async with scripted_server(silent) as remote, asyncio.timeout(HANGS):
            assert_not_sent(await failure(f"https://127.0.0.1:{remote.port}/", way=way, **limits), "connect_failed")

    @pytest.mark.parametrize(
        "script", [saying_then_reset(b"HTTP/1.1 400 Bad Request\r\n\r\n"), saying(b"no TLS here\r\n\r\n")]
    )
    async def test_a_handshake_that_fails(self, way: str, script: Script) -> None:
        """A server that does not speak TLS got nothing of the request."""

        async def hello(remote: ScriptedServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            reader.feed_eof()
            await script(remote, reader, writer)

        async with scripted_server(hello) as remote:
            assert_not_sent(await failure(f"https://127.0.0.1:{remote.port}/", way=way), "connect_failed")

    async def test_a_refused_connection(self, way: str) -> None:
        """Where nobody listens nothing was sent."""
        assert_not_sent(await failure(f"https://127.0.0.1:{free_port()}/?secret=1", way=way), "connect_failed")

    @pytest.mark.parametrize(
        "url",
        [
            "https:///path",
            "ftp://127.0.0.1/",
            "https://[::1/",
            "nonsense",
            "https://127.0.0.1:0/",
            "https://127.0.0.1:65536/",
            "https://user:pass@127.0.0.1/",
            "https://127.0.0.1/a b",
            "https://127.0.0.1/\r\nX: y",
            "https://127.0.0.1/\x00",
            "https://bücher.example/",
        ],
    )
    async def test_a_url_that_is_none(self, way: str, url: str) -> None:
        """A URL nobody can be called at, or that would end its line early, sends nothing."""
        assert_not_sent(await failure(url, way=way), "invalid_url", connection=False)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("X-A", "a\r\nX-B: b"),
            ("X-A", "a\nb"),
            ("X-A", "a\rb"),
            ("X-A", "a\x00b"),
            ("X-A", "a\x7fb"),
            ("X-A", "\u20ac"),
            ("X-A: b\r\nX-B", "c"),
            ("X A", "b"),
            ("X-A:", "b"),
            ("", "b"),
            ("X-\u00c4", "b"),
        ],
    )
    async def test_a_header_that_cannot_be_written(self, way: str, name: str, value: str) -> None:
        """What would end its line early, or has no bytes, sends nothing and connects nowhere."""
        async with scripted_server(saying(OK)) as remote, opening(way)() as sender:
            with pytest.raises(Exception) as caught:  # noqa: PT011  # looked at below
                await ask(sender, remote.url, headers=((name, value),))
        assert_not_sent(caught.value, "invalid_header", connection=False)
        assert remote.connections == 0

    @pytest.mark.parametrize("method", ["", "PO ST", "GET / HTTP/1.1\r\nX: y", "CONNECT"])
    async def test_a_method_that_is_none(self, way: str, method: str) -> None:
        """A method that would end its line early, or make a tunnel, sends nothing."""
        async with scripted_server(saying(OK)) as remote:
            assert_not_sent(await failure(remote.url, method, way=way), "invalid_method", connection=False)
        assert remote.connections == 0

    @pytest.mark.parametrize(
        ("host", "word"),
        [
            *((host, "address_not_allowed") for host in ("127.0.0.1", "[::1]", "[::ffff:127.0.0.1]")),
            *((host, "invalid_url") for host in ("127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "127.0.0.1.")),
        ],
    )
    async def test_a_private_address(self, way: str, host: str, word: str) -> None:
        """Outside development a loopback address is judged at the socket, in whatever spelling, before a connection."""
        async with scripted_server(keep_alive) as remote:
            error = await failure(f"https://{host}:{remote.port}/", way=way, allow_private=False)
        assert_not_sent(error, word, connection=word != "invalid_url")
        assert remote.connections == 0

    async def test_plain_http(self, way: str) -> None:
        """Outside development nothing is sent in the clear."""
        async with scripted_server(keep_alive) as remote:
            assert_not_sent(await failure(remote.url, way=way, allow_private=False), "https_required")
        assert remote.connections == 0


UNKNOWN = [
    ("silence", silent, "timeout"),
    ("silence within the head", saying_then_silence(b"HTTP/1.1 200 OK\r\nContent-"), "timeout"),
    ("silence within the body", saying_then_silence(HEAD, b"x"), "timeout"),
    ("a body in drips", dripping, "timeout"),
    ("an interim answer and silence", saying_then_silence(b"HTTP/1.1 100 Continue\r\n\r\n"), "timeout"),
    ("a close without an answer", saying(), "connection_lost"),
    ("a close after an interim answer", saying(b"HTTP/1.1 100 Continue\r\n\r\n"), "connection_lost"),
    ("a close within the head", saying(b"HTTP/1.1 200 OK\r\nContent-"), "connection_lost"),
    ("a reset without an answer", saying_then_reset(), "connection_lost"),
    ("a reset within the head", saying_then_reset(b"HTTP/1.1 200 OK\r\nContent-"), "connection_lost"),
    ("a reset within the body", saying_then_reset(HEAD, b"x" * 50), "connection_lost"),
    ("a short body", saying(HEAD, b"x" * 50), "connection_lost"),
    ("a short chunk", saying(CHUNKED + b"5\r\nab"), "connection_lost"),
    ("no last chunk", saying(CHUNKED + b"2\r\nok\r\n"), "connection_lost"),
    ("no HTTP", saying(b"220 mail.example ESMTP\r\n\r\n"), "bad_http"),
    ("an endless header", saying(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 20_000, b"\r\n\r\n"), "bad_http"),
    ("two lengths", saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), "bad_http"),
    (
        "a length and chunks",
        saying(CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\n") + b"2\r\nok\r\n0\r\n\r\n"),
        "bad_http",
    ),
    ("a length with a sign", saying(b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok"), "bad_http"),
    ("a chunk without a size", saying(CHUNKED + b"zz\r\nok\r\n0\r\n\r\n"), "bad_http"),
    ("a body over the limit", saying(b"HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n", b"x" * 65537), "too_large"),
    ("a body without end", pouring, "too_large"),
]


class TestOutcomeUnknown:
    @pytest.mark.parametrize(("script", "word"), [pytest.param(*row[1:], id=row[0]) for row in UNKNOWN])
    async def test_after_sending(self, way: str, script: Script, word: str) -> None:
        """Whatever happens instead of a whole answer leaves the outcome open, in one fixed word."""
        async with scripted_server(script) as remote:
            asked = asyncio.create_task(failure(remote.url + "/?secret=1", way=way, total=LONG))
            if word == "timeout":
                await remote.heard.wait()  # a deadline that passes before the request has left says something else
                pass_time(LONG)
            error = await asked
        assert type(error) is OutcomeUnknown
        assert str(error) == word
        assert error.__cause__ is None
        assert error.__suppress_context__ or error.__context__ is None

    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "POST"])
    async def test_a_dropped_request_is_not_sent_again(self, way: str, method: str) -> None:
        """On a connection that is dropped, the server sees one request, whatever the method."""
        async with scripted_server(saying()) as remote:
            assert type(await failure(remote.url, method, way=way)) is OutcomeUnknown
        assert len(remote.requests) == 1

    async def test_a_cancelled_call_is_no_error_of_the_provider(self, way: str) -> None:
        """Cancellation passes through, and closes the connection."""
        heard, gone = asyncio.Event(), asyncio.Event()

        async def script(remote: ScriptedServer, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            await remote.hear(reader)
            heard.set()
            await reader.read()
            gone.set()

        async with scripted_server(script) as remote, opening(way)() as sender:
            call = asyncio.create_task(ask(sender, remote.url))
            await heard.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            async with asyncio.timeout(HANGS):
                await gone.wait()


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
async def test_no_connection_is_used_twice(way: str, method: str) -> None:
    """Each call has a connection of its own, also where the server would keep one."""
    async with scripted_server(keep_alive) as remote, opening(way)() as sender:
        for _ in range(3):
            await ask(sender, remote.url, method)
    assert (len(remote.requests), remote.connections) == (3, 3)
