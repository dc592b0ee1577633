"""When the money is taken, as the tenant asks for it with the create: now, later, or as the account does it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace

import gateway
from gateway.core.wire import HttpRequest
from tests.support.scripted_provider import ScriptedProvider, ScriptedStack, running_scripted_stack
from tests.support.stack import new_key

pytestmark = pytest.mark.asyncio(loop_scope="module")


class BothModes(ScriptedProvider):
    """A provider that is told when to capture, and says so in the body. It captures once."""

    def rules(self, account: gateway.Account) -> gateway.Rules:
        """Both."""
        return replace(super().rules(account), capture_modes=frozenset({"later", "now"}))

    def build(self, command: gateway.Command, account: gateway.Account) -> HttpRequest:
        """With what a create and a capture are told."""
        told = {name: getattr(command, name) for name in ("capture", "final") if hasattr(command, name)}
        return replace(super().build(command, account), body=gateway.dumps(told))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ScriptedStack]:
    """One stack with that plugin for all tests here."""
    async with running_scripted_stack(tmp_path_factory.mktemp("stack"), provider=BothModes()) as made:
        yield made


@pytest.mark.parametrize("capture", ["now", "later", None])
async def test_the_plugin_is_told(opened: ScriptedStack, capture: str | None) -> None:
    """What is asked for reaches the provider; nothing where nothing is asked for."""
    created = await opened.create(capture=capture)
    assert created.status == 201
    assert gateway.loads(opened.sent[-1].body) == {"capture": capture}


@pytest.mark.parametrize("body", [{}, {"amount": "4.00"}, {"amount": "4.00", "final": False}])
async def test_where_a_payment_is_captured_once_every_capture_is_the_last(opened: ScriptedStack, body: Any) -> None:
    """Whatever the tenant says: the plugin is told so, and the payment is captured by what it took."""
    payment = await opened.begin("authorized")
    opened.answers({"stage": "captured"})
    captured = (await opened.act(payment, "capture", body)).json
    assert gateway.loads(opened.sent[-1].body) == {"final": True}
    assert (captured["state"], captured["amount_captured"]) == ("captured", body.get("amount", "10.00"))


async def test_it_is_explained_and_listed(opened: ScriptedStack) -> None:
    """An explained create shows it, and the account says what may be asked for."""
    body = {"merchant_reference": "SO-1", "amount": "10.00", "currency": "USD", "capture": "later"}
    explained = await opened.stack.call("POST", "/v1/accounts/outside-main/explain", body)
    assert explained.json["body"] == '{"capture":"later"}'
    accounts = {one["name"]: one for one in (await opened.stack.call("GET", "/v1/accounts")).json["data"]}
    assert accounts["outside-main"]["capture_modes"] == ["now", "later"]


@pytest.mark.parametrize("wrong", [{}, {"metadata": {"k": 7}}])
async def test_an_account_that_cannot_be_told_refuses(opened: ScriptedStack, wrong: dict[str, Any]) -> None:
    """By the member, beside whatever else is wrong, and nothing is sent."""
    sent = len(opened.sent)
    body = {"merchant_reference": new_key()[:20], "amount": "10.00", "currency": "USD", "account": "psp-main"}
    refused = await opened.stack.create({**body, "capture": "later", "deposit_method": "bank", **wrong})
    code = "validation_failed" if wrong else "unsupported_by_provider"
    assert (refused.status, refused.json["code"], len(opened.sent)) == (422, code, sent)
    assert "$.capture" in [one["field"] for one in refused.json["errors"]]
