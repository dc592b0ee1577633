"""One running server: open the store, listen, work, and stop cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from typing import NamedTuple

import msgspec
from aiohttp import web

from gateway.core.errors import SettingsError
from gateway.core.urls import bracketed
from gateway.drivers.clock import Clock, SystemClock
from gateway.drivers.file_descriptors import Shares, descriptor_shares, limit
from gateway.drivers.plugin_registry import Registry
from gateway.drivers.sender import ClosingConnections, ConnectionSlots, make_sender
from gateway.drivers.settings import Admin, Server, Settings, cannot_listen
from gateway.drivers.store.sqlite import open_sqlite
from gateway.flows.background import startup
from gateway.flows.background.workers import workers
from gateway.flows.payments import submit
from gateway.flows.runtime import Gateway, log
from gateway.web.app import make_admin_app, make_app
from gateway.web.capacity import Capacity, Phase
from gateway.web.connections import Bounds, Connection
from gateway.web.keys import GATEWAY
from gateway.web.proxies import Proxies
from gateway.web.request_line import write_unread
from gateway.web.runner import Runner

STOP_WITHIN = 24.0
"""Seconds that accepted requests and running operations get together when the server stops. A store that somebody
else holds may take five more to close: it all fits into thirty."""

OPERATORS_PART = 0.1
"""The part of it that is kept for the operators' listener, which tells ``stopping`` until the public one is done."""

GRACE = 3.0
"""Seconds in which a request on a kept connection is still answered (that the gateway stops) when serving ends."""

LINGER = 2.0
"""Seconds a connection stays open at most to read what a refused request still sends."""


class Running(NamedTuple):
    """A server that listens. Addresses are as bound, e.g. ``http://127.0.0.1:8080``."""

    gateway: Gateway
    url: str
    admin_url: str


@contextlib.asynccontextmanager
async def running(
    settings: Settings,
    registry: Registry,
    clock: Clock | None = None,
    *,
    stop_within: float = STOP_WITHIN,
    grace: float | None = None,
) -> AsyncIterator[Running]:
    """Run a server for the time of the block. Raises ``AlreadyRunning``, ``Unavailable``, ``SettingsError`` or
    ``OSError`` (a port that is taken) when it cannot start.

    ``stop_within``: seconds until the stores are closed, whatever still runs. ``grace``: seconds for which connections
    without a request are kept at the end, so that no client is reset; None where every client is known to be done.
    """
    shares = descriptor_shares(limit(), settings.limits.connections)
    async with contextlib.AsyncExitStack() as stack:
        gw = await _gateway(settings, registry, clock or SystemClock(), shares, stack)
        await check_names(gw)
        await startup.begin(gw)
        operators = stop_within * OPERATORS_PART
        proxies = Proxies(settings.server.trusted_proxies)
        callers: Capacity[Connection] = Capacity(shares.callers, settings.limits.connections_per_address, proxies.has)
        public = await _listen(make_app(gw, shares.callers), settings.server, callers, stop_within - operators, stack)
        admin = await _listen(make_admin_app(gw), settings.server.admin, Capacity(shares.operators), operators, stack)
        gw.public_url = settings.server.public_url or public.url
        await startup.note_secret(gw)
        stack.push_async_callback(_stop, gw, public.runner, stop_within - operators, grace)
        for worker in workers(gw):
            stack.push_async_callback(_cancel, asyncio.create_task(worker))
        log.info("listening", extra=msgspec.structs.asdict(shares))
        try:
            yield Running(gateway=gw, url=public.url, admin_url=admin.url)
        finally:
            gw.is_stopping = True


async def _gateway(
    settings: Settings, registry: Registry, clock: Clock, shares: Shares, stack: contextlib.AsyncExitStack
) -> Gateway:
    """The gateway with its store and its two senders, which ``stack`` closes."""
    store = await open_sqlite(settings.store_path, strict=not settings.server.development)
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
    return Gateway(
        settings=settings,
        store=store,
        send=sender.send,
        deliver=messenger.send,
        clock=clock,
        observe=registry.observe,
    )


async def check_names(gw: Gateway) -> None:
    """Refuse to start without an account or deposit method that payments still need. Raises ``SettingsError``."""
    problems: set[str] = set()
    for tenant, account, provider, method in await gw.store.accounts_in_use(submit.grace_began(gw)):
        known = gw.settings.tenants.get(tenant)
        place = f"{gw.settings.source.name}: tenant {tenant}"
        if known is None or account not in known.accounts:
            problems.add(f"{place}: accounts.{account}: is gone, but payments of it are still open")
        elif known.accounts[account].provider.name != provider:
            problems.add(f'{place}: accounts.{account}.provider: was "{provider}" for payments that are still open')
        if method is not None and (known is None or method not in known.deposit_methods):
            problems.add(f"{place}: deposit_methods.{method}: is gone, but payments of it are still open")
    if problems:
        raise SettingsError(sorted(problems))


class _Listening(NamedTuple):
    runner: Runner
    url: str


async def _listen(
    app: web.Application,
    at: Server | Admin,
    capacity: Capacity[Connection],
    stop_within: float,
    stack: contextlib.AsyncExitStack,
) -> _Listening:
    settings = app[GATEWAY].settings
    runner = Runner(
        app,
        capacity=capacity,
        bounds=_bounds(settings),
        note_unread=functools.partial(write_unread, app),
        # aiohttp waits so long twice: for a request's answer, then for its connection.
        shutdown_timeout=stop_within / 2,
        lingering_time=min(LINGER, settings.timeouts.request_body),
    )
    stack.push_async_callback(runner.cleanup)
    try:
        bound = await runner.listen(at.host, at.port)
    except OSError as problem:
        raise cannot_listen(settings, at, problem) from None
    return _Listening(runner, f"http://{bracketed(at.host)}:{bound}")


def _bounds(settings: Settings) -> Bounds:
    timeouts = settings.timeouts
    seconds = {
        Phase.IDLE: timeouts.idle_connection,
        Phase.HEAD: timeouts.request_head,
        Phase.UNREAD: timeouts.write,
        # Its handler waits so long and refuses it; what it still sends then is read for a while.
        Phase.BODY: timeouts.request_body + 2 * LINGER,
    }
    return Bounds(head_bytes=settings.limits.head_bytes, seconds=seconds)


async def _stop(gw: Gateway, runner: Runner, within: float, grace: float | None) -> None:
    """Stop listening, let accepted requests answer, then let operations settle: all before one deadline."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + within
    if grace is not None:
        await runner.drain(grace=grace, within=within)
    await runner.cleanup()
    await gw.drain(deadline - clock())


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
