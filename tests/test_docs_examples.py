"""The examples of the documentation run: the README's first payment, the webhook receiver, the complete plugin."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from gateway.cli.hosting import bind, hosted, simulating
from gateway.cli.loading import load
from gateway.web.server import Running, running
from tests.docs_text import block_named, blocks, text_of
from tests.house import WEBHOOK_SECRET, House, open_house, psp_body, simulated

API, PROVIDERS = "docs/api.md", "docs/providers.md"


async def test_the_webhook_example_verifies(house: House) -> None:
    """The lines a receiver is given accept a real webhook and nothing that was changed."""
    names: dict[str, Any] = {}
    exec(blocks(text_of(API), "python")[0], names)  # noqa: S102  # our own page
    payment = (await house.create(psp_body())).json
    await house.webhook(payment["id"], "payment.created")
    headers, body = house.hooks[0]
    assert names["read_webhook"](body, dict(headers), WEBHOOK_SECRET)["data"]["payment"]["id"] == payment["id"]
    with pytest.raises(names["standardwebhooks"].WebhookVerificationError):
        names["read_webhook"](body + b" ", dict(headers), WEBHOOK_SECRET)


# The first payment of the README


@contextlib.asynccontextmanager
async def shipped_settings_running(folder: Path) -> AsyncIterator[Running]:
    """The gateway and both simulators with the settings of the repository, on free ports."""
    sockets = {"creditkey": bind(0), "psp_open_api": bind(0)}
    ports = {"8080": 0, "8081": 0, "9110": 1, "9101": sockets["creditkey"].getsockname()[1]}
    ports["9102"] = sockets["psp_open_api"].getsockname()[1]
    text = re.sub(r"\b(8080|8081|9101|9102|9110)\b", lambda found: str(ports[found[0]]), text_of("settings.yaml"))
    path = folder / "settings.yaml"
    path.write_text(text)
    loaded = load(path)
    async with (
        running(loaded.settings, loaded.registry) as server,
        simulating(loaded, sockets, server.gateway.callback_url),
    ):
        yield server


async def perform(server: Running, folder: Path) -> list[Any]:
    """Run the README's lines as they stand, but for the port; the JSON documents they print."""
    script = blocks(text_of("README.md"), "sh")[1].replace("http://127.0.0.1:8080", server.url)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    shell = await asyncio.create_subprocess_exec(
        "sh", "-eu", "-c", script, cwd=folder, env={**os.environ, "PATH": path}, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await shell.communicate()
    assert shell.returncode == 0
    return documents_in(printed.decode())


def documents_in(text: str) -> list[Any]:
    """JSON documents that follow each other."""
    found, decoder = [], json.JSONDecoder()
    while text := text.strip():
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:]
    return found


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's lines are for curl")
async def test_the_first_payment_of_the_readme_works(tmp_path: Path) -> None:
    """Created, paid at the page, proved by the callback, read as captured: with the lines as printed."""
    async with shipped_settings_running(tmp_path) as server:
        created, told, listed = await perform(server, tmp_path)
    assert created["state"] == "awaiting_customer"
    assert told["status"] == 204
    (payment,) = listed["data"]
    assert (payment["id"], payment["state"], payment["amount_captured"]) == (created["id"], "captured", "162.48")


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's lines are for curl")
async def test_the_first_payment_may_be_repeated(tmp_path: Path) -> None:
    """The same lines again give the stored answer and make no second payment, as the README says."""
    async with shipped_settings_running(tmp_path) as server:
        first = await perform(server, tmp_path)
        second = await perform(server, tmp_path)
    assert second[0] == first[0]
    assert second[2] == first[2]


# The plugin of providers.md


@pytest.fixture
def tinypay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The page's plugin, written into two files and imported."""
    page = text_of(PROVIDERS)
    for name in ("tinypay.py", "tinypay_simulator.py"):
        (tmp_path / name).write_text(block_named(page, name))
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("tinypay")
    for name in ("tinypay", "tinypay_simulator"):
        sys.modules.pop(name, None)


@contextlib.asynccontextmanager
async def tinypay_house(tinypay: ModuleType, folder: Path) -> AsyncIterator[House]:
    """A house with the page's account of the page's plugin, and its simulator."""
    bound = bind(0)
    written = blocks(text_of(PROVIDERS), "yaml")[0].replace("9103", str(bound.getsockname()[1]))

    def change(settings: dict[str, Any]) -> None:
        settings["tenants"]["acme"]["accounts"] |= yaml.safe_load(written)["accounts"]

    async with open_house(folder / "house", change=change, extra_plugins=(tinypay,)) as house:
        app = house.registry.simulators["tinypay"].app(simulated(house, "tinypay"))
        house.ports = {**house.ports, "tinypay": bound.getsockname()[1]}
        async with hosted(app, bound):
            yield house


TINY_ORDER = {"merchant_reference": "T-1", "amount": "12.50", "currency": "EUR", "account": "tiny"}


async def test_the_example_plugin_takes_a_payment(tinypay: ModuleType, tmp_path: Path) -> None:
    """Created under the account's own keys, paid, called back, captured."""
    async with tinypay_house(tinypay, tmp_path) as house:
        created = await house.create(TINY_ORDER)
        assert (created.status, created.json["state"]) == (201, "awaiting_customer")
        assert (await house.far_requests("tinypay"))[0]["body"]["ref"] == "T-1"
        path = created.json["redirect_url"].partition(f":{house.ports['tinypay']}")[2]
        assert (await house.far("tinypay", "POST", f"{path}/pay")).json == {"answered": 204}
        paid = await house.payment(created.json["id"])
        assert (paid["state"], paid["amount_captured"]) == ("captured", "12.50")


async def test_the_example_plugin_believes_no_forged_callback(tinypay: ModuleType, tmp_path: Path) -> None:
    """Without the right signature nothing moves, and the caller hears 401."""
    async with tinypay_house(tinypay, tmp_path) as house:
        payment = (await house.create(TINY_ORDER)).json
        (order,) = await house.far_orders("tinypay")
        url = house.gateway.callback_url(house.entry("acme", "tiny"))
        forged, sign = {**order, "status": "paid"}, {"Tiny-Signature": "0" * 64}
        async with house.http.post(url, json=forged, headers=sign) as answer:
            assert answer.status == 401
        assert (await house.payment(payment["id"]))["state"] == "awaiting_customer"


async def test_the_example_plugin_s_refusal_is_a_decline(tinypay: ModuleType, tmp_path: Path) -> None:
    """The simulator's fault is read as the definite no it is."""
    async with tinypay_house(tinypay, tmp_path) as house:
        await house.faults("tinypay", status=422)
        created = await house.create(TINY_ORDER)
        assert (created.status, created.json["operation"]["status"]) == (201, "declined")
