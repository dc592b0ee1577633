"""Start the yardsticks and the fake provider."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench import machine, windows
from bench.gateway import HERE, PAYMENT_KEYS
from bench.wrk import Load

ECHOED = Load("callbacks.lua", 200)
ANY_PAYMENT = {"PREFIX": "yardstick", **PAYMENT_KEYS}


class Yardstick(NamedTuple):
    """A server that listens."""

    port: int
    server: machine.Process

    def pay(self, seconds: int, load: Load) -> windows.Window:
        """A window of the same payments that a gateway gets."""
        return windows.measure(self.server, self.port, load, seconds, **ANY_PAYMENT)

    def call_back(self, seconds: int, callbacks: Path) -> windows.Window:
        """A window of the same callbacks that a gateway gets."""
        return windows.measure(self.server, self.port, ECHOED, seconds, CALLBACKS=str(callbacks))


@contextlib.contextmanager
def yardstick(name: str, provider_port: int = 0) -> Iterator[Yardstick]:
    """Run one of ``servers/yardstick.py``."""
    port = machine.free_port()
    command = [sys.executable, "-m", "bench.servers.yardstick", name, str(port), str(provider_port)]
    with machine.process(command, core=machine.SERVER_CORE, folder=HERE) as server:
        yield Yardstick(port, server)


@contextlib.contextmanager
def provider(milliseconds: int = 0) -> Iterator[int]:
    """Run the fake provider beside the load; yields its port."""
    port = machine.free_port()
    command = [sys.executable, "-m", "bench.servers.provider", str(port), str(milliseconds)]
    with machine.process(command, core=machine.LOAD_CORE, folder=HERE):
        yield port
