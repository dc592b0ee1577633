"""A provider nobody here knows: installed as a package beside the gateway, it serves a payment from end to end."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.stack import basic_settings, key_of, new_key

SOURCE = Path(__file__).resolve().parents[2] / "examples" / "gateway-provider-sandbox"
KEY = "sandbox-test-key"
PATIENCE = 30.0
"""Seconds after which a process that says nothing is a red test, not a hanging one."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The provider's package, built from a copy of its source and installed into a folder of its own."""
    source, target = tmp_path_factory.mktemp("source") / "sandbox", tmp_path_factory.mktemp("installed")
    shutil.copytree(SOURCE, source)
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(source)]
    subprocess.run(pip, check=True, capture_output=True)
    return target


@dataclass
class SandboxServer:
    """The provider itself: it checks signatures with code of its own and remembers what it was asked."""

    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    refunded: float = 0

    async def take(self, request: web.Request) -> web.Response:
        """Answer a payment or a refund; a wrong signature is a plain no."""
        body = await request.read()
        if not hmac.compare_digest(request.headers["X-Sandbox-Sign"], signed(body)):
            return web.json_response({"error": "sign"}, status=401)
        members = json.loads(body)
        self.asked.append((request.path, members))
        if request.path == "/payments":
            return web.json_response({"id": "X-1", "page": "https://sandbox.example/pay/X-1"})
        self.refunded += float(members["amount"])
        return web.json_response({"id": "X-1", "refunded": f"{self.refunded:.2f}"})


def signed(body: bytes) -> str:
    """The sandbox's signature, by the provider."""
    return hmac.new(KEY.encode(), body, hashlib.sha256).hexdigest()


@asynccontextmanager
async def sandbox_server() -> AsyncIterator[tuple[SandboxServer, str]]:
    """The provider, listening."""
    sandbox = SandboxServer()
    app = web.Application()
    app.router.add_post("/{what}", sandbox.take)
    async with TestServer(app) as server:
        yield sandbox, str(server.make_url("")).rstrip("/")


def written_settings(folder: Path, provider_url: str) -> Path:
    """Settings with one account at the new provider, with a rename and an additional parameter."""
    settings = basic_settings({"psp": 1, "creditkey": 1, "hooks": 1})
    acme = settings["tenants"]["acme"]
    del acme["webhook"], settings["tenants"]["globex"]
    acme["deposit_methods"] = {}
    acme["accounts"] = {
        "sandbox-main": {
            "provider": "sandbox",
            "config": {"base_url": provider_url, "key": KEY},
            "fields": {"email": {"key": "mail"}, "branch": {"label": {"en": "Branch"}}},
        }
    }
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


@dataclass
class Gateway:
    """The gateway's process, and calls to it."""

    url: str
    http: aiohttp.ClientSession

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Call as the tenant: (status, JSON)."""
        headers = {"Authorization": f"Bearer {key_of('acme')}", "Idempotency-Key": new_key()}
        async with self.http.request(method, self.url + path, json=body, headers=headers) as response:
            return response.status, await response.json()

    async def call_back(self, url: str, body: bytes, sign: str) -> int:
        """Call back as the provider."""
        async with self.http.post(url, data=body, headers={"X-Sandbox-Sign": sign}) as response:
            return response.status


def environment(installed: Path) -> dict[str, str]:
    """What makes the package visible, and nothing else."""
    return {**os.environ, "PYTHONPATH": str(installed)}


@contextmanager
def never_left_behind(process: asyncio.subprocess.Process) -> Iterator[None]:
    """End a process of ours that a test left running."""
    try:
        yield
    finally:
        if process.returncode is None:
            process.kill()


@asynccontextmanager
async def serving(installed: Path, config: Path) -> AsyncIterator[Gateway]:
    """A gateway process that found the package by itself; it must stop cleanly."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "serve", "--config", str(config)),
        stdout=subprocess.PIPE,
        env=environment(installed),
    )
    with never_left_behind(process):
        async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as http:
            assert process.stdout is not None
            ready = (await process.stdout.readline()).split()
            assert ready[:1] == [b"ready"]
            yield Gateway(ready[1].decode(), http)
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0


def paid(payment: Any, notice: str, **changes: str) -> bytes:
    """The provider's callback that a payment was paid."""
    told = {"notice": notice, "id": "X-1", "order": payment["id"], "status": "paid", "amount": "100.00"}
    return json.dumps({**told, "currency": "USD", **changes}).encode()


def test_it_is_found_by_its_entry_point(installed: Path) -> None:
    """The gateway lists the package beside the bundled plugins."""
    command = [sys.executable, "-m", "gateway", "plugins", "list", "--json"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True, env=environment(installed))
    assert {"sandbox", "creditkey", "psp_open_api"} <= set(json.dumps(json.loads(listed.stdout)).split('"'))


async def test_a_payment_from_end_to_end(installed: Path, tmp_path: Path) -> None:
    """Create, a forged and a true callback, its repetition, and a refund, with no change to the gateway."""
    async with (
        sandbox_server() as (sandbox, url),
        serving(installed, written_settings(tmp_path, url)) as gateway,
    ):
        status, payment = await gateway.call(
            "POST",
            "/v1/payments",
            {
                "merchant_reference": "SO-1",
                "amount": "100.00",
                "currency": "USD",
                "customer": {"email": "dana@reyes.example"},
                "fields": {"branch": "north"},
            },
        )
        assert (status, payment["state"], payment["provider"]) == (201, "awaiting_customer", "sandbox")
        assert (payment["provider_reference"], payment["redirect_url"]) == ("X-1", "https://sandbox.example/pay/X-1")
        path, sent = sandbox.asked[0]
        callback = sent.pop("callback")
        wanted = {"order": payment["id"], "mail": "dana@reyes.example", "branch": "north", "currency": "USD"}
        assert (path, sent) == ("/payments", {**wanted, "amount": "100.00"})

        good = paid(payment, "n-1")
        assert await gateway.call_back(callback, good, "0" * 64) == 401
        assert await gateway.call_back(callback, paid(payment, "n-1", amount="1.00"), signed(good)) == 401
        assert (await gateway.call("GET", f"/v1/payments/{payment['id']}"))[1]["state"] == "awaiting_customer"
        assert await gateway.call_back(callback, good, signed(good)) == 200
        assert await gateway.call_back(callback, good, signed(good)) == 200

        status, refund = await gateway.call("POST", f"/v1/payments/{payment['id']}/refunds", {"amount": "40.00"})
        assert (status, refund["status"]) == (201, "succeeded"), refund
        _, now = await gateway.call("GET", f"/v1/payments/{payment['id']}")
        assert (now["state"], now["amount_captured"], now["amount_refunded"]) == (
            "partially_refunded",
            "100.00",
            "40.00",
        )
        _, events = await gateway.call("GET", f"/v1/payments/{payment['id']}/events")
        assert [event["state_after"] for event in events["data"]] == [
            "created",
            "awaiting_customer",
            "captured",
            "partially_refunded",
        ]
        assert [path for path, _ in sandbox.asked] == ["/payments", "/refunds"]
