"""Deadlines of one length: who passes, in which order, and who does not."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from gateway.drivers.deadlines import Deadlines, DeadlinesByLength, TimeLimit

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


class TestTimeLimit:
    """What is awaited under a limit ends as it would under ``asyncio.timeout``."""

    async def test_it_ends_what_is_awaited(self) -> None:
        """By an error, after which the task goes on uncancelled."""
        limit = TimeLimit()
        asyncio.get_running_loop().call_soon(limit.pass_by)
        with pytest.raises(TimeoutError), limit:
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]

    async def test_passing_twice_is_passing_once(self) -> None:
        """Both deadlines of a call may pass in one turn of the event loop."""
        limit = TimeLimit()
        for _ in range(2):
            asyncio.get_running_loop().call_soon(limit.pass_by)
        with pytest.raises(TimeoutError), limit:
            await asyncio.Event().wait()
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]

    async def test_after_its_end_nothing_is_cancelled(self) -> None:
        """The task may be at something else by then."""
        with TimeLimit() as limit:
            await asyncio.sleep(0)
        limit.pass_by()
        await asyncio.sleep(0)

    @pytest.mark.parametrize("order", [("limit", "caller"), ("caller", "limit")])
    async def test_a_cancellation_by_somebody_else_stays_one(self, order: tuple[str, str]) -> None:
        """Also where the limit passes in the same turn."""
        limit = TimeLimit()

        async def work() -> None:
            with limit:
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        for who in order:
            (limit.pass_by if who == "limit" else task.cancel)()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def test_an_error_of_its_own_passes(self) -> None:
        """Although the limit has passed meanwhile."""
        limit = TimeLimit()
        asyncio.get_running_loop().call_soon(limit.pass_by)

        async def fail() -> None:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            raise KeyError

        with pytest.raises(KeyError), limit:
            await fail()
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
