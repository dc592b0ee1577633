"""The fake provider: every request is answered, however it comes in."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from bench.servers.provider import ANSWER, Provider

REQUEST = b"POST /pay/url HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"
LAST = b"POST /pay/url HTTP/1.1\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody"
LIKE_TWO = b"POST /pay/url HTTP/1.1\r\nContent-Length: 9\r\n\r\na\r\n\r\nbody"


@pytest.fixture(params=[0.0, 0.001], ids=["at once", "after a while"])
def caller(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """A connection to a provider."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=Provider(listener, request.param).serve, daemon=True).start()
    with socket.create_connection(listener.getsockname()) as connection:
        connection.settimeout(30)
        yield connection


def test_a_connection_is_kept_until_it_is_to_be_closed(caller: socket.socket) -> None:
    """One request after the other, two at once, and the last."""
    answered = caller.makefile("rb")
    caller.sendall(REQUEST)
    assert answered.read(len(ANSWER)) == ANSWER
    caller.sendall(REQUEST + LAST)
    assert answered.read() == 2 * ANSWER


def test_a_request_may_come_in_parts(caller: socket.socket) -> None:
    """It is answered when it is whole: what its body holds is no request."""
    caller.sendall(LIKE_TWO[:30])
    caller.sendall(LIKE_TWO[30:-8])
    caller.sendall(LIKE_TWO[-8:] + LAST)
    assert caller.makefile("rb").read() == 2 * ANSWER


def test_who_has_left_is_in_nobody_s_way(caller: socket.socket) -> None:
    """The next one is answered."""
    with socket.create_connection(caller.getpeername()) as gone:
        gone.sendall(REQUEST)
    caller.sendall(LAST)
    assert caller.makefile("rb").read() == ANSWER
