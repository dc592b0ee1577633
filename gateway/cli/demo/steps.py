"""The steps of the demo in their order. The docstring of a step is its title; a check that fails ends the demo."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import aiohttp
from rich.text import Text

from gateway.cli.demo.creditkey import (
    credit_key_approve,
    credit_key_capture,
    credit_key_create,
    credit_key_update,
    credit_key_webhook,
)
from gateway.cli.demo.environment import Environment, StepFailed, open_environment
from gateway.cli.demo.increase import increase_accepted, increase_allowed, increase_prepared, increase_refused
from gateway.cli.demo.psp import psp_create, psp_pay, psp_webhook
from gateway.cli.demo.refunds import refund_in_part, refund_lost, refund_repeated, refund_resolved
from gateway.cli.demo.timelines import timelines
from gateway.cli.output import console as make_console

Step = Callable[[Environment], Awaitable[None]]

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
    refund_resolved,
    refund_repeated,
    increase_prepared,
    increase_refused,
    increase_allowed,
    increase_accepted,
    timelines,
)


async def play() -> bool:
    """Play all steps; False after printing the one that failed."""
    console = make_console()
    console.print("starting a gateway, both simulators and a tenant's own server on free ports of this machine")
    async with open_environment(console) as env:
        for number, step in enumerate(STEPS, 1):
            title = f"{number}. {step.__doc__}"
            console.print(Text(f"\n{title}", style="bold"))
            try:
                await step(env)
            except (StepFailed, aiohttp.ClientError, TimeoutError, LookupError, ValueError) as problem:
                console.print(Text(f"  ✗ {type(problem).__name__}: {problem}", style="red"))
                console.print(Text(f"\nfailed at step {title}", style="bold red"))
                return False
    console.print(Text(f"\nall {len(STEPS)} steps as expected", style="bold green"))
    return True
