"""The store's disk: asked seldom, low below its mark, and it says so once."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from gateway.drivers.disk_space import DiskSpace, free_bytes


class FakeDisk:
    """A disk with so many bytes free; None: it cannot be asked."""

    def __init__(self, free: int | None) -> None:
        self.free, self.seconds, self.asked = free, 0.0, 0
        self.disk = DiskSpace([Path("/")], 100, free=self._ask, now=lambda: self.seconds)

    def _ask(self, _folder: Path) -> int:
        self.asked += 1
        if self.free is None:
            raise OSError(5, "Input/output error")
        return self.free

    def is_low(self, free: int | None) -> bool:
        """Whether it is low a second later, with so many bytes free."""
        self.free, self.seconds = free, self.seconds + 1
        return self.disk.is_low()


def test_a_disk_is_low_below_its_mark() -> None:
    """The mark itself is enough; it heals by itself."""
    fake = FakeDisk(None)
    assert [fake.is_low(free) for free in (100, 99, 0, 100, 99)] == [False, True, True, False, True]


def test_a_disk_that_cannot_be_asked_is_as_it_was() -> None:
    """An error says nothing about room: the store itself will say what is wrong."""
    fake = FakeDisk(None)
    assert [fake.is_low(free) for free in (None, 0, None, 100, None)] == [False, True, True, False, False]


def test_a_disk_is_asked_once_a_second() -> None:
    """Payments in between get the same answer without a system call."""
    fake = FakeDisk(0)
    assert all(fake.disk.is_low() for _ in range(100))
    assert fake.asked == 1
    fake.is_low(0)
    assert fake.asked == 2


def test_a_mark_of_zero_asks_no_disk() -> None:
    """Anyone who wants no mark pays nothing."""
    disk = DiskSpace([Path("/")], 0, free=lambda _: pytest.fail("asked"))
    assert not disk.is_low()


def test_each_change_is_said_once() -> None:
    """Once when it begins and once when it is over."""
    fake = FakeDisk(None)
    heard: list[bool] = []
    fake.disk.changed = heard.append
    for free in (100, 0, 0, 0, 100, 100):
        fake.is_low(free)
    assert heard == [True, False]


def test_each_of_several_disks_is_asked() -> None:
    """One of them is low: that one is named, and it is said once however many follow."""
    free, seconds, heard = {Path("/a"): 100, Path("/b"): 100}, itertools.count(), list[bool]()
    disk = DiskSpace([Path("/a"), Path("/b"), Path("/a")], 100, free=free.__getitem__, now=seconds.__next__)
    disk.changed = heard.append
    assert (disk.is_low(), disk.low()) == (False, ())
    free[Path("/b")] = 99
    assert (disk.is_low(), disk.low()) == (True, (Path("/b"),))
    free[Path("/a")] = 99
    assert disk.low() == (Path("/a"), Path("/b"))
    free |= {Path("/a"): 100, Path("/b"): 100}
    assert disk.low() == ()
    assert heard == [True, False]


def test_free_bytes_of_a_real_disk(tmp_path: Path) -> None:
    """The system's own answer, in bytes."""
    assert 0 < free_bytes(tmp_path) < 10**18
