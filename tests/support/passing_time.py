"""Time that passes at once, for deadlines of the event loop."""

from __future__ import annotations

import asyncio


def pass_time(seconds: float) -> None:
    """Let the running loop's clock, which its timers go by, jump ahead."""
    loop = asyncio.get_running_loop()
    time = loop.time
    loop.time = lambda: time() + seconds  # type: ignore[method-assign]
