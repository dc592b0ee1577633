"""Time that passes at once: for deadlines of the event loop, and for the schedule of payments."""

from __future__ import annotations

import asyncio

from gateway.flows.background import reconcile
from gateway.flows.runtime import Gateway


def pass_time(seconds: float) -> None:
    """Let the running loop's clock, which its timers go by, jump ahead."""
    loop = asyncio.get_running_loop()
    time = loop.time
    loop.time = lambda: time() + seconds  # type: ignore[method-assign]


async def run_due_checks(gw: Gateway) -> int:
    """Check the payments that are due now, once, and wait for it; return how many there were."""
    tasks = await reconcile.start_due(gw)
    if tasks:
        await asyncio.wait(tasks)
    return len(tasks)
