"""Run the table: ``python -m bench [--quick]``. Every figure is a ratio against a yardstick of the same run.

The server under test is pinned to one core, load and fake provider to the other. Each run checks its own results:
every answer's status, the rows in the store, the database's integrity.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from bench import load, servers

SERVER_CORE, LOAD_CORE = 0, max(os.sched_getaffinity(0))
KEY = "gw_k1_bench-only-key"
CONNECTIONS = 64


def main() -> None:
    quick = "--quick" in sys.argv
    count = 1_000 if quick else 8_000
    os.sched_setaffinity(0, {LOAD_CORE})
    table = Table("ratio", "here", "must", "aim", title="one run, this machine")
    for name, here, must, aim in rows(count):
        table.add_row(name, here, must, aim)
        print(f"# {name}: {here}", file=sys.stderr, flush=True)
    Console(width=100).print(table)


def rows(count: int) -> Iterator[tuple[str, str, str, str]]:
    with provider() as port, server("forward", port) as forward:
        limit = asyncio.run(load.run(forward, any_payment, count=count, connections=CONNECTIONS, expected=b"201"))
    with server("echo") as echo:
        echoed = asyncio.run(load.run(echo, any_payment, count=count, connections=CONNECTIONS, expected=b"200"))
    with provider() as port, gateway(port) as run:
        paid = asyncio.run(load.run(run.port, payment, count=count, connections=CONNECTIONS, expected=b"201"))
        callbacks = run.callbacks()
        acknowledged = asyncio.run(
            load.run(run.port, callbacks.__getitem__, count=count, connections=CONNECTIONS, expected=b"204")
        )
        run.check(payments=count + 200, captured=count + 200)
    yield "payments/s : forward", f"{paid.per_second / limit.per_second:.2f}", "0.45", "0.70"
    yield "callbacks/s : echo", f"{acknowledged.per_second / echoed.per_second:.2f}", "0.30", "0.55"
    yield "p99 : p50 at saturation", f"{paid.percentile(0.99) / paid.percentile(0.5):.1f}", "2.5", "1.7"
    yield from slow_provider(max(count // 8, 400))
    yield from start_and_memory()


def slow_provider(count: int) -> Iterator[tuple[str, str, str, str]]:
    few = 16
    with provider(100) as port, server("forward", port) as forward:
        limit = asyncio.run(load.run(forward, any_payment, count=count, connections=few, expected=b"201"))
    with provider(100) as port, gateway(port) as run:
        paid = asyncio.run(load.run(run.port, payment, count=count, connections=few, expected=b"201"))
        run.check(payments=count + 200, captured=0)
    for part, must, aim in ((0.5, "1.03", "1.015"), (0.99, "1.10", "1.03")):
        ratio = paid.percentile(part) / limit.percentile(part)
        yield f"latency at a 100 ms provider, p{part * 100:.0f} : forward", f"{ratio:.3f}", must, aim


def start_and_memory() -> Iterator[tuple[str, str, str, str]]:
    with server("bare") as _:
        bare_start, bare_memory = last_start()
    with provider() as port, gateway(port) as _:
        our_start, our_memory = last_start()
    yield "start to listening : bare aiohttp", f"{our_start / bare_start:.2f}", "2.0", "1.25"
    yield "idle memory : bare aiohttp", f"{our_memory / bare_memory:.2f}", "1.5", "1.15"


# Processes

_started: list[tuple[float, int]] = []


def last_start() -> tuple[float, int]:
    """Seconds from exec to listening, and resident bytes then, of the process started last."""
    return _started[-1]


@contextlib.contextmanager
def process(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    began = time.perf_counter()
    started = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # the gateway's own log is written, and read by nobody here
        text=True,
        env={**os.environ, **environment},
    )
    try:
        assert started.stdout is not None
        line = started.stdout.readline()
        if not line.startswith("ready"):
            raise RuntimeError(f"{' '.join(arguments)} did not start")
        pages = int(Path(f"/proc/{started.pid}/statm").read_text().split()[1])
        _started.append((time.perf_counter() - began, pages * os.sysconf("SC_PAGESIZE")))
        yield started
    finally:
        started.terminate()
        started.wait(timeout=30)


@contextlib.contextmanager
def server(name: str, provider_port: int = 0) -> Iterator[int]:
    port = free_port()
    environment = {servers.PROVIDER_PORT: str(provider_port)}
    with process("-m", "bench.servers", name, str(port), str(SERVER_CORE), **environment):
        yield port


@contextlib.contextmanager
def provider(milliseconds: float = 0.0) -> Iterator[int]:
    port = free_port()
    with process("-m", "bench.servers", "provider", str(port), str(LOAD_CORE), str(milliseconds)):
        yield port


class Run:
    """A gateway under test, and what its store must hold afterwards."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port

    def database(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self.folder / 'bench.db'}?mode=ro", uri=True)

    def callbacks(self) -> list[bytes]:
        """One signed API-2 success for every stored payment."""
        settings = load_bench_settings(self.folder)
        entry = settings.tenants["acme"].accounts["psp"]
        credentials = {
            name: getattr(text, "reveal", lambda text=text: text)()
            for name, text in entry.provider.credentials(entry.account).items()
        }
        with contextlib.closing(self.database()) as database:
            ids = [identifier for (identifier,) in database.execute("SELECT id FROM payments ORDER BY id")]
        return [callback(entry.endpoint_id, identifier, credentials) for identifier in ids]

    def check(self, *, payments: int, captured: int) -> None:
        with contextlib.closing(self.database()) as database:
            stored = database.execute("SELECT COUNT(*) FROM payments").fetchone()[0]
            paid = database.execute("SELECT COUNT(*) FROM payments WHERE state = 'captured'").fetchone()[0]
            sound = database.execute("PRAGMA integrity_check").fetchone()[0]
        if (stored, paid, sound) != (payments, captured, "ok"):
            raise RuntimeError(f"the store holds {stored} payments, {paid} captured, integrity {sound}")


@contextlib.contextmanager
def gateway(provider_port: int) -> Iterator[Run]:
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        Path(folder, "settings.yaml").write_text(yaml.safe_dump(bench_settings(port, provider_port)))
        code = (
            f"import os; os.sched_setaffinity(0, {{{SERVER_CORE}}}); from gateway.cli import main;"
            f" main(['serve', '--config', {folder + '/settings.yaml'!r}])"
        )
        with process("-c", code):
            yield Run(Path(folder), port)


def bench_settings(port: int, provider_port: int) -> dict[str, Any]:
    fields = {f"extra_{number}": {"value": f"constant {number}"} for number in range(4)}
    return {
        "server": {
            "port": port,
            "secret": "bench-only-master-secret-of-forty-chars-0",
            "admin": {"port": 0},
            "callback_rate": {"per_second": 1_000_000, "burst": 1_000_000},
            "development": True,
        },
        "store": {"url": "sqlite:///bench.db"},
        "clocks": {"webhook_retry": ["1h"]},
        "tenants": {
            "acme": {
                "name": "Acme",
                "keys": [{"id": "k1", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}],
                "rate_limit": {"per_second": 1_000_000, "burst": 1_000_000},
                "webhook": {
                    "url": "http://127.0.0.1:9/hooks",
                    "secrets": ["whsec_YmVuY2gtb25seS13ZWJob29rLXNlY3JldC0wMDAx"],
                },
                "accounts": {
                    "psp": {
                        "provider": "psp_open_api",
                        "config": {"app_url": f"http://127.0.0.1:{provider_port}"},
                        "fields": {"amount": {"key": "sum"}, **fields},
                    }
                },
                "deposit_methods": {"bank": {"account": "psp"}},
            }
        },
    }


def load_bench_settings(folder: Path) -> Any:
    from gateway.drivers.plugin_registry import load_plugins
    from gateway.drivers.settings import load_settings

    return load_settings(folder / "settings.yaml", providers=load_plugins().providers, environ={})


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


# Requests


def payment_body(number: int) -> bytes:
    return json.dumps(
        {
            "merchant_reference": f"B-{number}",
            "amount": "162.48",
            "currency": "USD",
            "customer": {
                "id": f"C-{number}",
                "name": "Dana Reyes",
                "email": "dana@reyes.example",
                "phone": "+1 253 555 0142",
                "nationality": "us",
                "language": "en-us",
                "device": "pc",
            },
        }
    ).encode()


def any_payment(number: int) -> bytes:
    return load.http("POST", "/v1/payments", payment_body(number), Content_Type="application/json")


def payment(number: int) -> bytes:
    return load.http(
        "POST",
        "/v1/payments",
        payment_body(number),
        Content_Type="application/json",
        Authorization=f"Bearer {KEY}",
        Idempotency_Key=f"bench-key-{number:08d}",
    )


def callback(endpoint_id: str, payment_id: str, credentials: dict[str, str]) -> bytes:
    members: dict[str, Any] = {
        "merchant_id": credentials["merchant_id"],
        "order_no": payment_id,
        "transaction_id": payment_id[-12:],
        "amount": 162.48,
        "currency": "USD",
        "time": int(time.time() * 1000),
        "status": 1,
    }
    said = "&".join(f"{name}={members[name]}" for name in sorted(members)) + credentials["token"]
    members["sign"] = hashlib.sha1(said.encode()).hexdigest().upper()
    headers = {"Content_Type": "application/json", "crm_pay_token": credentials["token"]}
    return load.http("POST", f"/callbacks/{endpoint_id}/pay/callback", json.dumps(members).encode(), **headers)


if __name__ == "__main__":
    main()
