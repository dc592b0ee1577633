"""Units are held from the first connection that leads elsewhere until somebody has looked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gateway.core.errors import Unavailable
from gateway.drivers.measures import Measures
from gateway.drivers.store import gate as gates
from gateway.drivers.store.gate import Gate
from gateway.drivers.store.postgresql.commits import Commits
from gateway.drivers.store.postgresql.connection import Command, Connection, Ended
from gateway.drivers.store.postgresql.pool import Pool
from gateway.drivers.store.statements import NO_TENANT, Statement

UNIT = (Statement("UPDATE a SET b = ?", (1,)),)


class Scripted(Connection):
    """A connection without a server, which answers at once."""

    def __init__(self, sent: list[str]) -> None:
        self.sent, self.is_lost = sent, False

    def begin(self, commands: Sequence[Command], ended: Ended) -> None:
        self.sent.append(str(commands[-1].params[0]))
        asyncio.get_running_loop().call_soon(ended, [])


class Database:
    """Connections lead to ``server``; ``sent`` has the tenant of each unit that was sent."""

    def __init__(self) -> None:
        self.gate, self.server, self.sent = Gate(), "7/1", list[str]()
        self.pool = Pool(self.connect, 1)
        self.gate.on_hold = self.pool.cancel_waiting
        self.commits = Commits(self.pool, Measures(), self.gate)

    async def connect(self) -> Connection:
        await asyncio.sleep(0)
        self.gate.see(self.server)
        return Scripted(self.sent)

    def begin(self, tenant: str) -> asyncio.Task[None]:
        """Commit a unit of a tenant."""
        return asyncio.create_task(self.commits.commit(tenant, UNIT))


@pytest.fixture
async def moved() -> Database:
    """Known to be on one timeline; the first connection, for a unit and one of the gateway's, leads to another."""
    database = Database()
    database.gate.know("7/1")
    database.server = "7/2"
    return database


async def turns() -> None:
    """Let what is ready run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_nothing_is_held_where_nothing_is_known_or_said() -> None:
    """A process that starts, and a server that does not say its timeline."""
    database = Database()
    await database.begin("acme")
    database.gate.know("7/1")
    database.gate.see(None)
    await database.begin("acme")
    assert not database.gate.is_held


async def test_units_wait_and_the_gateway_s_own_go_on(moved: Database) -> None:
    """Also one that waited for that very connection; it goes on when it is known that nothing is lost."""
    waiting, own = moved.begin("acme"), moved.begin(NO_TENANT)
    await own
    later = moved.begin("globex")
    await turns()
    assert moved.sent == [NO_TENANT]
    assert moved.gate.noticed.is_set()
    moved.gate.know("7/2")
    await asyncio.gather(waiting, later)
    assert moved.sent == [NO_TENANT, "acme", "globex"]


async def test_what_waits_is_refused_where_units_are_lost(moved: Database) -> None:
    """It was decided without care; what is decided from then on is written."""
    waiting = moved.begin("acme")
    await turns()
    moved.gate.go_on_carefully()
    with pytest.raises(Unavailable, match="may have lost"):
        await waiting
    assert moved.sent == []
    await moved.begin("acme")


async def test_nothing_waits_for_ever(moved: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Units are refused after a while, and then at once."""
    monkeypatch.setattr(gates, "WAIT_SECONDS", 0.0)
    for _ in range(2):
        with pytest.raises(Unavailable, match="may have lost"):
            await moved.begin("acme")
    assert (moved.sent, moved.gate.is_held) == ([], True)


async def test_a_word_about_another_timeline_opens_nothing(moved: Database) -> None:
    """Not until the connection that led elsewhere is lost."""
    waiting = moved.begin("acme")
    await turns()
    moved.gate.know("7/1")
    assert moved.gate.is_held
    moved.gate.lose("7/2")
    moved.gate.know("7/1")
    await waiting


async def test_a_store_that_closes_refuses_what_waits(moved: Database) -> None:
    """Its callers are not left waiting."""
    waiting = moved.begin("acme")
    await turns()
    await moved.commits.close()
    with pytest.raises(Unavailable):
        await waiting
