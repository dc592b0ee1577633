"""Sockets that can be read or written: who is told, and when nobody is told any more."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from gateway.drivers.sender.readiness import READ, WRITE, Readiness

HANGS = 3


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two sockets that are connected to each other."""
    here, there = socket.socketpair()
    with here, there:
        yield here, there


async def turns(count: int = 3) -> None:
    """Let the event loop look at its descriptors some times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_who_waits_for_bytes_is_told_while_some_are_there(pair: tuple[socket.socket, socket.socket]) -> None:
    """Not before they came, and again for what was not read."""
    here, there = pair
    readiness, told = Readiness(), asyncio.Queue[bytes]()
    readiness.watch(here.fileno(), READ, lambda: told.put_nowait(here.recv(1)))
    await turns()
    assert told.empty()
    there.sendall(b"ab")
    async with asyncio.timeout(HANGS):
        assert [await told.get(), await told.get()] == [b"a", b"b"]
    readiness.close()


async def test_only_the_events_that_are_asked_for_count(pair: tuple[socket.socket, socket.socket]) -> None:
    """A socket that can be written tells nobody who waits for bytes."""
    here, _ = pair
    readiness, told = Readiness(), asyncio.Queue[str]()
    readiness.watch(here.fileno(), WRITE, lambda: told.put_nowait("write"))
    async with asyncio.timeout(HANGS):
        assert await told.get() == "write"
    readiness.change(here.fileno(), READ, lambda: told.put_nowait("read"))
    while not told.empty():
        told.get_nowait()
    await turns()
    assert told.empty()
    readiness.close()


async def test_a_forgotten_socket_tells_nobody(pair: tuple[socket.socket, socket.socket]) -> None:
    """It may be watched again, by somebody else."""
    here, _ = pair
    readiness, told = Readiness(), asyncio.Queue[str]()
    readiness.watch(here.fileno(), WRITE, lambda: told.put_nowait("first"))
    readiness.forget(here.fileno())
    await turns()
    assert told.empty()
    readiness.watch(here.fileno(), WRITE, lambda: told.put_nowait("second"))
    async with asyncio.timeout(HANGS):
        assert await told.get() == "second"
    readiness.close()


async def test_one_that_fails_harms_no_other(pair: tuple[socket.socket, socket.socket]) -> None:
    """The event loop hears of the error, and the others are told."""
    here, there = pair
    failed: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context["exception"]))
    readiness, told = Readiness(), asyncio.Event()

    def fail() -> None:
        readiness.forget(here.fileno())
        raise KeyError

    readiness.watch(here.fileno(), WRITE, fail)
    readiness.watch(there.fileno(), WRITE, told.set)
    async with asyncio.timeout(HANGS):
        await told.wait()
    readiness.close()
    assert [type(one) for one in failed] == [KeyError]


def test_what_was_never_used_can_be_closed() -> None:
    """Outside an event loop too; what is forgotten after that does no harm."""
    readiness = Readiness()
    readiness.close()
    readiness.forget(0)
