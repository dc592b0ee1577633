"""Ids that sort by time whatever the clock does; the system clock; the clock of the tests."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway.core.ids import uuid_of
from gateway.drivers import clock as module
from gateway.drivers.clock import EPOCH, Ids, SystemClock, milliseconds
from tests.support.virtual_clock import START, VirtualClock


def milliseconds_of(identifier: str) -> int:
    """The time inside an id."""
    found = uuid_of(identifier)
    assert found is not None
    return found.int >> 80


class TestIds:
    def test_an_id_is_a_prefix_and_a_version_7_uuid(self) -> None:
        """The form other systems may rely on."""
        identifier = Ids(VirtualClock()).new("pay")
        found = uuid_of(identifier)
        assert found is not None
        assert identifier == f"pay_{found.hex}"
        assert (found.version, found.variant) == (7, "specified in RFC 4122")

    def test_an_id_carries_the_time(self) -> None:
        """The first 48 bits are Unix milliseconds."""
        assert milliseconds_of(Ids(VirtualClock()).new("pay")) == int(START.timestamp() * 1000)

    def test_ids_of_one_millisecond_grow(self) -> None:
        """Ten thousand ids under a clock that stands still are in order and all different."""
        ids = Ids(VirtualClock())
        made = [ids.new("pay") for _ in range(10_000)]
        assert made == sorted(set(made))

    def test_ids_grow_while_the_clock_steps_back(self) -> None:
        """A corrected clock makes no id that sorts before an earlier one."""
        clock = VirtualClock()
        ids = Ids(clock)
        before = ids.new("pay")
        clock.set(START - timedelta(hours=1))
        assert ids.new("pay") > before

    def test_ids_follow_the_clock_again(self) -> None:
        """Later time makes greater ids with the later time inside."""
        clock = VirtualClock()
        ids = Ids(clock)
        before = ids.new("pay")
        clock.set(START + timedelta(milliseconds=1))
        after = ids.new("pay")
        assert after > before
        assert milliseconds_of(after) == milliseconds_of(before) + 1

    def test_a_full_millisecond_borrows_the_next(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """After the last number of the counter the order holds."""
        monkeypatch.setattr(module.os, "urandom", lambda size: b"\xff" * size)
        ids = Ids(VirtualClock())
        made = [ids.new("pay") for _ in range(0x1000)]
        assert made == sorted(set(made))
        assert milliseconds_of(made[-1]) == milliseconds_of(made[0]) + 1

    def test_two_processes_make_different_ids(self) -> None:
        """What follows time and counter is random."""
        clock = VirtualClock()
        assert Ids(clock).new("pay")[-15:] != Ids(clock).new("pay")[-15:]


@pytest.mark.parametrize("micros", [0, 1, 999, 1000, 1_764_400_000_123_999, -1, -999, -1000, -1001])
def test_a_time_column_has_whole_milliseconds(micros: int) -> None:
    """What is left of one is cut off, also before 1970."""
    assert milliseconds(EPOCH + timedelta(microseconds=micros)) == micros // 1000


async def test_the_system_clock_is_aware_and_in_utc() -> None:
    """A time without a zone cannot be compared with a stored one."""
    clock = SystemClock()
    before = datetime.now(UTC)
    await clock.sleep(0)
    assert before <= clock.now() <= datetime.now(UTC)
    assert clock.now().tzinfo is UTC


class TestVirtualClock:
    async def test_a_sleeper_wakes_at_its_date(self) -> None:
        """Nobody wakes a moment early, and anyone who wakes reads the date slept to."""
        clock = VirtualClock()
        woken: list[datetime] = []

        async def sleeper() -> None:
            await clock.sleep(10)
            woken.append(clock.now())

        task = asyncio.create_task(sleeper())
        await clock.advance(9.999)
        assert woken == []
        await clock.advance(5)
        assert woken == [START + timedelta(seconds=10)]
        assert clock.now() == START + timedelta(seconds=14.999)
        await task

    async def test_sleeps_that_follow_one_another_fit_one_advance(self) -> None:
        """A loop that sleeps a second runs ten times in ten seconds."""
        clock = VirtualClock()
        ticks: list[datetime] = []

        async def ticker() -> None:
            while True:
                await clock.sleep(1)
                ticks.append(clock.now())

        task = asyncio.create_task(ticker())
        await clock.advance(10)
        assert ticks == [START + timedelta(seconds=second) for second in range(1, 11)]
        assert clock.sleeping == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert clock.sleeping == 0
