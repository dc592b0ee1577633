"""Places for connections: nobody's slow far side takes those of another, whatever address they share."""

from __future__ import annotations

import asyncio

import pytest

from gateway.core.errors import NotSent
from gateway.drivers.sender import connection_slots as module
from gateway.drivers.sender.connection_slots import ConnectionSlots
from tests.support.factories.senders import ask, direct
from tests.support.servers.scripted_tcp import OK, ScriptedServer, scripted_server

SOON = 0.2


async def fill(slots: ConnectionSlots, owner: str) -> int:
    """Take places until one would have to be waited for; how many there were."""
    taken = 0
    while True:
        turn = asyncio.create_task(slots.take(owner))
        await asyncio.sleep(0)
        if not turn.done():
            turn.cancel()
            await asyncio.gather(turn, return_exceptions=True)
            return taken
        taken += 1


async def test_an_owner_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many places are free."""
    monkeypatch.setattr(module, "MAX_PER_OWNER", 3)
    slots = ConnectionSlots(100)
    assert [await fill(slots, owner) for owner in ("a", "b")] == [3, 3]


@pytest.mark.parametrize("most", [16, 64, 256])
async def test_greedy_owners_leave_a_place_for_each_that_comes_anew(most: int) -> None:
    """However many owners take all they can, the next one finds a place at once."""
    slots = ConnectionSlots(most)
    taken = [await fill(slots, f"owner {number}") for number in range(most // 4)]
    assert all(taken)
    assert sum(taken) < most


async def test_whoever_holds_fewest_goes_next() -> None:
    """A place that is given back goes to the waiting owner with the fewest, not to the longest queue."""
    slots = ConnectionSlots(4)
    assert [await fill(slots, owner) for owner in ("greedy", "other", "third")] == [2, 1, 1]
    order: list[str] = []

    async def wait(owner: str) -> None:
        await slots.take(owner)
        order.append(owner)

    waiting = [asyncio.create_task(wait(owner)) for owner in ("greedy", "greedy", "new")]
    await asyncio.sleep(0)
    slots.give_back("third")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert order == ["new"]
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_one_who_gives_up_loses_no_place() -> None:
    """Neither while waiting nor in the moment the place is granted."""
    slots = ConnectionSlots(2)
    assert await fill(slots, "a") == 1
    assert await fill(slots, "b") == 1
    for give_first in (False, True):
        turn = asyncio.create_task(slots.take("a"))
        await asyncio.sleep(0)
        if give_first:
            slots.give_back("b")
        turn.cancel()
        await asyncio.gather(turn, return_exceptions=True)
        if not give_first:
            slots.give_back("b")
        assert await fill(slots, "b") == 1


async def test_a_full_owner_waits_and_another_at_the_same_host_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of an account whose connections all hang are not sent; another account's at the same host go through."""
    monkeypatch.setattr(module, "MAX_PER_OWNER", 1)
    heard = asyncio.Event()

    async def script(remote: ScriptedServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"slow" not in await remote.hear(reader):
            writer.write(OK)
            return
        heard.set()
        await reader.read()

    async with scripted_server(script) as remote, direct(slots=ConnectionSlots(100)) as sender:
        hanging = asyncio.create_task(ask(sender, remote.url + "/slow", owner="acme/psp"))
        await heard.wait()
        with pytest.raises(NotSent, match="connect_failed"):
            await ask(sender, remote.url, owner="acme/psp", connect=SOON)
        assert (await ask(sender, remote.url, owner="globex/psp", connect=SOON)).status == 200
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)
        assert (await ask(sender, remote.url, owner="acme/psp")).status == 200
    assert remote.connections == 3
