"""What several processes have in common."""

from __future__ import annotations

import errno
import logging
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.drivers.workers.worker import Worker, bound
from gateway.web.server import running
from tests.support.clients.raw_http import client
from tests.support.several_gateways import several_gateways


@pytest.mark.parametrize(("limit", "share"), [(None, None), (8, 2), (9, 3), (1, 1)])
def test_a_limit_is_divided(limit: int | None, share: int | None) -> None:
    """Rounded up, so that no process is left without."""
    assert Worker(1, 4, (), ()).share(limit) == share


async def test_each_process_has_its_part_of_the_limits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of six connections of an address each of two processes takes three, and of twenty callers ten."""

    def few(settings: dict[str, Any]) -> None:
        settings["limits"] = {"connections": 20, "connections_per_address": 6}

    async with several_gateways(tmp_path, 1, change=few) as (stack,):
        worker = Worker(1, 2, await bound("127.0.0.1", 0), await bound("127.0.0.1", 0))
        caplog.set_level(logging.INFO, "gateway")
        caplog.clear()  # another test may have left the level so
        async with running(stack.settings, stack.registry, worker=worker) as server, AsyncExitStack() as clients:
            for _ in range(3):
                await (await clients.enter_async_context(client(server.url))).ask()
            await (await clients.enter_async_context(client(server.url))).closed()
    callers = [vars(record)["callers"] for record in caplog.records if hasattr(record, "callers")]
    assert callers == [10]


async def test_a_port_is_taken_and_nobody_listens_yet() -> None:
    """A free one is found; a taken one is named by the system's error."""
    (one,) = await bound("127.0.0.1", 0)
    with one, socket.socket() as caller:
        assert caller.connect_ex(one.getsockname()) == errno.ECONNREFUSED
        one.listen()
        with pytest.raises(OSError, match=str(one.getsockname()[1])) as taken:
            await bound(*one.getsockname())
    assert taken.value.errno == errno.EADDRINUSE
