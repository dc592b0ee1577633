"""One running server: open the store, listen, work, and stop cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from aiohttp import web
from msgspec.structs import asdict

from gateway.core.urls import bracketed
from gateway.drivers.clock import Clock, SystemClock
from gateway.drivers.file_descriptors import Shares, descriptor_shares, limit
from gateway.drivers.installed_plugins import own_version
from gateway.drivers.measures import Measures
from gateway.drivers.plugin_registry import Registry
from gateway.drivers.sender import ClosingConnections, ConnectionSlots, make_sender
from gateway.drivers.settings import Admin, Server, Settings, cannot_listen, load_settings
from gateway.drivers.store.opening import open_stores
from gateway.drivers.traces import make_traces
from gateway.drivers.workers.worker import ALONE, Worker
from gateway.flows.background import nodes, startup
from gateway.flows.background.reload import Reloader, note_version
from gateway.flows.background.secret_fingerprint import check_secret, keep_fingerprint
from gateway.flows.background.workers import workers
from gateway.flows.occurrences import Occurrence, report
from gateway.flows.runtime import Current, Gateway
from gateway.flows.tasks import Tasks
from gateway.web.app import make_admin_app, make_app, use_settings
from gateway.web.app_keys import CURRENT, RELOADER
from gateway.web.connections.capacity import Capacity, Phase
from gateway.web.connections.connection import Bounds, Connection
from gateway.web.connections.listener import Listener
from gateway.web.direct_routes import DirectRoutes
from gateway.web.proxies import PROXIES
from gateway.web.request_log import write_unread
from gateway.web.traced_requests import traced

STOP_WITHIN = 24.0
"""Seconds that accepted requests and running operations get together when the server stops. A store that somebody
else holds may take five more to close: it all fits into thirty."""

OPERATORS_SHARE = 0.1
"""The share of it that is kept for the operators' listener, which answers ``stopping`` until the public one is done."""

GRACE = 3.0
"""Seconds in which a request on a kept connection is still answered (that the gateway stops) when serving ends."""

LINGER = 2.0
"""Seconds a connection stays open at most to read what a refused request still sends."""


class Running(NamedTuple):
    """A server that listens. Addresses are as bound, e.g. ``http://127.0.0.1:8080``."""

    current: Current
    reloader: Reloader
    url: str
    admin_url: str

    @property
    def gateway(self) -> Gateway:
        """The gateway of the current settings."""
        return self.current.gateway


@contextlib.asynccontextmanager
async def running(
    settings: Settings,
    registry: Registry,
    clock: Clock | None = None,
    *,
    stop_within: float = STOP_WITHIN,
    grace: float | None = None,
    reload_wanted: asyncio.Event | None = None,
    worker: Worker = ALONE,
) -> AsyncIterator[Running]:
    """Run a server for the time of the block. When it cannot start: ``AlreadyRunning``, ``Unavailable``,
    ``SettingsError``, ``OSError`` (a port that is taken).

    ``stop_within``: seconds until the stores are closed, whatever still runs. ``grace``: seconds for which connections
    without a request are kept at the end, so that no client is reset; None where every client is known to be done.
    ``reload_wanted``: set where the settings are to be loaded again. ``worker``: which of several processes this is.
    """
    shares = descriptor_shares(limit(), worker.share(settings.limits.connections))
    async with contextlib.AsyncExitStack() as stack:
        gw = await _gateway(settings, registry, clock or SystemClock(), shares, stack)
        await check_secret(gw)
        await startup.check_names(gw)
        await startup.start(gw)
        apps = make_app(gw, shares.callers), make_admin_app(gw)
        reloader = apps[1][RELOADER] = _reloader(gw.current, registry, apps, reload_wanted or asyncio.Event())
        public, admin = await _listeners(gw, apps, shares, stop_within, stack, worker)
        gw.bound_url = public.url
        gw.public_url = settings.server.public_url or public.url
        await keep_fingerprint(gw)
        stack.push_async_callback(_stop, gw.tasks, public.listener, stop_within * (1 - OPERATORS_SHARE), grace)
        for beside in (*workers(gw.current), reloader.run(), *(() if worker.number > 1 else (reloader.watch(),))):
            stack.push_async_callback(_cancel, asyncio.create_task(beside))
        report(gw, Occurrence.STARTED, version=own_version(), hash=gw.settings.digest, **asdict(shares))
        note_version(gw, Occurrence.SETTINGS_LOADED)
        server = Running(gw.current, reloader, public.url, admin.url)
        del settings, gw  # so that the first version is freed like any other
        try:
            yield server
        finally:
            server.current.stop()


async def _gateway(
    settings: Settings, registry: Registry, clock: Clock, shares: Shares, stack: contextlib.AsyncExitStack
) -> Gateway:
    """The gateway with its store and its two senders, which ``stack`` closes."""
    measures = Measures()
    store = await open_stores(settings, measures=measures)
    stack.push_async_callback(store.close)
    make = functools.partial(
        make_sender,
        proxy=settings.egress.proxy,
        allow_private=settings.server.development,
        slots=ConnectionSlots(shares.outgoing),
        closing=ClosingConnections(shares.leaving),
    )
    sender = await stack.enter_async_context(make())
    # A webhook is delivered by the status of its answer, whatever the body.
    messenger = await stack.enter_async_context(make(cuts_bodies=True))
    traces = make_traces(os.environ)
    if traces is not None:
        stack.push_async_callback(traces.close)
    gw = Gateway(
        settings=settings,
        store=store,
        send=sender.send,
        deliver=messenger.send,
        clock=clock,
        measures=measures,
        observe=registry.observe if registry.has_observers else None,
        plugins=registry.plugins,
        traces=traces,
    )
    stack.push_async_callback(gw.refused_requests.write)
    await stack.enter_async_context(nodes.joined(gw.current))
    return gw


class _Listening(NamedTuple):
    listener: Listener
    url: str


async def _listeners(
    gw: Gateway,
    apps: tuple[web.Application, web.Application],
    shares: Shares,
    stop_within: float,
    stack: contextlib.AsyncExitStack,
    worker: Worker,
) -> tuple[_Listening, _Listening]:
    """Both listeners, which ``stack`` stops."""
    public, admin = apps
    server, limits = gw.settings.server, gw.settings.limits
    operators = stop_within * OPERATORS_SHARE
    per_address = worker.share(limits.connections_per_address)
    callers: Capacity[Connection] = Capacity(shares.callers, per_address, public[PROXIES].has)
    return (
        await _listen(public, server, callers, stop_within - operators, stack, worker.public),
        await _listen(admin, server.admin, Capacity(shares.operators), operators, stack, worker.admin),
    )


def _reloader(
    current: Current, registry: Registry, apps: tuple[web.Application, ...], wanted: asyncio.Event
) -> Reloader:
    """What loads the settings again, with the plugins that were loaded at the start."""

    def load(running: Settings) -> Settings:
        return load_settings(running.source, providers=registry.providers, environ=os.environ, running=running)

    def changed(gw: Gateway) -> None:
        for app in apps:
            use_settings(app, gw)

    return Reloader(current, load, changed, wanted)


async def _listen(
    app: web.Application,
    at: Server | Admin,
    capacity: Capacity[Connection],
    stop_within: float,
    stack: contextlib.AsyncExitStack,
    shared: Sequence[socket.socket],
) -> _Listening:
    settings, traces = app[CURRENT].gateway.settings, app[CURRENT].gateway.traces
    listener = Listener(
        app,
        DirectRoutes(app) if traces is None else traced(DirectRoutes(app), traces),
        capacity=capacity,
        bounds=_bounds(settings),
        note_unread=functools.partial(write_unread, app),
        # aiohttp waits this long twice: for a request's answer, then for its connection.
        shutdown_timeout=stop_within / 2,
        lingering_time=min(LINGER, settings.timeouts.request_body),
    )
    stack.push_async_callback(listener.cleanup)
    try:
        bound = await listener.listen(at.host, at.port, shared)
    except OSError as problem:
        raise cannot_listen(settings, at, problem) from None
    return _Listening(listener, f"http://{bracketed(at.host)}:{bound}")


def _bounds(settings: Settings) -> Bounds:
    timeouts = settings.timeouts
    seconds = {
        Phase.IDLE: timeouts.idle_connection,
        Phase.HEAD: timeouts.request_head,
        Phase.UNREAD: timeouts.write,
        # The handler waits that long and refuses it; what the client still sends then is read for a while.
        Phase.BODY: timeouts.request_body + 2 * LINGER,
    }
    return Bounds(head_bytes=settings.limits.head_bytes, seconds=seconds)


async def _stop(tasks: Tasks, listener: Listener, within: float, grace: float | None) -> None:
    """Stop listening, let accepted requests answer, then let running operations end: all before one deadline."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + within
    if grace is not None:
        await listener.drain(grace=grace, within=within)
    await listener.cleanup()
    await tasks.drain(deadline - clock())


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
