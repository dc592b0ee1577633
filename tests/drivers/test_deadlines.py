"""Deadlines of one length: who passes, in which order, and who does not."""

from __future__ import annotations

import asyncio

from gateway.drivers.deadlines import Deadlines, DeadlinesByLength

HANGS = 3
SHORT, LONG = 0.01, 1000.0


async def test_whoever_stays_passes_in_the_order_it_came() -> None:
    """Not before its time."""
    passed = asyncio.Queue[tuple[str, float]]()
    now = asyncio.get_running_loop().time
    deadlines = Deadlines[str](SHORT, lambda one: passed.put_nowait((one, now())))
    began = {}
    for one in ("first", "second", "third"):
        began[one] = now()
        deadlines.enter(one)
    async with asyncio.timeout(HANGS):
        seen = [await passed.get() for _ in began]
    assert [one for one, _ in seen] == ["first", "second", "third"]
    assert all(at >= began[one] + SHORT for one, at in seen)
    assert len(deadlines) == 0


async def test_whoever_leaves_does_not_pass() -> None:
    """The others do, also one that comes after everybody has left."""
    passed = asyncio.Queue[str]()
    deadlines = Deadlines[str](SHORT, passed.put_nowait)
    deadlines.enter("leaves")
    deadlines.enter("stays")
    deadlines.leave("leaves")
    async with asyncio.timeout(HANGS):
        assert await passed.get() == "stays"
        deadlines.enter("later")
        assert await passed.get() == "later"
    assert passed.empty()


async def test_one_that_left_keeps_no_later_one_waiting() -> None:
    """The timer that was set for it goes on to the next."""
    passed = asyncio.Queue[str]()
    deadlines = Deadlines[str](SHORT, passed.put_nowait)
    deadlines.enter("leaves")
    await asyncio.sleep(0)
    deadlines.enter("stays")
    deadlines.leave("leaves")
    async with asyncio.timeout(HANGS):
        assert await passed.get() == "stays"


async def test_one_that_fails_on_passing_keeps_no_other() -> None:
    """The event loop hears of the error; the next one passes all the same."""
    failed: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context["exception"]))
    passed = asyncio.Event()

    def pass_on(one: str) -> None:
        if one == "fails":
            raise KeyError(one)
        passed.set()

    deadlines = Deadlines[str](SHORT, pass_on)
    deadlines.enter("fails")
    deadlines.enter("next")
    async with asyncio.timeout(HANGS):
        await passed.wait()
    assert [type(one) for one in failed] == [KeyError]


async def test_closing_lets_all_pass_at_once() -> None:
    """Nobody is forgotten, and nobody passes twice."""
    passed: list[str] = []
    deadlines = Deadlines[str](LONG, passed.append)
    deadlines.enter("first")
    deadlines.enter("second")
    assert deadlines.oldest() == "first"
    deadlines.close()
    deadlines.close()
    assert passed == ["first", "second"]


async def test_lengths_are_kept_apart() -> None:
    """A short deadline does not wait for a long one that began before it."""
    passed = asyncio.Queue[str]()
    deadlines = DeadlinesByLength[str](passed.put_nowait)
    deadlines[LONG].enter("long")
    deadlines[SHORT].enter("short")
    async with asyncio.timeout(HANGS):
        assert await passed.get() == "short"
    assert len(deadlines[LONG]) == 1
    deadlines[LONG].close()
