"""What came of a provider's calls is remembered by the minute."""

from __future__ import annotations

from pathlib import Path

from gateway.drivers.measures import RECENT_MINUTES
from gateway.flows.status.read import status_of
from tests.support.stack import GatewayStack, psp_body, running_stack
from tests.support.virtual_clock import VirtualClock


async def test_a_provider_that_fails_is_shown_until_it_is_well_for_long_enough(tmp_path: Path) -> None:
    """Six faults in a row need a person; a quarter of an hour later they are gone."""
    clock = VirtualClock()
    async with running_stack(tmp_path, clock=clock) as stack:
        await stack.faults("psp", status=500)
        for _ in range(6):
            assert (await stack.create(psp_body())).status == 202
        shown = await calls(stack)
        assert shown == {"creditkey": (0, 0.0, {}), "psp_open_api": (6, 1.0, {"unknown": 6})}
        said = [line for line in (await status_of(stack.gateway)).needs_person if "psp_open_api" in line]
        assert said[0].startswith("6 of 6 calls to psp_open_api in the last 15 minutes failed (unknown 6): ")
        for _ in range(RECENT_MINUTES + 1):
            await clock.advance(60)
        assert (await calls(stack))["psp_open_api"] == (0, 0.0, {})


async def calls(stack: GatewayStack) -> dict[str, tuple[int, float, dict[str, int]]]:
    """How many calls failed of each provider, their share, and what came of all."""
    found = (await status_of(stack.gateway)).providers
    return {one.name: (one.failed, one.error_rate, one.outcomes) for one in found}
