"""A plugin built for version 1.0 of the plugin API runs, as it was built, with today's gateway."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.docs_pages import ROOT
from tests.support.installed_plugin import ACCOUNT, INSTALL, python, serving
from tests.support.stack import GatewayStack, new_key

FROZEN = ROOT / "tests/frozen"
WHEEL = FROZEN / "gateway_frozen_pay-1.0.0-py3-none-any.whl"
SHA256 = "22c1aff6948785ab5ec400cc1b4be25714470f0b45fd8a2930600f3713a6fa48"
NAME = "frozen_pay"
CONFIG = {"api_key": "frozen-api-key-0123", "webhook_secret": "frozen-webhook-secret-0123"}
ORDER = {"merchant_reference": "SO-1", "amount": "12.50", "currency": "EUR", "account": ACCOUNT}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder with the wheel in it."""
    target = tmp_path_factory.mktemp("installed")
    python(target, *INSTALL, str(target), str(WHEEL))
    return target


def test_the_wheel_is_the_one_that_was_built() -> None:
    """Byte for byte, and its source is the one beside it."""
    assert hashlib.sha256(WHEEL.read_bytes()).hexdigest() == SHA256
    with zipfile.ZipFile(WHEEL) as wheel:
        shipped = {name: wheel.read(name) for name in wheel.namelist() if ".dist-info/" not in name}
    assert shipped == {name: (FROZEN / "source" / name).read_bytes() for name in shipped}


async def test_it_takes_a_payment_and_returns_money(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Authorized by its signed callback, captured, refunded later by another; no forged one is believed."""
    monkeypatch.syspath_prepend(installed)
    async with serving(NAME, CONFIG, tmp_path) as stack:
        payment = f"/v1/payments/{(await stack.create(ORDER)).json['id']}"
        await pay(stack, payment)
        assert (await stack.call("GET", payment)).json["state"] == "authorized"
        forged = await stack.call_provider(NAME, "POST", "/_sim/callbacks", {"do": "forge"})
        assert {one["status"] for one in forged.json} == {401}

        captured = (await stack.call("POST", f"{payment}/capture", {}, key=new_key())).json
        assert (captured["state"], captured["amount_captured"]) == ("captured", "12.50")

        await stack.faults(NAME, pending=True)
        refund = await stack.call("POST", f"{payment}/refunds", {"amount": "2.50"}, key=new_key())
        assert (await stack.call("GET", payment)).json["amount_refunded"] == "0.00", refund.text
        await stack.call_provider(NAME, "POST", "/_sim/effects", {"id": await pending(stack), "state": "done"})
        now = (await stack.call("GET", payment)).json
        assert (now["state"], now["amount_refunded"]) == ("partially_refunded", "2.50")


async def pay(stack: GatewayStack, payment: str) -> None:
    """The customer pays on the provider's page."""
    paid = {"payment_id": payment.rpartition("/")[2], "does": "pay"}
    answer: Any = (await stack.call_provider(NAME, "POST", "/_sim/customer", paid)).json
    assert [one["status"] for one in answer["callbacks"]] == [204]


async def pending(stack: GatewayStack) -> str:
    """The provider's id of the refund that has no outcome yet."""
    (line,) = (await stack.call_provider(NAME, "GET", "/_sim/ledger")).json
    return next(effect["id"] for effect in line["effects"] if effect["state"] == "pending")
