"""Real TLS with an authority made here: who is believed, and how a connection may end. Both ways out."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trustme

from gateway.core.errors import OutcomeUnknown
from gateway.drivers.sender.connection import ClosingConnections
from gateway.drivers.tls import system_tls
from tests.support.factories.senders import (
    WAYS,
    ask,
    assert_not_sent,
    direct,
    failure,
    opening,
    resolving_to,
    send,
    trusting,
)
from tests.support.servers.scripted_tcp import OK, ScriptedServer, saying, scripted_server

HOST = "localhost"
HANGS = 5


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority that the clients of these tests believe."""
    return trustme.CA()


def server_context(
    certificate: trustme.LeafCert, edit: Callable[[ssl.SSLContext], None] = lambda _: None
) -> ssl.SSLContext:
    """What a server needs to speak TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    edit(context)
    return context


@asynccontextmanager
async def tls_far_side(context: ssl.SSLContext, script: Any = None) -> AsyncIterator[ScriptedServer]:
    """A server that speaks TLS and plays a script."""
    async with scripted_server(script or saying(OK), ssl=context) as remote:
        yield remote


@pytest.mark.parametrize("way", WAYS)
class TestWhoIsBelieved:
    async def test_a_good_certificate(self, authority: trustme.CA, way: str) -> None:
        """A chain to the authority, in time, for this name."""
        async with tls_far_side(server_context(authority.issue_cert(HOST))) as remote:
            response = await send(f"https://{HOST}:{remote.port}/", way=way, tls=trusting(authority))
        assert (response.status, len(remote.requests)) == (200, 1)

    async def test_an_address_in_the_certificate(self, authority: trustme.CA, way: str) -> None:
        """An address is a name like another."""
        async with tls_far_side(server_context(authority.issue_cert("127.0.0.1"))) as remote:
            assert (await send(f"https://127.0.0.1:{remote.port}/", way=way, tls=trusting(authority))).status == 200

    @pytest.mark.parametrize("why", ["wrong name", "expired", "not yet", "self-signed", "another authority"])
    async def test_a_bad_certificate(self, authority: trustme.CA, way: str, why: str) -> None:
        """Nothing is sent to whom we cannot be sure of."""
        now = datetime.now(UTC)
        certificate = {
            "wrong name": lambda: authority.issue_cert("other.example"),
            "expired": lambda: authority.issue_cert(
                HOST, not_before=now - timedelta(days=2), not_after=now - timedelta(days=1)
            ),
            "not yet": lambda: authority.issue_cert(
                HOST, not_before=now + timedelta(days=1), not_after=now + timedelta(days=2)
            ),
            "self-signed": lambda: trustme.CA().issue_cert(HOST),
            "another authority": lambda: trustme.CA().create_child_ca().issue_cert(HOST),
        }[why]()
        async with tls_far_side(server_context(certificate)) as remote:
            error = await failure(f"https://{HOST}:{remote.port}/", way=way, tls=trusting(authority))
        assert_not_sent(error, "connect_failed", why="the certificate is not valid for this host")
        assert remote.requests == []

    async def test_an_old_tls_is_refused(self, authority: trustme.CA, way: str) -> None:
        """Below 1.2 nothing is sent."""

        def old(context: ssl.SSLContext) -> None:
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1

        with pytest.warns(DeprecationWarning, match="TLSv1"):
            context = server_context(authority.issue_cert(HOST), old)
        async with tls_far_side(context) as remote:
            error = await failure(f"https://{HOST}:{remote.port}/", way=way, tls=trusting(authority))
        assert_not_sent(error, "connect_failed")

    async def test_tls_1_2_is_taken(self, authority: trustme.CA, way: str) -> None:
        """Which many providers still have."""

        def older(context: ssl.SSLContext) -> None:
            context.maximum_version = ssl.TLSVersion.TLSv1_2

        async with tls_far_side(server_context(authority.issue_cert(HOST), older)) as remote:
            assert (await send(f"https://{HOST}:{remote.port}/", way=way, tls=trusting(authority))).status == 200

    async def test_plain_http_on_a_tls_port(self, authority: trustme.CA, way: str) -> None:
        """A plain request to a TLS port has been sent, and has no answer."""
        async with tls_far_side(server_context(authority.issue_cert(HOST))) as remote:
            error = await failure(f"http://{HOST}:{remote.port}/", way=way)
        assert (type(error), str(error) in {"bad_http", "connection_lost"}) == (OutcomeUnknown, True)
        assert remote.requests == []

    async def test_a_body_over_the_limit_over_tls(self, authority: trustme.CA, way: str) -> None:
        """The limits hold over TLS, and the connection is closed at once."""
        raw = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 70_000
        async with tls_far_side(server_context(authority.issue_cert(HOST)), saying(raw)) as remote:
            error = await failure(f"https://{HOST}:{remote.port}/", way=way, tls=trusting(authority))
        assert str(error) == "too_large"


def test_the_systems_certificates_are_verified() -> None:
    """What runs in production verifies chain and name, from TLS 1.2 on."""
    context = system_tls()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


async def test_the_name_of_the_url_is_asked_for_and_verified(authority: trustme.CA) -> None:
    """Whatever address a name leads to, and with the dot at its end or without."""
    asked: list[str | None] = []

    def note(context: ssl.SSLContext) -> None:
        context.sni_callback = lambda _socket, name, _context: asked.append(name)

    certificate = authority.issue_cert("shop.example")
    async with (
        tls_far_side(server_context(certificate, note)) as remote,
        direct(tls=trusting(authority), look_up=resolving_to("127.0.0.1")) as sender,
    ):
        for host in ("shop.example", "shop.example."):
            assert (await ask(sender, f"https://{host}:{remote.port}/")).status == 200
    assert asked == ["shop.example"] * 2


class TestEnds:
    @pytest.mark.parametrize("is_proper", [True, False])
    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    async def test_only_close_notify_ends_an_open_body(
        self, authority: trustme.CA, is_proper: bool, version: ssl.TLSVersion
    ) -> None:
        """A TCP connection can be ended by anybody on the way: a body cut by that is no whole answer."""

        def only(context: ssl.SSLContext) -> None:
            context.minimum_version = context.maximum_version = version

        async with abrupt_far_side(
            server_context(authority.issue_cert(HOST), only), b"HTTP/1.1 200 OK\r\n\r\nhalf", is_proper=is_proper
        ) as port:
            url = f"https://{HOST}:{port}/"
            if is_proper:
                assert (await send(url, tls=trusting(authority))).body == b"half"
                return
            error = await failure(url, tls=trusting(authority))
        assert (type(error), str(error)) == (OutcomeUnknown, "connection_lost")

    async def test_a_counted_body_needs_no_close_notify(self, authority: trustme.CA) -> None:
        """What has a length is whole when it is there."""
        async with abrupt_far_side(server_context(authority.issue_cert(HOST)), OK, is_proper=False) as port:
            assert (await send(f"https://{HOST}:{port}/", tls=trusting(authority))).body == b"ok"

    async def test_a_goodbye_without_an_end_is_not_waited_for(self, authority: trustme.CA) -> None:
        """A server that ends TLS and keeps TCP holds our connection no longer than any other."""
        gone = asyncio.Event()

        async def wait_for_the_end(reader: asyncio.StreamReader) -> None:
            with suppress(OSError):
                while await reader.read(65536):
                    pass
            gone.set()

        context = server_context(authority.issue_cert(HOST))
        raw = b"HTTP/1.1 200 OK\r\n\r\nwhole"
        async with (
            abrupt_far_side(context, raw, is_proper=True, after=wait_for_the_end) as port,
            direct(tls=trusting(authority), closing=ClosingConnections(9, seconds=0.01)) as sender,
        ):
            assert (await ask(sender, f"https://{HOST}:{port}/")).body == b"whole"
            async with asyncio.timeout(HANGS):
                await gone.wait()

    async def test_many_connections_may_leave_at_once(self, authority: trustme.CA) -> None:
        """However their ends and the limit of waiting ones meet, nothing fails on the way."""
        failed: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
        async with (
            tls_far_side(server_context(authority.issue_cert(HOST))) as remote,
            direct(tls=trusting(authority), closing=ClosingConnections(1)) as sender,
        ):
            url = f"https://{HOST}:{remote.port}/"
            answers = await asyncio.gather(*(ask(sender, url) for _ in range(20)))
        assert {answer.status for answer in answers} == {200}
        assert failed == []

    async def test_a_far_side_that_keeps_the_connection_is_left(self, authority: trustme.CA) -> None:
        """The caller has its answer, and when the sender ends so does the connection."""
        gone = asyncio.Event()

        async def script(remote: ScriptedServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await remote.hear(reader)
            writer.write(OK)
            with suppress(OSError):
                await reader.read()
            gone.set()

        async with tls_far_side(server_context(authority.issue_cert(HOST)), script) as remote:
            async with opening("direct")(tls=trusting(authority)) as sender, asyncio.timeout(HANGS):
                assert (await ask(sender, f"https://{HOST}:{remote.port}/")).status == 200
            async with asyncio.timeout(HANGS):
                await gone.wait()


@asynccontextmanager
async def abrupt_far_side(
    context: ssl.SSLContext, raw: bytes, *, is_proper: bool, after: Callable[[asyncio.StreamReader], Any] | None = None
) -> AsyncIterator[int]:
    """A server that ends each connection after ``raw``: with TLS's goodbye, or by TCP's alone; maybe not at once."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)

        async def pump(step: Callable[[], Any]) -> Any:
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    writer.write(outgoing.read())
                    incoming.write(await reader.read(65536))
                finally:
                    writer.write(outgoing.read())

        await pump(tls.do_handshake)
        await pump(lambda: tls.read(65536))
        await pump(lambda: tls.write(raw))
        if is_proper:
            with suppress(ssl.SSLWantReadError):
                tls.unwrap()
            writer.write(outgoing.read())
        if after is not None:
            await after(reader)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
