"""Reload ten thousand tenants under a client that measures: how long it takes, and how long any request waits."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import yaml

from gateway.drivers.plugin_registry import load_plugins
from gateway.drivers.settings import load_settings
from tests.support.scenarios.inbox import ADMIN_KEY
from tests.support.settings_file import with_operator
from tests.support.stack import key_of

CALLERS = 4
MASTER = "test-master-secret-of-forty-characters-00"
REST_SECONDS = 3.0
"""How long requests are measured without a reload, to see what the machine itself makes them wait."""


class Phase(NamedTuple):
    """Requests of one phase. Seconds: how long it took, and the longest that a request waited."""

    name: str
    requests: int
    seconds: float
    longest: float
    failed: int

    def __str__(self) -> str:
        waits = f"longest request {self.longest * 1000:.0f} ms, {self.failed} failed of {self.requests}"
        return f"{self.name}: {self.seconds:.2f} s, {waits}"


def write(folder: Path, tenants: int) -> Path:
    """Settings of so many tenants, each with an account, a deposit method, a webhook and field rules."""
    settings: dict[str, Any] = {
        "server": {"port": 0, "admin": {"port": 0}, "secret": MASTER, "development": True},
        "store": {"url": "sqlite:///data/gateway.db"},
        "tenants": {f"t{number}": _tenant(number) for number in range(tenants)},
    }  # fmt: skip
    with_operator(settings)
    path = folder / "settings.yaml"
    path.write_text(yaml.dump(settings, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper)))
    return path


def _tenant(number: int) -> dict[str, Any]:
    secret = base64.b64encode(hashlib.sha256(b"%d" % number).digest()).decode()
    fields = {"amount": {"key": "sum"}, "channel": {"value": "web"}}
    account = {"provider": "psp_open_api", "config": {"app_url": f"http://127.0.0.1:9/t{number}"}, "fields": fields}
    return {
        "name": f"Tenant {number}",
        "keys": [{"id": "k1", "sha256": hashlib.sha256(key_of(f"t{number}").encode()).hexdigest()}],
        "rate_limit": None,
        "webhook": {"url": f"http://127.0.0.1:9/t{number}", "secrets": [f"whsec_{secret}"]},
        "accounts": {"psp": account},
        "deposit_methods": {"bank": {"account": "psp"}},
    }


def load_seconds(path: Path) -> float:
    """How long a load takes without anything beside it."""
    began = time.perf_counter()
    load_settings(path, providers=load_plugins().providers, environ={})
    return time.perf_counter() - began


async def measure(path: Path) -> list[Phase]:
    """Serve in another process: the start, no reload, three reloads, a broken file."""
    with _served(path) as (url, admin):
        async with aiohttp.ClientSession() as http:
            start = await _phase("just started", http, url, asyncio.sleep(REST_SECONDS))
            rest = await _phase("no reload", http, url, asyncio.sleep(REST_SECONDS))
            reloads = [await _phase("reload", http, url, _reload(http, admin, 200)) for _ in range(3)]
            await asyncio.to_thread(_spoil, path)
            broken = await _phase("broken file", http, url, _reload(http, admin, 422))
    return [start, rest, *reloads, broken]


@contextlib.contextmanager
def _served(path: Path) -> Iterator[tuple[str, str]]:
    """The addresses of both listeners. Nobody reads the log, which has a line for each request."""
    command = [sys.executable, "-m", "gateway", "serve", "--config", str(path)]
    popen = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert popen.stdout is not None
        _, url, _, admin = popen.stdout.readline().split()
        yield url, admin
    finally:
        popen.kill()
        popen.communicate()


def _spoil(path: Path) -> None:
    path.write_text(path.read_text().replace("provider: psp_open_api", "provider: psp_opan_api", 1))


async def _reload(http: aiohttp.ClientSession, admin: str, status: int) -> None:
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    async with http.post(f"{admin}/admin/v1/reload", headers=headers) as answer:
        if answer.status != status:
            raise RuntimeError(f"a reload was answered {answer.status}, not {status}: {await answer.text()}")
    await asyncio.sleep(1)  # the version before is freed beside the requests


async def _phase(name: str, http: aiohttp.ClientSession, url: str, work: Any) -> Phase:
    """Do the work while callers ask for their accounts, without a pause."""
    waits: list[float] = []
    failed: list[int] = []
    done = asyncio.Event()

    async def ask(number: int) -> None:
        headers = {"Authorization": f"Bearer {key_of(f't{number}')}"}
        while not done.is_set():
            began = time.perf_counter()
            async with http.get(f"{url}/v1/accounts", headers=headers) as answer:
                await answer.read()
            waits.append(time.perf_counter() - began)
            failed.extend([answer.status] if answer.status != 200 else ())
            await asyncio.sleep(0.005)

    callers = [asyncio.create_task(ask(number)) for number in range(CALLERS)]
    began = time.perf_counter()
    await work
    seconds = time.perf_counter() - began
    done.set()
    await asyncio.gather(*callers)
    return Phase(name, len(waits), seconds, max(waits), len(failed))
