"""What the processes of one gateway ask each other, over real sockets."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.drivers.workers.peers import NO_ANSWER, Peers
from gateway.drivers.workers.worker import Worker


def peer(folder: Path, number: int) -> Peers:
    """One of three."""
    return Peers(Worker(number, 3, (), ()), folder)


async def hello() -> bytes:
    """An answer that is more than one packet."""
    return b"hello" * 100_000


async def never() -> bytes:
    """No answer."""
    await asyncio.Event().wait()
    return b"late"


async def fails() -> bytes:
    """A fault."""
    raise ValueError


async def test_the_others_answer_as_far_as_they_are_there(tmp_path: Path) -> None:
    """Who is not there is told from who is silent."""
    async with peer(tmp_path, 2).answering({"hello": hello}):
        assert await peer(tmp_path, 1).ask("hello", 10) == {2: await hello(), 3: None}
    assert await peer(tmp_path, 1).ask("hello", 10) == {2: None, 3: None}


async def test_the_place_of_a_killed_process_is_taken(tmp_path: Path) -> None:
    """Its socket is still in the folder."""
    (tmp_path / "2.socket").touch()
    async with peer(tmp_path, 2).answering({"hello": hello}):
        assert (await peer(tmp_path, 1).ask("hello", 10))[2] == await hello()


@pytest.mark.parametrize(("question", "within"), [("never", 0.05), ("fails", 10), ("unknown", 10)])
async def test_a_silent_process_is_not_waited_for(tmp_path: Path, question: str, within: float) -> None:
    """Also where it answers with a fault."""
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    async with peer(tmp_path, 2).answering({"never": never, "fails": fails}):
        assert (await peer(tmp_path, 1).ask(question, within))[2] == NO_ANSWER


async def test_an_answer_that_breaks_off_is_none(tmp_path: Path) -> None:
    """A process may be killed while it answers."""

    async def breaks_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        whole, asked = await asyncio.open_unix_connection(tmp_path / "2.socket")
        asked.write(await reader.readline())
        writer.write(await whole.readexactly(1000))
        asked.close()
        writer.close()

    breaking_off = await asyncio.start_unix_server(breaks_off, tmp_path / "3.socket")
    async with peer(tmp_path, 2).answering({"hello": hello}), breaking_off:
        assert await peer(tmp_path, 1).ask("hello", 10) == {2: await hello(), 3: NO_ANSWER}


def test_what_cannot_be_kept_is_not_missed(tmp_path: Path) -> None:
    """A full disk spoils no answer; what was kept before stays."""
    one = peer(tmp_path, 2)
    one.keep("metrics", b"one")
    (tmp_path / "2.new").mkdir()  # so that nothing can be written there
    one.keep("metrics", b"two")
    assert one.kept(2, "metrics") == b"one"


def test_what_is_kept_is_the_successors(tmp_path: Path) -> None:
    """As it was when it came; what it keeps itself changes nothing there."""
    first = peer(tmp_path, 2)
    assert (first.before("metrics"), first.kept(2, "metrics")) == (None, None)
    first.keep("metrics", b"one")
    successor = peer(tmp_path, 2)
    successor.keep("metrics", b"two")
    assert (successor.before("metrics"), peer(tmp_path, 1).kept(2, "metrics")) == (b"one", b"two")
