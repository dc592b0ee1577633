"""The examples of the documentation run: the README's first payment, the webhook receiver, the complete plugin."""

from __future__ import annotations

import contextlib
import importlib
import json
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from gateway.cli.hosting import bind, hosted
from tests.support.docs_pages import block_named, blocks, text_of
from tests.support.docs_runner import documents_in, perform, shipped_settings_running, steps
from tests.support.stack import WEBHOOK_SECRET, GatewayStack, psp_body, running_stack, simulated

API, PROVIDERS = "docs/api.md", "docs/providers.md"


async def test_the_webhook_example_verifies(stack: GatewayStack) -> None:
    """The lines a receiver is given accept a real webhook and nothing that was changed."""
    names: dict[str, Any] = {}
    exec(blocks(text_of(API), "python")[0], names)  # noqa: S102  # our own page
    payment = (await stack.create(psp_body())).json
    await stack.webhook(payment["id"], "payment.created")
    headers, body = stack.delivered_webhooks[0]
    assert names["read_webhook"](body, dict(headers), WEBHOOK_SECRET)["data"]["payment"]["id"] == payment["id"]
    with pytest.raises(names["standardwebhooks"].WebhookVerificationError):
        names["read_webhook"](body + b" ", dict(headers), WEBHOOK_SECRET)


# The first payment of the README


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's lines are for curl")
async def test_the_first_payment_may_be_repeated(tmp_path: Path) -> None:
    """The same lines again give the stored answer and make no second payment, as the README says."""
    scripts = [step.script for step in steps("README.md")]
    async with shipped_settings_running(tmp_path) as (_, ports):
        first, second = [await perform(scripts, ports, tmp_path) for _ in range(2)]
    assert documents_in(second[0])[0] == documents_in(first[0])[0]
    assert documents_in(second[0])[-1] == documents_in(first[0])[-1]


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
async def tinypay_stack(tinypay: ModuleType, folder: Path) -> AsyncIterator[GatewayStack]:
    """A stack with the page's account of the page's plugin, and its simulator."""
    bound = bind(0)
    written = blocks(text_of(PROVIDERS), "yaml")[0].replace("9103", str(bound.getsockname()[1]))

    def change(settings: dict[str, Any]) -> None:
        settings["tenants"]["acme"]["accounts"] |= yaml.safe_load(written)["accounts"]

    async with running_stack(folder / "stack", change=change, extra_plugins=(tinypay,)) as stack:
        app = stack.registry.simulators["tinypay"].app(simulated(stack, "tinypay"))
        stack.ports = {**stack.ports, "tinypay": bound.getsockname()[1]}
        async with hosted(app, bound):
            yield stack


TINY_ORDER = {"merchant_reference": "T-1", "amount": "12.50", "currency": "EUR", "account": "tiny"}


async def test_the_example_plugin_takes_a_payment(tinypay: ModuleType, tmp_path: Path) -> None:
    """Created under the account's own keys, paid, called back, captured."""
    async with tinypay_stack(tinypay, tmp_path) as stack:
        created = await stack.create(TINY_ORDER)
        assert (created.status, created.json["state"]) == (201, "awaiting_customer")
        assert json.loads((await stack.provider_requests("tinypay"))[0]["body"])["ref"] == "T-1"
        path = created.json["redirect_url"].partition(f":{stack.ports['tinypay']}")[2]
        pressed = await stack.call_provider("tinypay", "POST", f"{path}/pay")
        assert pressed.json["callbacks"] == [{"status": 204, "body": ""}]
        paid = await stack.payment(created.json["id"])
        assert (paid["state"], paid["amount_captured"]) == ("captured", "12.50")


async def test_the_example_plugin_believes_no_forged_callback(tinypay: ModuleType, tmp_path: Path) -> None:
    """Without the right signature nothing moves, and the caller hears 401."""
    async with tinypay_stack(tinypay, tmp_path) as stack:
        payment = (await stack.create(TINY_ORDER)).json
        (order,) = await stack.provider_orders("tinypay")
        url = stack.gateway.callback_url(stack.entry("acme", "tiny"))
        order |= {"order": order["payment_id"], "reference": "T-1", "amount": order["asked"]}
        forged, sign = {**order, "status": "paid"}, {"Tiny-Signature": "0" * 64}
        async with stack.http.post(url, json=forged, headers=sign) as answer:
            assert answer.status == 401
        assert (await stack.payment(payment["id"]))["state"] == "awaiting_customer"


async def test_the_example_plugin_s_refusal_is_a_decline(tinypay: ModuleType, tmp_path: Path) -> None:
    """The simulator's fault is read as the definite no it is."""
    async with tinypay_stack(tinypay, tmp_path) as stack:
        await stack.faults("tinypay", status=422)
        created = await stack.create(TINY_ORDER)
        assert (created.status, created.json["operation"]["status"]) == (201, "declined")
