"""The server's event loop: it does what asyncio's does."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from gateway.drivers import event_loop

_seen = contextvars.ContextVar("seen", default="nothing")


def test_callbacks_run_in_their_order_and_in_their_own_context() -> None:
    """Whether it is given or the caller's; one that is cancelled does not run."""
    ran: list[tuple[str, str]] = []

    async def main() -> str:
        loop = asyncio.get_running_loop()
        other = contextvars.copy_context()
        other.run(_seen.set, "other")
        _seen.set("own")
        for name, context in (("first", None), ("second", other), ("third", None)):
            loop.call_soon(lambda name: ran.append((name, _seen.get())), name, context=context)
        loop.call_soon(ran.append, ("cancelled", "")).cancel()
        await asyncio.sleep(0)
        return "ended"

    assert event_loop.run(main()) == "ended"
    assert ran == [("first", "own"), ("second", "other"), ("third", "own")]


def test_a_callback_that_fails_is_reported_and_harms_no_other() -> None:
    """To the loop's handler of exceptions."""
    reported: list[object] = []

    async def main() -> bool:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, what: reported.append(what["exception"]))
        done = loop.create_future()
        loop.call_soon(int, "not a number")
        loop.call_soon(done.set_result, True)
        return bool(await done)

    assert event_loop.run(main())
    assert [type(one) for one in reported] == [ValueError]


def test_the_clock_is_that_of_deadlines() -> None:
    """A callback for a time is not run before it."""

    async def main() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        at, done = loop.time() + 0.01, loop.create_future()
        loop.call_at(at, lambda: done.set_result(loop.time()))
        return at, await done

    at, ran = event_loop.run(main())
    assert ran >= at


def test_a_closed_loop_takes_nothing_from_other_threads() -> None:
    """They learn that nobody will run it."""
    loop = event_loop.EventLoop()
    loop.close()
    with pytest.raises(RuntimeError):
        loop.call_soon_threadsafe(print)
