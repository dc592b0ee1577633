"""``gateway demo``: payments through both providers in a few seconds, without an account anywhere.

``steps.py`` has the steps in their order, ``environment.py`` what they run in. ``psp.py``, ``creditkey.py``,
``refunds.py``, ``increase.py`` and ``timelines.py`` are the scenarios, ``expectations.py`` what several of them check.
"""

from __future__ import annotations

import asyncio

import click

from gateway.cli.demo.steps import play
from gateway.cli.exits import FAILED
from gateway.cli.foreground import until_stopped


@click.command()
@click.pass_context
def demo(context: click.Context) -> None:
    """Play payments through both providers.

    From the customer's link to a refund whose answer is lost. Everything runs on this machine, over real HTTP, in a
    temporary folder; every step is checked.
    """
    if not asyncio.run(until_stopped(play())):
        context.exit(FAILED)
