"""What a worker answers when the others ask it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gateway.drivers.workers.peers import Peers
from gateway.drivers.workers.shared import Shared
from gateway.flows.background import reload
from gateway.flows.credential_uses import USES
from gateway.flows.runtime import Current
from gateway.flows.status import metrics
from gateway.flows.status.state import STATE
from gateway.web.server import Running

SHARED: tuple[Shared[Any, Any], ...] = (metrics.OWN, STATE, USES)

KEEP_SECONDS = 10.0
"""How often counts are stored: a process that is killed loses those counted since."""


@asynccontextmanager
async def answering(server: Running, peers: Peers) -> AsyncIterator[None]:
    """Be one of several processes for the time of the block: ask the others, and answer them."""
    server.gateway.peers = peers
    answers = {one.name: functools.partial(_answer, one, server.current, peers) for one in SHARED}
    keeping = asyncio.create_task(_keep_counts(server.current, peers))
    try:
        async with peers.answering({**answers, reload.RELOAD: functools.partial(reload.answer, server.reloader)}):
            yield
    finally:
        keeping.cancel()


async def _keep_counts(current: Current, peers: Peers) -> None:
    """Store the counts regularly, for the time after this process has ended."""
    while True:
        await asyncio.sleep(KEEP_SECONDS)
        for shared in SHARED:
            shared.answer(current.gateway, peers)


async def _answer(shared: Shared[Any, Any], current: Current, peers: Peers) -> bytes:
    return shared.answer(current.gateway, peers)
