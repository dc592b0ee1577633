"""Connections to one database: who waits for which, and what they are told where one cannot be opened or is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gateway.core.errors import Unavailable
from gateway.drivers.store.postgresql.connection import Command, Connection, Ended, Lost, Outcome
from gateway.drivers.store.postgresql.pool import NothingSent, Pool

QUERY = Command("SELECT 1", ())


class Scripted(Connection):
    """A connection without a server: a test answers what was begun on it."""

    def __init__(self) -> None:
        self.begun: list[Ended] = []
        self.is_lost = False

    def begin(self, commands: Sequence[Command], ended: Ended) -> None:  # noqa: ARG002  # a Connection's form
        self.begun.append(ended)

    def close(self) -> None:
        self.is_lost = True

    def answer(self) -> None:
        """Answer the exchange that is under way."""
        self.begun[-1]([])

    def end(self) -> None:
        """Lose the connection in the middle of it."""
        self.is_lost = True
        self.begun[-1](Lost("cut"))


class Server:
    """Opens connections, unless it is down."""

    def __init__(self) -> None:
        self.opened: list[Scripted] = []
        self.is_down = False

    async def connect(self) -> Connection:
        await asyncio.sleep(0)
        if self.is_down:
            raise Unavailable("down")
        self.opened.append(Scripted())
        return self.opened[-1]


@pytest.fixture
def server() -> Server:
    return Server()


async def turns() -> None:
    """Let what is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_there_are_no_more_connections_than_allowed(server: Server) -> None:
    """The third waits for the first that is free, not for a third connection."""
    pool, outcomes = Pool(server.connect, 2), list[Outcome | NothingSent]()
    for _ in range(3):
        pool.begin([QUERY], outcomes.append)
    await turns()
    assert [len(one.begun) for one in server.opened] == [1, 1]

    server.opened[1].answer()
    assert [len(one.begun) for one in server.opened] == [1, 2]
    assert outcomes == [[]]


async def test_one_that_is_idle_is_used_again(server: Server) -> None:
    """No connection is opened while one is free, and none that was lost meanwhile is used."""
    pool = Pool(server.connect, 2)
    await pool.open_first()
    asked = [asyncio.ensure_future(pool.ask(QUERY))]
    await turns()
    server.opened[0].answer()
    await asked[0]
    server.opened[0].is_lost = True

    asked.append(asyncio.ensure_future(pool.ask(QUERY)))
    await turns()
    server.opened[1].answer()
    assert await asked[1] == []
    assert len(server.opened) == 2


async def test_a_lost_connection_is_told_and_replaced(server: Server) -> None:
    """Who used it learns that it is lost; who waits gets another one."""
    pool = Pool(server.connect, 1)
    first, second = (asyncio.ensure_future(pool.ask(QUERY)) for _ in range(2))
    await turns()
    server.opened[0].end()
    await turns()
    with pytest.raises(Lost):
        await first
    server.opened[1].answer()
    assert await second == []


async def test_without_a_server_nobody_waits(server: Server) -> None:
    """All are told that nothing was sent; when it is back, everything goes on."""
    pool, server.is_down = Pool(server.connect, 1), True
    asked = [asyncio.ensure_future(pool.ask(QUERY)) for _ in range(3)]
    for one in asked:
        with pytest.raises(NothingSent, match="down"):
            await one

    server.is_down = False
    again = asyncio.ensure_future(pool.ask(QUERY))
    await turns()
    server.opened[0].answer()
    assert await again == []


async def test_closing_waits_for_what_is_under_way(server: Server) -> None:
    """What was sent is answered, and what waits then; what comes is refused, and no connection stays open."""
    pool, outcomes = Pool(server.connect, 1), list[Outcome | NothingSent]()
    for _ in range(2):
        pool.begin([QUERY], outcomes.append)
    await turns()
    closing = asyncio.ensure_future(pool.close())
    await turns()
    assert not closing.done()

    for _ in range(2):
        server.opened[0].answer()
    await closing
    pool.begin([QUERY], outcomes.append)
    assert [str(outcome) for outcome in outcomes] == ["[]", "[]", "the store is closed"]
    assert server.opened[0].is_lost


async def test_a_caller_that_is_gone_disturbs_nobody(server: Server) -> None:
    """Its answer comes all the same, and the connection is free then."""
    pool = Pool(server.connect, 1)
    gone = asyncio.ensure_future(pool.ask(QUERY))
    await turns()
    gone.cancel()
    await turns()
    server.opened[0].answer()
    after = asyncio.ensure_future(pool.ask(QUERY))
    await turns()
    server.opened[0].answer()
    assert await after == []
