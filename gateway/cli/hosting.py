"""Small servers on loopback for development: the providers' simulators, and others that the demo needs."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from urllib.parse import urlsplit

import click
from aiohttp import web

from gateway.cli.loading import Configuration, http_url
from gateway.core.errors import SettingsError, fault_of
from gateway.drivers.clock import Clock
from gateway.drivers.plugin_registry import Registry
from gateway.drivers.settings import AccountEntry, Settings
from gateway.provider import SimulatedAccount

LOOPBACK = "127.0.0.1"
DEVELOPMENT_ONLY = "a simulator signs with the accounts' own secrets: it needs server.development: true"
Ports = dict[str, int]
Address = tuple[str, int]
CallbackUrl = Callable[[AccountEntry], str]


def bind(port: int, host: str = LOOPBACK) -> socket.socket:
    """Take a port on loopback (0 = any free one). Raises ``OSError`` when it is taken."""
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


def url_of(bound: socket.socket) -> str:
    """The address of a bound socket."""
    return http_url(*bound.getsockname()[:2])


def is_here(url: str) -> bool:
    """Whether a URL is plain http on loopback."""
    parts = urlsplit(url)
    try:
        is_loopback = parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        is_loopback = False
    return parts.scheme == "http" and is_loopback


def address_of(url: str) -> Address:
    """Host and port to listen on for a URL on this machine; ``localhost`` is the IPv4 one."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return (LOOPBACK if host == "localhost" else host), parts.port or 80


@contextlib.asynccontextmanager
async def hosted(app: web.Application, bound: socket.socket) -> AsyncIterator[None]:
    """Serve an application on a bound socket for the time of the block."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.SockSite(runner, bound).start()
        yield
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def simulating(
    loaded: Configuration,
    sockets: Mapping[str, socket.socket],
    callback_url: CallbackUrl,
    clock: Clock | None = None,
) -> AsyncIterator[Callable[[Settings, CallbackUrl], None]]:
    """Run the simulators of these providers; what is yielded gives them the accounts of other settings.

    ``clock``: the one of the gateway beside them; moving theirs moves it too.
    """
    known = {provider: _simulated(loaded, provider, callback_url) for provider in sockets}
    registry = loaded.registry

    def follow(settings: Settings, callback_url: CallbackUrl) -> None:
        for provider, accounts in known.items():
            accounts.clear()
            accounts.update(_simulated(Configuration(settings, registry), provider, callback_url))

    async with contextlib.AsyncExitStack() as stack:
        for provider, bound in sockets.items():
            app = _simulator_app(registry, provider, known[provider])
            if clock is not None:
                share_clock(app, clock)
            await stack.enter_async_context(hosted(app, bound))
        yield follow


def movable_clock() -> Clock:
    """A clock that simulators can move. Only for a gateway that runs with simulators, so never outside development."""
    from gateway.testing.simulator import MovableClock  # imported here because production does not need it

    return MovableClock()


def share_clock(app: web.Application, clock: Clock) -> None:
    """Give a simulator that is made of the kit this clock; others have none that can be moved."""
    from gateway.testing.simulator import SIMULATOR, MovableClock

    if SIMULATOR in app and isinstance(clock, MovableClock):
        app[SIMULATOR].clock = clock


def _simulator_app(registry: Registry, provider: str, accounts: Mapping[str, SimulatedAccount]) -> web.Application:
    """Make a simulator's application. Raises ``SettingsError`` where the plugin fails."""
    try:
        app = registry.simulators[provider].app(accounts)
    except Exception as broken:  # a plugin's code: one line instead of a traceback
        raise SettingsError([f"the simulator of {provider} failed: {fault_of(broken)}"]) from None
    if not isinstance(app, web.Application):
        raise SettingsError([f"the simulator of {provider} must make an aiohttp Application"])
    return app


def bind_simulators(loaded: Configuration, providers: tuple[str, ...], ports: Ports) -> dict[str, socket.socket]:
    """Take the ports of these providers' simulators, of all when none is named.

    Raises click's usage error outside development and for a provider without one, ``OSError`` for a port that is taken.
    """
    if not loaded.settings.server.development:
        raise click.UsageError(DEVELOPMENT_ONLY)
    known = loaded.registry.simulators
    for provider in (*providers, *ports):
        if provider not in known:
            raise click.UsageError(f'there is no simulator for "{provider}", known are {", ".join(sorted(known))}')
    return {name: _bind_for(name, *_place(loaded, name, ports)) for name in providers or sorted(known)}


def _bind_for(provider: str, port: int, host: str) -> socket.socket:
    try:
        return bind(port, host)
    except OSError as problem:
        why = os.strerror(problem.errno or 0)
        said = f"the simulator of {provider} cannot listen on host {host}, port {port}: {why}"
        raise OSError(f"{said}; choose another with {provider}=PORT") from None


def _place(loaded: Configuration, provider: str, ports: Ports) -> tuple[int, str]:
    """Port and host of a simulator: the one that was asked for, else where an account looks for it, else its own."""
    if provider in ports:
        return ports[provider], LOOPBACK
    configs = [entry.account.config for entry in loaded.entries if entry.provider.name == provider]
    urls = (getattr(one, name) for one in configs for name in one.__struct_fields__ if name.endswith("url"))
    found = next((address_of(url) for url in urls if isinstance(url, str) and is_here(url)), None)
    host, port = found or (LOOPBACK, loaded.registry.simulators[provider].port)
    return port, host


def announce(sockets: Mapping[str, socket.socket]) -> None:
    """Print one line per simulator."""
    for provider, bound in sockets.items():
        click.echo(f"simulator {provider} {url_of(bound)}")


def read_ports(_context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> Ports:
    """Read ``provider=PORT`` options."""
    ports: Ports = {}
    for text in given:
        provider, _, port = text.partition("=")
        if not (port.isascii() and port.isdigit() and int(port[:9]) <= 65535):
            raise click.BadParameter(f'"{text}" must be PROVIDER=PORT', param=parameter)
        ports[provider] = int(port)
    return ports


def _simulated(loaded: Configuration, provider: str, callback_url: CallbackUrl) -> dict[str, SimulatedAccount]:
    return {
        entry.owner: SimulatedAccount(
            account=entry.account,
            callback_url=callback_url(entry),
            credentials=entry.credentials,
        )
        for entry in loaded.entries
        if entry.provider.name == provider
    }
