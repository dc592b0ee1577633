"""``gateway simulate``: run the providers' simulators until a signal stops them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from pathlib import Path

import click

from gateway.cli.foreground import stop_signal
from gateway.cli.hosting import Ports, announce, bind_simulators, read_ports, simulating
from gateway.cli.loading import Configuration, callback_url, config_option, load
from gateway.drivers.settings import AccountEntry


@click.command()
@click.argument("providers", nargs=-1, metavar="[PROVIDER]...")
@click.option(
    "--port",
    "ports",
    multiple=True,
    callback=read_ports,
    metavar="PROVIDER=PORT",
    help="Use another port for one simulator; 0 picks a free one.",
)
@config_option
def simulate(providers: tuple[str, ...], ports: Ports, config: Path) -> None:
    """Run the providers' simulators.

    For all providers, or for each PROVIDER, with the accounts in the settings.
    """
    loaded = load(config)
    asyncio.run(_simulate(loaded, bind_simulators(loaded, providers, ports)))


async def _simulate(loaded: Configuration, sockets: Mapping[str, socket.socket]) -> None:
    def address(entry: AccountEntry) -> str:
        url = callback_url(loaded.settings, entry)
        if url is None:
            raise click.UsageError("server.port is 0: set server.public_url, so that simulators know where to call")
        return url

    with stop_signal() as stop:
        async with simulating(loaded, sockets, address):
            announce(sockets)
            await stop.wait()
