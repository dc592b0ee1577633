"""What several processes have in common."""

from __future__ import annotations

import errno
import socket

import pytest

from gateway.drivers.workers.worker import Worker, bound


@pytest.mark.parametrize(("limit", "share"), [(None, None), (8, 2), (9, 3), (1, 1)])
def test_a_limit_is_divided(limit: int | None, share: int | None) -> None:
    """Rounded up, so that no process is left without."""
    assert Worker(1, 4, (), ()).share(limit) == share


async def test_a_port_is_taken_and_nobody_listens_yet() -> None:
    """A free one is found; a taken one is named by the system's error."""
    (one,) = await bound("127.0.0.1", 0)
    with one, socket.socket() as caller:
        assert caller.connect_ex(one.getsockname()) == errno.ECONNREFUSED
        one.listen()
        with pytest.raises(OSError, match=str(one.getsockname()[1])) as taken:
            await bound(*one.getsockname())
    assert taken.value.errno == errno.EADDRINUSE
