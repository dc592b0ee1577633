"""The packages of ``examples/``, installed beside the gateway, and one gateway that serves them all."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.examples.shop import Place, Shop
from tests.support.factories.senders import free_port
from tests.support.stack import basic_settings

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PROVIDERS = ("acquirelite", "momo", "girobank", "formpay")
CLOCKS = {
    "hint": "1ms",
    "reconcile": [*["200ms"] * 50, "1h"],  # then it leaves the processor to the tests of others
    "poll": [*["300ms"] * 30, "1h"],
    "quiet_period": "50ms",
}
LONGEST = 120.0
"""Seconds within which the gateway must be ready."""


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All packages, built from copies of their sources and installed into a folder of their own."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    copies = [shutil.copytree(EXAMPLES / f"gateway-{name}", source / name) for name in PROVIDERS]
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--no-compile", "--target", str(target)]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", *options, *map(str, copies)]
    subprocess.run(pip, check=True, capture_output=True)
    return target


def seeing(installed: Path) -> dict[str, str]:
    """What makes the packages visible, and nothing else."""
    return {**os.environ, "PYTHONPATH": str(installed)}


def accounts(urls: dict[str, str]) -> dict[str, Any]:
    """An account or two at each provider."""
    momo = {"base_url": urls["momo"], "api_user": "acme", "api_key": "momo-api", "subscription_key": "momo-sub"}
    acquirer = {"base_url": urls["acquirelite"], "client_secret": "acq-client", "webhook_key": "acq-webhook"}
    giro = {"base_url": urls["girobank"], "api_key": "giro-api", "signing_key": "giro-signing"}
    form = {"base_url": urls["formpay"], "merchant": "m-1", "key": "form-signing"}
    return {
        "cards": {"provider": "acquirelite", "config": {**acquirer, "client_id": "acme", "channel": "pc_1"}},
        "uganda": {"provider": "momo", "config": {**momo, "target_environment": "sandbox", "currency": "UGX"}},
        "europe": {"provider": "momo", "config": {**momo, "target_environment": "sandbox", "currency": "EUR"}},
        "giro": {"provider": "girobank", "config": giro},
        "form": {"provider": "formpay", "config": form, "fields": {"productinfo": {"key": "product"}}},
    }


def written_settings(folder: Path, urls: dict[str, str]) -> Path:
    """Settings with quick clocks and these accounts alone."""
    settings = basic_settings({"psp": 1, "creditkey": 1, "hooks": 1})
    acme = settings["tenants"]["acme"]
    del acme["webhook"], settings["tenants"]["globex"]
    acme |= {"deposit_methods": {}, "accounts": accounts(urls)}
    settings["clocks"] = CLOCKS
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture(scope="session")
def place(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A gateway that found the packages by itself, with their simulators beside it; it must stop cleanly."""
    folder = tmp_path_factory.mktemp("gateway")
    urls = {name: f"http://127.0.0.1:{free_port()}" for name in PROVIDERS}
    options = ["--config", str(written_settings(folder, urls)), "--with-simulators"]
    options += [f"--simulator-port={name}=0" for name in ("creditkey", "psp_open_api")]
    command = [sys.executable, "-m", "gateway", "serve", *options]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=seeing(installed))
    watchdog = threading.Timer(LONGEST, server.kill)
    watchdog.start()
    try:
        assert server.stdout is not None
        ready = server.stdout.readline().split()
        watchdog.cancel()
        assert ready[:1] == ["ready"], (folder / "log").read_text()
        yield Place(ready[1], urls)
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
    finally:
        watchdog.cancel()
        server.kill()
        server.wait()


@pytest.fixture
async def shop(place: Place) -> AsyncIterator[Shop]:
    """A tenant of that gateway; the faults that a story set end with it."""
    async with aiohttp.ClientSession() as http:
        shop = Shop(place, http)
        yield shop
        for provider in place.simulators:
            await shop.faults(provider)
