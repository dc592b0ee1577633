"""Work that runs beside its caller: what the caller gets of it, and that it ends without the caller."""

from __future__ import annotations

import asyncio

import pytest

from gateway.core.errors import Unavailable
from gateway.drivers.clock import SystemClock
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
