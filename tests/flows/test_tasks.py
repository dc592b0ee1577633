"""Work that runs beside its caller: what the caller gets of it, and that it ends without the caller."""

from __future__ import annotations

import asyncio

import pytest

from gateway.core.errors import InDoubt, Unavailable
from gateway.drivers.clock import SystemClock
from gateway.drivers.store.engine import answering, stuck
from gateway.flows.tasks import Tasks, described

LONG = 10.0


@pytest.fixture
def tasks() -> Tasks:
    return Tasks(SystemClock())


async def test_the_result_is_handed_over(tasks: Tasks) -> None:
    """What the work returns reaches the caller, also where it ended before anybody waited."""
    done = tasks.start("one", asyncio.sleep(0, "done"))
    assert await tasks.result_of(done, LONG) == "done"
    assert await tasks.result_of(done, LONG) == "done"
    assert not tasks.is_running("one")


async def test_work_that_takes_longer_goes_on(tasks: Tasks) -> None:
    """The caller stops waiting; the work ends by itself."""
    may_end = asyncio.Event()
    work = tasks.start("slow", may_end.wait())
    assert await tasks.result_of(work, 0.001) is None
    assert tasks.is_running("slow")
    may_end.set()
    assert await tasks.result_of(work, LONG) is True


async def test_a_caller_that_goes_away_stops_nothing(tasks: Tasks) -> None:
    """Cancelling the caller does not cancel the work."""
    may_end = asyncio.Event()
    work = tasks.start("asked for", may_end.wait())
    caller = asyncio.create_task(tasks.result_of(work, LONG))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait({caller})
    assert caller.cancelled()
    assert tasks.is_running("asked for")
    may_end.set()
    assert await tasks.result_of(work, LONG) is True


async def test_a_request_waits_for_work_until_the_store_keeps_it(tasks: Tasks) -> None:
    """It is told so, and the work goes on; and so where the store fails first: what was begun may have been done."""
    answering.set(asyncio.current_task())
    may_end = asyncio.Event()

    async def work() -> str:
        stuck.get().set()
        await may_end.wait()
        raise Unavailable("planted")

    with pytest.raises(InDoubt) as told:
        await tasks.finish("stuck", work())
    assert tasks.is_running("stuck")
    may_end.set()
    with pytest.raises(Unavailable, match="planted"):
        await told.value.decided
    with pytest.raises(InDoubt):
        await tasks.finish("failing", work())
    assert await tasks.finish("done", asyncio.sleep(0, "done")) == "done"


async def test_work_without_a_request_waits_for_the_store(tasks: Tasks) -> None:
    """Also for work that a request has begun: nobody waits there for an answer."""
    answering.set(asyncio.current_task())

    async def work() -> str:
        stuck.get().set()
        await asyncio.sleep(0)
        return "done"

    assert await asyncio.create_task(tasks.finish("of a request", work())) == "done"
    answering.set(None)
    assert await tasks.finish("of nobody", work()) == "done"


def test_why_a_store_is_not_available_is_said() -> None:
    """Of other errors only the type: their texts may quote what came over the wire."""
    assert described(Unavailable("the store is closed")) == {"kind": "Unavailable", "problem": "the store is closed"}
    assert described(ValueError("4111 1111 1111 1111")) == {"kind": "ValueError"}


async def test_failed_work_has_no_result(tasks: Tasks, caplog: pytest.LogCaptureFixture) -> None:
    """Its error is logged, not raised where its result is waited for."""

    async def fail() -> str:
        raise ValueError("planted")

    assert await tasks.result_of(tasks.start("failing", fail()), LONG) is None
    assert caplog.messages == ["background work failed"]
    cancelled = tasks.start("cancelled", asyncio.sleep(LONG, "late"))
    cancelled.cancel()
    assert await tasks.result_of(cancelled, LONG) is None
