"""``gateway serve --workers N``: what the supervisor prepares, and what each process does."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import click

from gateway.cli.foreground import freeze_startup_memory, stop_signal
from gateway.cli.loading import Configuration, http_url
from gateway.cli.workers.answering import answering
from gateway.cli.workers.supervisor import Place, Supervisor
from gateway.drivers.installed_plugins import own_version
from gateway.drivers.settings import Admin, Server, Settings, cannot_listen, load_settings
from gateway.drivers.telemetry import as_worker, share_lines, use_level
from gateway.drivers.workers.peers import Peers
from gateway.drivers.workers.worker import Worker, bound
from gateway.flows.occurrences import Occurrence, report
from gateway.flows.status.state import STATE
from gateway.web.connections.graceful_shutdown import drop_new_connections
from gateway.web.server import GRACE, running

_log = logging.getLogger("gateway")


def refuse_one_file(settings: Settings) -> None:
    """Raises click's usage error where one process has a store for itself."""
    if any(target.path is not None for target in settings.stores.values()):
        raise click.UsageError(
            "--workers needs PostgreSQL (store.url: postgresql://user@host:port/db): SQLite keeps a store in a file"
            " that one process locks and writes"
        )


def serve_with_workers(loaded: Configuration, count: int) -> int:
    """Run until a signal stops it; the exit code. Raises as ``bound`` does, and what ends the first process."""
    server = loaded.settings.server
    public, admin = asyncio.run(_bind(loaded.settings))
    share_lines(_log_lock())
    with tempfile.TemporaryDirectory(prefix="gateway-") as folder:

        def work(place: Place) -> None:
            as_worker(place.number)
            now = loaded if place.is_first else _reloaded(loaded)
            asyncio.run(_serve(now, Worker(place.number, count, public, admin), Path(folder), place))

        def started() -> None:
            click.echo(f"ready {_url(server, public)} admin {_url(server.admin, admin)}")

        def stopping() -> None:
            for one in (*public, *admin):
                drop_new_connections(one)
                one.close()

        freeze_startup_memory()
        return Supervisor(count, work, started=started, stopping=stopping).run()


def _log_lock() -> int:
    """A file without a name, open to the end of the process: its last line takes its turn too."""
    lock, path = tempfile.mkstemp(prefix="gateway-")
    os.unlink(path)
    return lock


async def _bind(settings: Settings) -> tuple[list[socket.socket], list[socket.socket]]:
    return await _bound(settings, settings.server), await _bound(settings, settings.server.admin)


async def _bound(settings: Settings, at: Server | Admin) -> list[socket.socket]:
    try:
        return await bound(at.host, at.port)
    except OSError as problem:
        raise cannot_listen(settings, at, problem) from None


def _url(at: Server | Admin, sockets: list[socket.socket]) -> str:
    return http_url(at.host, sockets[0].getsockname()[1])


async def _serve(loaded: Configuration, worker: Worker, folder: Path, place: Place) -> None:
    """Serve as one of the workers until a signal, or the supervisor, stops it. ``folder``: for its socket."""
    hung_up = asyncio.Event()
    with stop_signal(on_hangup=hung_up.set) as stop:
        _once_readable(place.stop, stop.set)
        settings, registry = loaded
        async with (
            running(settings, registry, grace=GRACE, reload_wanted=hung_up, worker=worker) as server,
            answering(server, Peers(worker, folder)),
        ):
            if len((await STATE.of(server.gateway)).hashes) > 1:
                hung_up.set()  # the others have loaded other settings while this process was starting
            server.reloader.followers.append(lambda gw: use_level(gw.settings.log.level, gw.settings.log.sample))
            freeze_startup_memory()
            place.started()
            await stop.wait()
            _log.info("stopping")
        report(server.gateway, Occurrence.STOPPED, version=own_version())


def _once_readable(pipe: int, call: Callable[[], object]) -> None:
    loop = asyncio.get_running_loop()

    def take() -> None:
        loop.remove_reader(pipe)  # a pipe that has ended stays readable
        call()

    loop.add_reader(pipe, take)


def _reloaded(loaded: Configuration) -> Configuration:
    """The settings for a process that takes another one's place: the others may have loaded newer ones.

    Raises ``SettingsError``: a key that was taken away does not come back with old settings.
    """
    running, registry = loaded
    settings = load_settings(running.source, providers=registry.providers, environ=os.environ, running=running)
    return loaded if settings.digest == running.digest else Configuration(settings, registry)
