"""The total of what several processes have counted does not fall when one of them goes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from gateway.drivers.workers.peers import Peers
from gateway.drivers.workers.shared import Shared
from gateway.drivers.workers.worker import Worker

Counts = dict[str, int]


class Process:
    """One process that counts; ``peers`` None: the only one."""

    def __init__(self, counts: Counts, peers: Peers | None) -> None:
        self.counts, self.peers = counts, peers


def total(parts: Sequence[Counts]) -> Counts:
    """Their sum."""
    return {name: sum(part.get(name, 0) for part in parts) for name in {name for part in parts for name in part}}


def only_requests(counts: Counts) -> Counts:
    """What counts on."""
    return {"requests": counts["requests"]}


LEFT: Shared[Process, Counts] = Shared("left", Counts, lambda process: process.counts, total, only_requests)
GONE: Shared[Process, Counts] = Shared("gone", Counts, lambda process: process.counts, total)


@asynccontextmanager
async def process(folder: Path, number: int, **counts: int) -> AsyncIterator[Process]:
    """One of two that answers for the time of the block."""
    one = Process(counts, Peers(Worker(number, 2, (), ()), folder))
    assert one.peers is not None

    async def answer(shared: Shared[Process, Counts], peers: Peers) -> bytes:
        return shared.answer(one, peers)

    async with one.peers.answering({shared.name: partial(answer, shared, one.peers) for shared in (LEFT, GONE)}):
        yield one


async def test_the_only_process_is_the_total() -> None:
    """It asks nobody and keeps nothing."""
    assert await LEFT.of(Process({"requests": 1}, None)) == {"requests": 1}


@pytest.mark.parametrize(("shared", "after"), [(LEFT, {"requests": 3, "open": 1}), (GONE, {"requests": 1, "open": 1})])
async def test_of_a_process_that_is_gone_only_its_counts_remain(
    tmp_path: Path, shared: Shared[Process, Counts], after: Counts
) -> None:
    """As they were last told; what it held is gone with it."""
    async with process(tmp_path, 1, requests=1, open=1) as one:
        async with process(tmp_path, 2, requests=2, open=2):
            assert await shared.of(one) == {"requests": 3, "open": 3}
        assert await shared.of(one) == after


async def test_a_successor_counts_on(tmp_path: Path) -> None:
    """Both say so, however often they are asked."""
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(process(tmp_path, 1, requests=1))
        async with process(tmp_path, 2, requests=2):
            await LEFT.of(one)
        two = await stack.enter_async_context(process(tmp_path, 2, requests=4))
        for asked in (one, two, one):
            assert await LEFT.of(asked) == {"requests": 7}
