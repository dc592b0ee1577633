"""Our own connections: nothing unasked is an answer, the server closes, every address is judged and tried."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, NamedTuple

import pytest

from gateway.core.errors import NotSent, OutcomeUnknown
from gateway.drivers.sender import direct as module
from gateway.drivers.sender.connection import ClosingConnections, Connection
from gateway.drivers.sender.readiness import Readiness
from gateway.drivers.sender.response_parser import ResponseParser
from tests.support.factories.senders import ask, assert_not_sent, direct, failure, free_port, never, resolving_to, send
from tests.support.servers.scripted_tcp import (
    OK,
    ScriptedServer,
    keep_alive,
    saying,
    saying_then_silence,
    scripted_server,
)

SOON = 0.2
HANGS = 3
LOOPBACK = "127.0.0.1"


async def unknown_name(*_: object) -> Any:
    """A resolver that does not know the name."""
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


class FarSide(NamedTuple):
    """Both ends of one connection: ours, not asked yet, and the server's."""

    connection: Connection
    socket: socket.socket

    async def heard(self) -> bytes:
        """Everything we wrote, until our end was closed."""
        said = b""
        with suppress(ConnectionResetError):
            while more := await asyncio.get_running_loop().sock_recv(self.socket, 65536):
                said += more
        return said


@pytest.fixture
async def far() -> AsyncIterator[FarSide]:
    """A connection that stands."""
    readiness = Readiness()
    connection = Connection(socket.socket(), readiness, ClosingConnections(1))
    with socket.create_server((LOOPBACK, 0)) as listener:
        await connection.connect(listener.getsockname())
        accepted, _ = listener.accept()
    with accepted:
        accepted.setblocking(False)
        yield FarSide(connection, accepted)
    connection.close()
    readiness.close()


class TestConnecting:
    async def test_a_server_on_this_machine_is_connected_without_waiting(self) -> None:
        """The event loop need not turn for it."""
        readiness = Readiness()
        connection = Connection(socket.socket(), readiness, ClosingConnections(1))
        with socket.create_server((LOOPBACK, 0)) as listener, pytest.raises(StopIteration):
            connection.connect(listener.getsockname()).send(None)
        connection.close()
        readiness.close()

    async def test_a_refused_connection_is_closed(self) -> None:
        """The error is the system's."""
        readiness, sock = Readiness(), socket.socket()
        with pytest.raises(ConnectionRefusedError):
            await Connection(sock, readiness, ClosingConnections(1)).connect((LOOPBACK, free_port()))
        assert sock.fileno() == -1
        readiness.close()


class TestUnasked:
    @pytest.mark.parametrize(
        "early", [OK, b"H", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 408 Request Timeout\r\n\r\n"]
    )
    async def test_what_comes_before_the_request_is_no_answer(self, far: FarSide, early: bytes) -> None:
        """One byte is enough: the connection is given up and nothing is written."""
        far.socket.sendall(early)
        with pytest.raises(NotSent):
            far.connection.ask(b"request", ResponseParser("GET"))
        far.connection.drop()
        assert await far.heard() == b""

    @pytest.mark.parametrize("is_reset", [False, True])
    async def test_a_connection_that_ended_before_the_request_is_not_used(self, far: FarSide, is_reset: bool) -> None:
        """What has ended is not written to."""
        if is_reset:
            far.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        far.socket.close()
        with pytest.raises(NotSent):
            far.connection.ask(b"request", ResponseParser("GET"))

    async def test_what_comes_after_the_answer_ends_the_connection(self, far: FarSide) -> None:
        """The first answer stands; the second is not even read."""
        answered = far.connection.ask(b"request", ResponseParser("GET"))
        far.socket.sendall(OK)
        assert (await answered).status == 200
        far.connection.drop()
        far.socket.sendall(OK.replace(b"200", b"500"))
        async with asyncio.timeout(HANGS):
            assert await far.heard() == b"request"

    async def test_a_far_side_that_speaks_first_was_not_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """On a real connection: an answer that is there before the request was written is not its outcome."""
        connect, said = Connection.connect, asyncio.Event()

        async def script(remote: ScriptedServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(OK)
            said.set()
            await remote.hear(reader)

        async def connect_slowly(connection: Connection, address: Any) -> None:
            await connect(connection, address)
            await said.wait()

        monkeypatch.setattr(Connection, "connect", connect_slowly)
        async with scripted_server(script) as remote:
            assert_not_sent(await failure(remote.url), "connect_failed")
        assert remote.requests == []


class TestWriting:
    @pytest.mark.parametrize("answers", ["late", "early"])
    async def test_a_request_that_the_socket_does_not_take_at_once(self, far: FarSide, answers: str) -> None:
        """It goes out as the server reads; a server that answers before that has answered."""
        body = b"x" * 20_000_000
        answered = far.connection.ask(body, ResponseParser("POST"))
        if answers == "early":
            far.socket.sendall(OK)
            assert (await answered).status == 200
            return
        heard = 0
        while heard < len(body):
            heard += len(await asyncio.get_running_loop().sock_recv(far.socket, 1 << 20))
        assert not answered.done()
        far.socket.sendall(OK)
        assert (await answered).status == 200

    async def test_a_connection_that_breaks_while_the_request_is_written(self, far: FarSide) -> None:
        """Part of it has left: nobody knows what became of it."""
        answered = far.connection.ask(b"x" * 20_000_000, ResponseParser("POST"))
        far.socket.close()
        with pytest.raises(OutcomeUnknown, match="connection_lost"):
            await answered


class TestLeaving:
    async def test_the_far_side_closes_first(self) -> None:
        """After the answer nothing is closed until the server did: the minute of TIME_WAIT is its own."""
        answered, closed = asyncio.Event(), asyncio.Event()
        seen: list[str] = []

        async def script(remote: ScriptedServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await remote.hear(reader)
            writer.write(OK)
            await answered.wait()
            seen.append("eof" if reader.at_eof() else "open")
            writer.write_eof()
            seen.append("closed" if await reader.read() == b"" else "more")
            closed.set()

        async with scripted_server(script) as remote, direct() as sender:
            await ask(sender, remote.url)
            answered.set()
            async with asyncio.timeout(HANGS):
                await closed.wait()
        assert seen == ["open", "closed"]

    async def test_a_far_side_that_does_not_close_is_reset(self) -> None:
        """Once its time is up the connection ends by RST, and leaves no TIME_WAIT here."""
        assert await self._ends(ClosingConnections(9, seconds=0.01)) == [errno.ECONNRESET]

    async def test_of_too_many_the_oldest_is_reset(self) -> None:
        """Far sides that never close hold a few descriptors, however many calls there are."""
        assert await self._ends(ClosingConnections(1), calls=3, wanted=2) == [errno.ECONNRESET] * 2

    async def test_several_senders_share_the_room(self) -> None:
        """Who leaves one sender makes room for who leaves another."""
        closing = ClosingConnections(1)
        assert [await self._ends(closing, calls=2) for _ in range(2)] == [[errno.ECONNRESET]] * 2

    async def _ends(self, closing: ClosingConnections, *, calls: int = 1, wanted: int = 1) -> list[int | None]:
        ends: asyncio.Queue[int | None] = asyncio.Queue()

        async def script(remote: ScriptedServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await remote.hear(reader)
            writer.write(OK)
            try:
                await reader.read()
                ends.put_nowait(None)
            except OSError as problem:
                ends.put_nowait(problem.errno)

        async with scripted_server(script) as remote, direct(closing=closing) as sender, asyncio.timeout(HANGS):
            for _ in range(calls):
                await ask(sender, remote.url)
            return [await ends.get() for _ in range(wanted)]

    async def test_waiting_for_the_close_delays_nobody(self) -> None:
        """The caller has the answer while the connection is still open."""
        async with scripted_server(saying_then_silence(OK)) as remote, asyncio.timeout(HANGS):
            assert (await send(remote.url)).status == 200

    @pytest.mark.parametrize("ending", ["reset", "close"])
    async def test_only_a_proper_close_ends_an_open_body(self, ending: str) -> None:
        """A body that only the connection ends is whole after a close, and no answer after a reset."""

        async def script(remote: ScriptedServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await remote.hear(reader)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\nhalf")
            if ending == "reset":
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()

        async with scripted_server(script) as remote:
            if ending == "close":
                assert (await send(remote.url)).body == b"half"
            else:
                error = await failure(remote.url)
                assert (type(error), str(error)) == (OutcomeUnknown, "connection_lost")


class TestAddresses:
    async def test_a_refused_connection(self) -> None:
        """Where nobody listens nothing was sent."""
        assert_not_sent(await failure(f"http://127.0.0.1:{free_port()}/?secret=1"), "connect_failed", why="refused")

    async def test_a_name_that_does_not_resolve(self) -> None:
        """Without an address nothing was sent."""
        assert_not_sent(await failure("http://shop.example/", look_up=resolving_to()), "connect_failed")
        error = await failure("http://shop.example/", look_up=unknown_name)
        assert_not_sent(error, "connect_failed", why="the host name was not found")

    @pytest.mark.parametrize("host", ["x" * 64 + ".example", "." * 3, "a..b"])
    async def test_a_name_that_cannot_be_one(self, host: str) -> None:
        """No resolver is asked; nothing was sent."""
        assert_not_sent(await failure(f"https://{host}/"), "invalid_url", connection=False)

    @pytest.mark.parametrize("limits", [{"connect": SOON}, {"total": SOON}])
    async def test_a_resolver_that_never_answers(self, limits: dict[str, float]) -> None:
        """Either deadline that ends while the name is looked up ends before anything was sent."""
        async with asyncio.timeout(HANGS):
            error = await failure("http://shop.example/", look_up=never, **limits)
        assert_not_sent(error, "connect_failed", why="timed out")

    async def test_a_name_that_leads_to_a_private_address(self) -> None:
        """The address is judged, not the name: a resolver that answers 127.0.0.1 opens no connection."""
        async with scripted_server(keep_alive) as remote:
            url = f"https://shop.example:{remote.port}/"
            error = await failure(url, allow_private=False, look_up=resolving_to(LOOPBACK, "10.0.0.1"))
        assert_not_sent(error, "address_not_allowed")
        assert remote.connections == 0

    async def test_a_private_address_among_others_is_passed_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of several addresses only the allowed ones are tried."""
        monkeypatch.setattr(module, "is_forbidden", lambda address: address == LOOPBACK)
        async with scripted_server(keep_alive) as remote:
            url = f"https://shop.example:{remote.port}/"
            error = await failure(url, allow_private=False, look_up=resolving_to(LOOPBACK, "127.0.0.2"))
        assert_not_sent(error, "connect_failed")  # at 127.0.0.2 nobody listens
        assert remote.connections == 0

    async def test_a_name_that_leads_elsewhere_later_is_judged_again(self) -> None:
        """Each connect judges the address it uses: public when it was looked up first says nothing."""
        answers = iter((["192.0.2.1"], [LOOPBACK]))
        asked: list[str] = []

        async def look_up(host: str, port: int) -> Any:
            asked.append(host)
            return await resolving_to(*next(answers))(host, port)

        async with scripted_server(keep_alive) as remote, direct(allow_private=False, look_up=look_up) as sender:
            for port in (remote.port, remote.port + 1):  # another port is looked up anew
                with pytest.raises(NotSent) as caught:
                    await ask(sender, f"https://shop.example:{port}/")
                assert_not_sent(caught.value, "address_not_allowed")
        assert (len(asked), remote.connections) == (2, 0)

    async def test_every_address_is_tried(self) -> None:
        """One that refuses costs nothing, the next one answers."""
        async with scripted_server(saying(OK)) as remote:
            addresses = resolving_to("127.0.0.3", "127.0.0.2", LOOPBACK)
            assert (await send(f"http://shop.example:{remote.port}/", look_up=addresses)).status == 200

    async def test_an_address_that_hangs_is_overtaken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """One that never answers has a head start only."""
        monkeypatch.setattr(module, "HAPPY_EYEBALLS_DELAY_SECONDS", 0.01)
        loop = asyncio.get_running_loop()
        connect = loop.sock_connect

        async def connect_or_hang(sock: socket.socket, address: Any) -> None:
            if address[0] == "127.0.0.2":
                await loop.create_future()
            await connect(sock, address)

        monkeypatch.setattr(loop, "sock_connect", connect_or_hang)
        async with scripted_server(saying(OK)) as remote, asyncio.timeout(HANGS):
            addresses = resolving_to("127.0.0.2", LOOPBACK)
            assert (await send(f"http://shop.example:{remote.port}/", look_up=addresses)).status == 200

    async def test_ipv6_stands_in_brackets(self) -> None:
        """The Host header of an IPv6 address has brackets and the port."""
        heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.set_result(await reader.readuntil(b"\r\n\r\n"))
            writer.write(OK)
            writer.close()

        try:
            server = await asyncio.start_server(serve, "::1", 0)
        except OSError:
            pytest.skip("this machine has no IPv6 loopback")
        port = server.sockets[0].getsockname()[1]
        assert (await send(f"http://[::1]:{port}/")).status == 200
        assert f"\r\nHost: [::1]:{port}\r\n".encode() in await heard
        server.close()
