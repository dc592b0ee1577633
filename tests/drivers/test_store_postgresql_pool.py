"""Connections to one database: who waits for which, and what they are told where one cannot be opened or is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.core.errors import Unavailable
from gateway.drivers.store.postgresql.connection import Command, Connection, Ended, Lost, Outcome, Refused
from gateway.drivers.store.postgresql.pool import MAX_CONNECTIONS_PER_TENANT, NothingSent, Pool

QUERY = Command("SELECT 1", ())


class Scripted(Connection):
    """A connection without a server: a test answers what was begun on it."""

    def __init__(self) -> None:
        self.begun: list[Ended] = []
        self.sent: list[list[Command]] = []
        self.is_lost = False

    def begin(self, commands: Sequence[Command], ended: Ended) -> None:
        self.sent.append([*commands])
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


def unit(*names: str) -> list[Command]:
    """A unit of such statements."""
    return [Command(name, ()) for name in names]


class Units:
    """Units that were begun on a pool of one connection, after one that holds it; and what came of them."""

    def __init__(self, server: Server) -> None:
        self.pool, self.server = Pool(server.connect, 1), server
        self.outcomes: dict[str, Outcome | NothingSent] = {}
        self.written: list[int] = []
        self.pool.on_written = self.written.append
        self.begin("held", "", "held")

    def begin(self, name: str, tenant: str | None, *statements: str, is_alone: bool = False) -> None:
        """A unit, or with no tenant something else."""

        def ended(outcome: Outcome | NothingSent) -> None:
            self.outcomes[name] = outcome

        self.pool.begin(unit(*statements), ended, tenant=tenant, is_alone=is_alone)

    def answer(self, outcome: object) -> None:
        """Answer what is under way."""
        self.server.opened[-1].begun[-1](outcome)  # type: ignore[arg-type]

    @property
    def sent(self) -> list[list[str]]:
        """The statements of each exchange after the first."""
        return [[command.sql for command in commands] for commands in self.server.opened[-1].sent[1:]]


@pytest.fixture
async def units(server: Server) -> Units:
    """The only connection is in use."""
    made = Units(server)
    await turns()
    return made


async def test_units_of_a_tenant_that_wait_go_together(units: Units) -> None:
    """Each is given its own part of the answer. Those of others, and what is no unit, wait for their turn."""
    for name, tenant in (("a1", "a"), ("b1", "b"), ("a2", "a"), ("own1", ""), ("own2", ""), ("read", None)):
        units.begin(name, tenant, f"{name} first", name)
    for answer in (["held"], ["1", "2", "3", "4"], *[["5", "6"]] * 4):
        units.answer(answer)
    assert units.sent == [
        ["a1 first", "a1", "a2 first", "a2"],
        *[[f"{name} first", name] for name in ("b1", "own1", "own2", "read")],
    ]
    assert (units.outcomes["a1"], units.outcomes["a2"], units.outcomes["b1"]) == (["1", "2"], ["3", "4"], ["5", "6"])
    assert units.written == [1, 2, 1, 1, 1]


async def test_not_all_that_wait_go_together(units: Units, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction stays short; they keep their order."""
    monkeypatch.setattr("gateway.drivers.store.postgresql.pool.MAX_UNITS_PER_TRANSACTION", 2)
    for number in range(3):
        units.begin(f"a{number}", "a", f"a{number}")
    for _ in range(3):
        units.answer([])
    assert units.sent == [["a0", "a1"], ["a2"]]


async def test_a_unit_that_is_refused_takes_no_other_with_it(units: Units) -> None:
    """Nothing of them was written: each is sent again by itself, before what came later."""
    for name in ("a1", "a2", "a3"):
        units.begin(name, "a", name)
    units.answer([])
    units.begin("a4", "a", "a4")
    for answer in (Refused(1, "GW001", "no"), ["1"], Refused(0, "GW001", "no"), ["3"], ["4"]):
        units.answer(answer)
    assert units.sent == [["a1", "a2", "a3"], ["a1"], ["a2"], ["a3"], ["a4"]]
    assert (units.outcomes["a1"], units.outcomes["a3"], units.outcomes["a4"]) == (["1"], ["3"], ["4"])
    assert isinstance(units.outcomes["a2"], Refused)


async def test_a_unit_that_is_alone_takes_no_other_with_it(units: Units) -> None:
    """Whatever becomes of it; the others go together."""
    for name in ("a1", "a2", "a3"):
        units.begin(name, "a", name, is_alone=name == "a2")
    for _ in range(3):
        units.answer([])
    assert units.sent == [["a1", "a3"], ["a2"]]


async def test_units_whose_connection_is_lost_are_all_in_doubt(units: Units) -> None:
    """They may have been written."""
    for name in ("a1", "a2"):
        units.begin(name, "a", name)
    units.answer([])
    units.server.opened[-1].end()
    assert [type(units.outcomes[name]) for name in ("a1", "a2")] == [Lost, Lost]


async def test_units_of_tenants_can_be_put_off(units: Units) -> None:
    """Also those that were refused together with others."""
    for name in ("a1", "a2", "a3"):
        units.begin(name, "a", name)
    units.begin("own", "", "own")
    units.answer([])
    units.answer(Refused(0, "GW001", "no"))
    units.pool.cancel_waiting()
    assert [type(units.outcomes.get(name)) for name in ("a1", "a2", "a3")] == [type(None), NothingSent, NothingSent]
    units.answer(["1"])
    assert units.sent[1:] == [["a1"], ["own"]]


async def test_units_that_are_refused_after_others_were_put_off_are_not_sent_again(units: Units) -> None:
    """Connections may lead to another server by then, which is to be looked at first."""
    for name in ("a1", "a2"):
        units.begin(name, "a", name)
    units.answer([])
    units.pool.cancel_waiting()
    units.answer(Refused(0, "GW001", "no"))
    assert [type(units.outcomes[name]) for name in ("a1", "a2")] == [NothingSent, NothingSent]
    assert units.sent == [["a1", "a2"]]


async def test_a_tenant_has_some_of_the_connections(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes beyond them waits, and goes together as soon as one is free or lost; others are not held up."""
    monkeypatch.setattr("gateway.drivers.store.postgresql.pool.MAX_CONNECTIONS_PER_TENANT", 2)
    pool, outcomes = Pool(server.connect, 5), list[Outcome | NothingSent]()
    for name, tenant in (("a1", "a"), ("a2", "a"), ("a3", "a"), ("a4", "a"), ("b1", "b"), ("own", ""), ("read", None)):
        pool.begin(unit(name), outcomes.append, tenant=tenant)
        await turns()
    assert [sent for one in server.opened for sent in one.sent] == [unit(n) for n in ("a1", "a2", "b1", "own", "read")]
    server.opened[2].answer()
    server.opened[0].end()
    assert server.opened[2].sent == [unit("b1"), unit("a3", "a4")]
    pool.begin(unit("a5"), outcomes.append, tenant="a")
    server.opened[1].answer()
    assert server.opened[1].sent == [unit("a2"), unit("a5")]
    assert len(server.opened) == 5


async def test_who_must_wait_does_not_look_at_those_before(server: Server) -> None:
    """Where the database stands still for a while thousands of one tenant may wait: the others need the time."""
    looks: list[object] = []

    class Watched(Pool):
        def _may_send(self, one: Any) -> bool:
            looks.append(one)
            return super()._may_send(one)

    pool, outcomes = Watched(server.connect, 5), list[Outcome | NothingSent]()
    for _ in range(MAX_CONNECTIONS_PER_TENANT):
        pool.begin(unit("a"), outcomes.append, tenant="a")
        await turns()
    looks.clear()
    for _ in range(100):
        pool.begin(unit("a"), outcomes.append, tenant="a")
    assert len(looks) == 100


async def test_who_is_refused_may_come_again_at_once(server: Server) -> None:
    """The attempt that failed is over by then: another one is made for it."""
    pool, server.is_down, outcomes = Pool(server.connect, 1), True, list[Outcome | NothingSent]()

    def again(_: Outcome | NothingSent) -> None:
        server.is_down = False
        pool.begin([QUERY], outcomes.append)

    pool.begin([QUERY], again)
    await turns()
    server.opened[0].answer()
    assert outcomes == [[]]


async def test_a_connection_that_is_lost_at_once_is_replaced(server: Server) -> None:
    """Also before the task that opened it has ended."""
    pool, outcomes = Pool(server.connect, 1), list[Outcome | NothingSent]()

    class Cut(Scripted):
        def begin(self, commands: Sequence[Command], ended: Ended) -> None:
            super().begin(commands, ended)
            asyncio.get_running_loop().call_soon(self.end)

    async def connect() -> Connection:
        pool._connect = server.connect
        return Cut()

    pool._connect = connect
    for _ in range(2):
        pool.begin([QUERY], outcomes.append)
    await turns()
    server.opened[0].answer()
    assert [type(outcome) for outcome in outcomes] == [Lost, list]
