"""The demo: payments through both providers, told and checked step by step. ``STEPS`` is the story, top to bottom.

A step is a function of a chapter in ``gateway/cli/story/``; its docstring is its title, and a check that does not hold
ends the demo.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import aiohttp
from rich.text import Text

from gateway.cli.output import console as make_console
from gateway.cli.stage import Stage, StepFailed, open_stage
from gateway.cli.story.creditkey import (
    credit_key_approve,
    credit_key_capture,
    credit_key_create,
    credit_key_update,
    credit_key_webhook,
)
from gateway.cli.story.psp import psp_create, psp_pay, psp_webhook
from gateway.cli.story.refunds import refund_in_part, refund_lost, refund_repeated, refund_settled
from gateway.cli.story.rise import rise_accepted, rise_allowed, rise_begun, rise_refused
from gateway.cli.story.timelines import timelines

Step = Callable[[Stage], Awaitable[None]]

STEPS: tuple[Step, ...] = (
    psp_create,
    psp_pay,
    psp_webhook,
    credit_key_create,
    credit_key_approve,
    credit_key_update,
    credit_key_capture,
    credit_key_webhook,
    refund_in_part,
    refund_lost,
    refund_settled,
    refund_repeated,
    rise_begun,
    rise_refused,
    rise_allowed,
    rise_accepted,
    timelines,
)


async def play() -> bool:
    """Play all steps; False after printing the one that failed."""
    console = make_console()
    console.print("starting a gateway, both simulators and a tenant's own server on free ports of this machine")
    async with open_stage(console) as stage:
        for number, step in enumerate(STEPS, 1):
            title = f"{number}. {step.__doc__}"
            console.print(Text(f"\n{title}", style="bold"))
            try:
                await step(stage)
            except (StepFailed, aiohttp.ClientError, TimeoutError, LookupError, ValueError) as problem:
                console.print(Text(f"  ✗ {type(problem).__name__}: {problem}", style="red"))
                console.print(Text(f"\nfailed at step {title}", style="bold red"))
                return False
    console.print(Text(f"\nall {len(STEPS)} steps as expected", style="bold green"))
    return True
