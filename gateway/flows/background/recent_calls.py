"""Count calls to providers by the minute, so that the status can show the outcomes of the last ones."""

from __future__ import annotations

from gateway.flows.runtime import Current

PAUSE_SECONDS = 60.0


async def run(current: Current) -> None:
    """Remember until cancelled."""
    while True:
        current.gateway.measures.remember_calls()
        await current.gateway.clock.sleep(PAUSE_SECONDS)
