"""Start the yardsticks, the reference and the fake provider."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

from bench import machine, windows
from bench.contestant import PAYMENT_KEYS, Contestant
from bench.gateway import HERE
from bench.reference.accounts import TENANTS
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


class Reference(Contestant):
    """A variant of the reference; its tables have the gateway's names and columns of their own."""

    counts: ClassVar = {
        "payments": ("SELECT COUNT(*) FROM payments WHERE state IN ('awaiting_customer', 'captured')",),
        "captured": ("SELECT COUNT(*) FROM payments WHERE state = 'captured'",),
        "operations": ("SELECT COUNT(*) FROM operations WHERE status = 'succeeded'",),
        "keys": ("SELECT COUNT(*) FROM idempotency_keys WHERE answer_status = 201",),
        "events": ("SELECT COUNT(*) FROM events",),
        "webhooks": ("SELECT COUNT(*) FROM deliveries",),
        "callbacks": ("SELECT COUNT(*) FROM inbox",),
    }


@contextlib.contextmanager
def reference(variant: str, provider_port: int) -> Iterator[Reference]:
    """Run ``usual`` or ``tuned``."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder, port = Path(name), machine.free_port()
        database = folder / "reference.db"
        command = [sys.executable, "-m", "bench.reference", variant, str(port), str(provider_port), str(database)]
        with machine.process(command, core=machine.SERVER_CORE, log=folder / "log", folder=HERE) as server:
            yield Reference(server, port, database, {tenant: one.account for tenant, one in TENANTS.items()})
