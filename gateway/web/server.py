"""One running server: open the store, listen, work, and stop cleanly."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple

from aiohttp import web

from gateway.core.errors import SettingsError
from gateway.drivers.clock import Clock, SystemClock
from gateway.drivers.registry import Registry
from gateway.drivers.sender import Sender
from gateway.drivers.settings import Settings
from gateway.drivers.store.sqlite import open_sqlite
from gateway.flows import operation, outbox, reconcile
from gateway.flows.context import Gateway
from gateway.web.app import make_admin_app, make_app

STOP_WITHIN = 25.0
"""Seconds that accepted requests and running operations get when the server stops."""


LINGER = 2.0
"""Seconds a connection stays open to read what a refused request still sends."""


class Running(NamedTuple):
    """A server that listens. Addresses are as bound, e.g. ``http://127.0.0.1:8080``."""

    gateway: Gateway
    url: str
    admin_url: str


@contextlib.asynccontextmanager
async def running(settings: Settings, registry: Registry, clock: Clock | None = None) -> AsyncIterator[Running]:
    """Run a server for the time of the block. Raises ``AlreadyRunning`` or ``Unavailable`` when it cannot start."""
    async with contextlib.AsyncExitStack() as stack:
        store = await open_sqlite(settings.store_path)
        stack.push_async_callback(store.close)
        sender = await stack.enter_async_context(Sender(allow_private=settings.server.development))
        gw = Gateway(
            settings=settings,
            store=store,
            send=sender.send,
            clock=clock or SystemClock(),
            observe=registry.observe,
        )
        await check_names(gw)
        await operation.recover(gw)
        public = await _listen(make_app(gw), settings.server.host, settings.server.port, stack)
        admin = await _listen(make_admin_app(gw), settings.server.admin.host, settings.server.admin.port, stack)
        gw.public_url = settings.server.public_url or public.url
        stack.push_async_callback(_stop, gw, public.runner)
        for worker in (outbox.run(gw), reconcile.run(gw)):
            stack.push_async_callback(_cancel, asyncio.create_task(worker))
        try:
            yield Running(gateway=gw, url=public.url, admin_url=admin.url)
        finally:
            gw.is_stopping = True


async def check_names(gw: Gateway) -> None:
    """Refuse to start without an account or deposit method that payments still need. Raises ``SettingsError``."""
    problems: set[str] = set()
    for tenant, account, method in await gw.store.named_in_use(operation.grace_began(gw)):
        known = gw.settings.tenants.get(tenant)
        place = f"{gw.settings.source.name}: tenant {tenant}"
        if known is None or account not in known.accounts:
            problems.add(f"{place}: accounts.{account}: is gone, but payments of it are still open")
        if method is not None and (known is None or method not in known.deposit_methods):
            problems.add(f"{place}: deposit_methods.{method}: is gone, but payments of it are still open")
    if problems:
        raise SettingsError(sorted(problems))


class _Listening(NamedTuple):
    runner: web.AppRunner
    url: str


async def _listen(app: web.Application, host: str, port: int, stack: contextlib.AsyncExitStack) -> _Listening:
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=STOP_WITHIN, handle_signals=False, lingering_time=LINGER
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, host, port)
    await site.start()
    bound = runner.addresses[0][1]
    shown = f"[{host}]" if ":" in host else host
    return _Listening(runner, f"http://{shown}:{bound}")


async def _stop(gw: Gateway, runner: web.AppRunner) -> None:
    """Stop listening, let accepted requests answer, then let operations settle."""
    await runner.cleanup()
    await gw.drain(STOP_WITHIN)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
