"""``gateway serve``: run the server until a signal stops it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import click

from gateway.cli.foreground import freeze_startup_memory, stop_signal
from gateway.cli.hosting import Ports, announce, bind_simulators, movable_clock, read_ports, simulating
from gateway.cli.loading import Configuration, config_option, load
from gateway.drivers.file_descriptors import raised_limit
from gateway.drivers.installed_plugins import own_version
from gateway.drivers.settings import Settings
from gateway.drivers.telemetry import setup_logging, use_level
from gateway.flows.occurrences import Occurrence, report
from gateway.flows.runtime import Gateway
from gateway.web.server import GRACE, running

DEVELOPMENT = "DEVELOPMENT MODE: secrets may be literal, http and private targets are allowed, never serve money so"

_log = logging.getLogger("gateway")


@click.command()
@config_option
@click.option("--with-simulators", is_flag=True, help="Run the providers' simulators too (development only).")
@click.option(
    "--simulator-port",
    "ports",
    multiple=True,
    callback=read_ports,
    metavar="PROVIDER=PORT",
    help="Use another port for one simulator; 0 picks a free one.",
)
@click.option("--listen", "listens", is_flag=True, help="Show the webhooks that go to this machine (development only).")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Run N processes on the same ports; more than one needs PostgreSQL.",
)
def serve(config: Path, with_simulators: bool, ports: Ports, listens: bool, workers: int) -> None:
    """Run the gateway.

    Prints "ready URL admin URL" when it listens; SIGTERM and SIGINT stop it cleanly, SIGHUP loads the settings
    again. Logs are JSON lines on stderr.
    """
    if ports and not with_simulators:
        raise click.UsageError("--simulator-port needs --with-simulators")
    if workers > 1 and (with_simulators or listens):
        raise click.UsageError("--with-simulators and --listen run in the gateway's one process: leave out --workers")
    setup_logging()
    raised_limit()
    if workers > 1:
        _serve_with_workers(config, workers)
    asyncio.run(_serve(_load(config), ports if with_simulators else None, listens=listens))


def _serve_with_workers(config: Path, workers: int) -> NoReturn:
    from gateway.cli.workers import serving  # imported here because one process needs nothing of it

    loaded = _load(config)
    serving.refuse_one_file(loaded.settings)
    _say_what_starts(loaded)
    code = serving.serve_with_workers(loaded, workers)
    _log.info("stopped", extra={"version": own_version()})
    sys.exit(code)


def _load(config: Path) -> Configuration:
    loaded = load(config)
    _use_level(loaded.settings)
    return loaded


def _use_level(settings: Settings) -> None:
    use_level(settings.log.level, settings.log.sample)


def _viewer(loaded: Configuration) -> Callable[[Gateway], None]:
    from gateway.cli.listen import beside_a_gateway  # imported here because production does not need it

    return beside_a_gateway(loaded)


async def _serve(loaded: Configuration, ports: Ports | None, *, listens: bool) -> None:
    """``ports`` of the simulators, None to run none."""
    sockets = bind_simulators(loaded, (), ports) if ports is not None else {}
    clock = movable_clock() if sockets else None
    view = _viewer(loaded) if listens else lambda _: None
    _say_what_starts(loaded)
    hung_up = asyncio.Event()
    with stop_signal(on_hangup=hung_up.set) as stop:
        # The outer stack ends last: operations that end while the gateway drains still reach the simulators.
        async with (
            contextlib.AsyncExitStack() as beside,
            running(loaded.settings, loaded.registry, clock, grace=GRACE, reload_wanted=hung_up) as server,
        ):
            server.reloader.followers.append(lambda gw: _use_level(gw.settings))
            if sockets:
                simulators = simulating(loaded, sockets, server.gateway.callback_url, clock)
                follow = await beside.enter_async_context(simulators)
                server.reloader.followers.append(lambda gw: follow(gw.settings, gw.callback_url))
            freeze_startup_memory()
            click.echo(f"ready {server.url} admin {server.admin_url}")
            announce(sockets)
            view(server.gateway)
            del loaded  # a reload frees the first settings
            await stop.wait()
            _log.info("stopping")
        report(server.gateway, Occurrence.STOPPED, version=own_version())


def _say_what_starts(loaded: Configuration) -> None:
    if loaded.settings.server.development:
        _log.warning(DEVELOPMENT)
    _log.info("starting", extra={"version": own_version(), "hash": loaded.settings.digest})
    for one in loaded.registry.plugins:
        _log.info("plugin loaded", extra={"plugin": one.name, "distribution": one.distribution, "version": one.version})
