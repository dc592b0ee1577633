"""``gateway plugins try``: each call of a plugin on a local page that is safe, saved as samples that check takes."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path

import aiohttp
import pytest
import yaml

from gateway.testing import check_plugin
from gateway.testing.installed import find_plugin
from gateway.testing.sample_files import read_samples
from gateway.testing.samples import shipped_with
from gateway.testing.workbench.app import Workbench, serving
from gateway.testing.workbench.benches import real, simulated
from tests.support.cli import run, running, write
from tests.support.docs_pages import ROOT

EXAMPLE = ROOT / "examples" / "gateway-acquirelite"
SECRETS = ("acme-client-sample", "acme-webhook-sample")


class Page:
    """A browser on the page."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url, self.http = url, http

    async def post(self, path: str, **form: str) -> str:
        """Press a button; the page that follows."""
        async with self.http.post(self.url + path, data=form) as answer:
            assert answer.status == 200
            return unescape(await answer.text())

    async def until(self, text: str) -> str:
        """The page once it has a text."""
        async with asyncio.timeout(20):
            while True:
                async with self.http.get(self.url) as answer:
                    page = unescape(await answer.text())
                if text in page:
                    return page


@asynccontextmanager
async def bench(file: Path, *, records: bool = True) -> AsyncIterator[Page]:
    """The workbench of the example, with its simulator."""
    plugin = find_plugin("acquirelite")
    path = shipped_with(plugin.module)
    assert path is not None
    given = read_samples(path)
    async with (
        aiohttp.ClientSession() as http,
        simulated(plugin, given) as one,
        serving(Workbench(plugin, one, given, file, records=records), 0) as url,
    ):
        yield Page(url, http)


@pytest.fixture(autouse=True)
def _on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLE)


async def _paid(page: Page) -> None:
    await page.post("press/create", amount="10.00", currency="USD")
    await page.post("press/customer", does="pay")
    await page.until('"state": "authorized"')


async def test_each_step_is_seen_and_saved_as_samples_that_check_takes(tmp_path: Path) -> None:
    """Create, capture, refund and callbacks by hand; no secret is on the page or in the file."""
    file = tmp_path / "samples.json"
    async with bench(file) as page:
        await _paid(page)
        await page.post("press/capture", amount="")
        await page.until('"state": "captured"')
        await page.post("press/refund", amount="3.00")
        seen = await page.until('"amount_refunded": "3.00"')
    assert "CapturePayment" in seen
    assert "HTTP 202" in seen
    assert re.search(r"\d+\. verify", seen)
    assert "authorization: ***" in seen.lower()
    text = file.read_text()
    assert not [secret for secret in SECRETS if secret in seen + text]
    saved = json.loads(text)
    assert {"CreatePayment", "CapturePayment", "RefundPayment"} <= {one["command"] for one in saved["replies"]}
    assert "${payment_id}" in str(saved["replies"])
    assert "127.0.0.1" not in str(saved["replies"])
    assert "${hmac:sha256:hex:webhook_key}" in str(saved["callbacks"])
    assert not {"reply", "callback", "account"} & {one.rule for one in check_plugin("acquirelite", file).findings}
    assert check_plugin("acquirelite", file).ok


async def test_a_callback_of_ones_own_is_judged(tmp_path: Path) -> None:
    """What is not signed is refused, with the reason; what ``${hmac:…}`` signs is believed. Its secrets are masked."""
    async with bench(tmp_path / "samples.json") as page:
        await _paid(page)
        empty = {"method": "POST", "suffix": "", "query": "", "body": f'{{"events":[],"note":"{SECRETS[1]}"}}'}
        forged = await page.post("press/callback", headers="Acq-Signature: 00", **empty)
        assert "raised CallbackRejected" in forged
        signed = await page.post("press/callback", headers="Acq-Signature: ${hmac:sha256:hex:webhook_key}", **empty)
        assert "the gateway answered the callback with 200" in signed
    text = (tmp_path / "samples.json").read_text()
    assert "***" in text
    assert SECRETS[1] not in signed + text


async def test_an_answer_is_read_again_by_the_module_as_it_is_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent, and the running gateway keeps the module that it began with."""
    package = EXAMPLE / "gateway_acquirelite" / "__init__.py"
    async with bench(tmp_path / "samples.json", records=False) as page:
        seen = await page.post("press/create", amount="10.00", currency="USD")
        number = re.search(r"(\d+)\. parse<", seen)
        assert number is not None
        copy = tmp_path / "gateway_acquirelite"
        copy.mkdir()
        source = package.read_text().replace(
            "    def parse(", "    def parse(self, *_):\n        return 1\n    def was("
        )
        (copy / "__init__.py").write_text(source)
        (copy / "simulator.py").write_text((package.parent / "simulator.py").read_text())
        monkeypatch.syspath_prepend(tmp_path)
        replayed = await page.post(f"steps/{number[1]}/replay")
        assert "replayed" in replayed
        assert 'class="bad"' in replayed
        assert not (tmp_path / "samples.json").exists()
        assert "payment_id" in await page.post("press/create", amount="11.00", currency="USD")


async def test_a_stranger_is_refused(tmp_path: Path) -> None:
    """No token, another host: nothing is shown and nothing done. Everything is escaped, and no script runs."""
    async with bench(tmp_path / "samples.json") as page:
        root, token = page.url.rstrip("/").rsplit("/", 1)
        for url, headers, status in (
            (f"{root}/{'x' * len(token)}/", {}, 404),
            (f"{root}/", {}, 404),
            (page.url, {"Host": "rebound.example"}, 403),
            (page.url, {}, 200),
        ):
            async with page.http.get(url, headers=headers) as answer:
                assert answer.status == status
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        async with page.http.post(page.url + "press/create", data={"amount": "<b>", "currency": "<script>"}) as answer:
            assert "<script>" not in await answer.text()


async def test_a_real_account_is_said_in_red(tmp_path: Path) -> None:
    """An account of the settings; one that is not there is named with those that are."""
    config, plugin = write(tmp_path), find_plugin("psp_open_api")
    with pytest.raises(LookupError, match="must be one of"):
        async with real(plugin, config, "acme/none"):
            pass
    owner = _owner(config)
    async with (
        real(plugin, config, owner) as one,
        serving(Workbench(plugin, one, read_samples(_samples()), tmp_path / "s.json", records=False), 0) as url,
        aiohttp.ClientSession() as http,
    ):
        page = Page(url, http)
        assert f'class="real">Real: every form reaches the provider of account {owner}' in await page.until("create")
        assert "build" in await page.post("press/create", amount="10.00", currency="USD")


def _samples() -> Path:
    return ROOT / "plugins" / "gateway_psp_open_api" / "samples.json"


def _owner(config: Path) -> str:
    """The first account of the provider in the settings."""
    tenants = yaml.safe_load(config.read_text())["tenants"]
    accounts = [(f"{tenant}/{name}", one) for tenant in tenants for name, one in tenants[tenant]["accounts"].items()]
    return next(owner for owner, one in accounts if one["provider"] == "psp_open_api")


def test_the_command_prints_the_address_of_the_page() -> None:
    """It runs until it is stopped; half of a real account is a mistake."""
    with running("plugins", "try", "psp_open_api") as process:
        assert process.lines[0].startswith("workbench http://127.0.0.1:")
    assert run("plugins", "try", "psp_open_api", "--account", "acme/main").exit_code == 2
    assert run("plugins", "try", "nobody").exit_code == 2
