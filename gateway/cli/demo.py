"""``gateway demo``: the whole product in a few seconds, with no account anywhere."""

from __future__ import annotations

import asyncio

import click

from gateway.cli.exits import FAILED
from gateway.cli.foreground import until_stopped


@click.command()
@click.pass_context
def demo(context: click.Context) -> None:
    """Play payments through both providers.

    From the customer's link to a refund whose answer is lost. Everything runs on this machine, over real HTTP, in a
    temporary folder; every step is checked.
    """
    # Here and not above: the story stands on this package, whose parts must be there first.
    from gateway.demo import play

    if not asyncio.run(until_stopped(play())):
        context.exit(FAILED)
