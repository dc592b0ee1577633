"""A stack whose gateway is a process of its own: ``gateway serve``, with both simulators in the test's process.

The simulators outlive the gateway, and so do their ledgers. Tenants have no webhooks here.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import yaml

from gateway.drivers.plugin_registry import load_plugins
from gateway.drivers.settings import load_settings
from tests.support.stack import GatewayStack, _bound_socket, _serve, basic_settings, simulated

LONGEST = 60.0
"""Seconds that anything here may take."""

NOWHERE = "http://127.0.0.1:9"


class ServerProcess:
    """A stack and the process behind it. ``process`` is None while none runs; ``before`` stands before its command.

    ``options``: of ``serve``.
    """

    before: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def __init__(self, stack: GatewayStack) -> None:
        self.stack = stack
        self.config = stack.folder / "settings.yaml"
        self.process: Process | None = None
        self.errors = b""

    async def start(self) -> None:
        """Start the gateway; return when it listens."""
        self.process = await self.run_beside("serve", *self.options)
        assert self.process.stdout is not None
        async with asyncio.timeout(LONGEST):
            line = (await self.process.stdout.readline()).decode().split()
        assert line[:1] == ["ready"], await self.process.communicate()
        self.stack.url, self.stack.admin_url = line[1], line[3]
        self._reading = asyncio.create_task(self._read_errors(self.process))

    async def end(self, *signals: signal.Signals) -> int:
        """Send signals, wait for the end; the exit code."""
        process = self.process
        assert process is not None
        for one in signals or (signal.SIGTERM,):
            process.send_signal(one)
        async with asyncio.timeout(LONGEST):
            code = await process.wait()
            await self._reading
        self.process = None
        return code

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run another command with the same settings to its end: exit code, stdout, stderr."""
        process = await self.run_beside(*arguments)
        async with asyncio.timeout(LONGEST):
            output, errors = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode(), errors.decode()

    async def run_beside(self, *arguments: str) -> Process:
        """Begin another command with the same settings."""
        command = [*self.before, sys.executable, "-m", "gateway", *arguments, "--config", str(self.config)]
        return await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)

    async def _read_errors(self, process: Process) -> None:
        assert process.stderr is not None
        self.errors = await process.stderr.read()


@contextlib.asynccontextmanager
async def running_server_process(
    folder: Path, change: Callable[[dict[str, Any]], None] = lambda _: None
) -> AsyncIterator[ServerProcess]:
    """Write settings and run the simulators for the time of the block; a gateway that still runs is killed."""
    sockets = {name: _bound_socket() for name in ("psp", "creditkey")}
    ports = {name: bound.getsockname()[1] for name, bound in sockets.items()}
    written = basic_settings({**ports, "hooks": 9})
    for tenant in written["tenants"].values():
        del tenant["webhook"]
    change(written)
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(written, sort_keys=False))
    registry = load_plugins()
    settings = load_settings(path, providers=registry.providers, environ={})
    async with contextlib.AsyncExitStack() as exits:
        http = await exits.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=LONGEST)))
        stack = GatewayStack(folder, settings, registry, ports, http)
        gateway = SimpleNamespace(callback_url=lambda entry: f"{NOWHERE}/callbacks/{entry.endpoint_id}")
        stack.current = SimpleNamespace(gateway=gateway)  # type: ignore[assignment]
        for side, provider in (("psp", "psp_open_api"), ("creditkey", "creditkey")):
            app = registry.simulators[provider].app(simulated(stack, provider))
            await _serve(app, sockets[side], exits)
        server = ServerProcess(stack)
        try:
            yield server
        finally:
            if server.process is not None:
                await server.end(signal.SIGKILL)
