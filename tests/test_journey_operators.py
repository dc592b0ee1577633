"""What operators do by the command line, and what time forgets, over real HTTP on each engine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.flows.background import retention
from tests.support.cli import run
from tests.support.clients.psp_callbacks import new_payment
from tests.support.scenarios.inbox import ADMIN_KEY, RIGHT, deliver, with_token
from tests.support.stack import GatewayStack, new_key, psp_body, running_stack
from tests.support.stores import ENGINES
from tests.support.virtual_clock import VirtualClock

MAIL = "ana@shop.example"


@pytest.fixture
def clock() -> VirtualClock:
    """A clock that begins now, since the simulators have the real time."""
    return VirtualClock(datetime.now(UTC))


@pytest.fixture(params=ENGINES)
async def stack(
    request: pytest.FixtureRequest, tmp_path: Path, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[GatewayStack]:
    """A running gateway on each engine, and the operators' key in the environment."""
    monkeypatch.setenv("GATEWAY_ADMIN_KEY", ADMIN_KEY)
    async with running_stack(tmp_path, change=with_token(RIGHT), clock=clock, engine=request.param) as opened:
        yield opened


async def printed(stack: GatewayStack, *arguments: str, code: int = 0) -> Any:
    """What a command prints as JSON that ends with this code."""
    result = await asyncio.to_thread(run, *arguments, "--admin-url", stack.admin_url, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


async def test_operators_see_decide_and_erase(stack: GatewayStack) -> None:
    """A payment of too little money: shown by status and find, decided, erased, and all of it in the audit trail."""
    payment = await new_payment(stack, customer={"id": "C-1", "email": MAIL})
    assert (await deliver(stack, payment, amount=1.0)).status == 400
    assert (await printed(stack, "status", code=1))["reviews"]["count"] == 1  # it needs a person
    [found] = (await printed(stack, "find", MAIL))["data"]
    assert (found["id"], found["review"]["reason"]) == (payment["id"], "amount")
    [listed] = (await printed(stack, "payments", "review", "list"))["data"]
    assert listed["id"] == payment["id"]
    await printed(stack, "payments", "review", "resolve", payment["id"], "--reason", "seen at the bank")
    assert (await printed(stack, "payments", "review", "list"))["data"] == []
    assert (await deliver(stack, payment, transaction_id="T-2")).status == 204
    erased = await printed(stack, "customers", "erase", "--email", MAIL, "--apply", "--reason", "asked by letter")
    assert erased["payments"] == 1
    assert (await printed(stack, "find", MAIL))["data"] == []
    acts = [row["act"] for row in (await printed(stack, "audit"))["data"]]
    assert acts[:2] == ["customers.erase", "reviews.resolve"]
    config = stack.folder / "settings.yaml"
    verified = await asyncio.to_thread(run, "audit", "verify", "--config", str(config), "--json")
    assert (verified.exit_code, json.loads(verified.stdout)["problems"]) == (0, [])


async def test_what_is_old_is_forgotten(stack: GatewayStack, clock: VirtualClock) -> None:
    """The answer of a create under its key: a week and a day later there is no key any more."""
    key = new_key()
    await stack.create(psp_body(), key=key)
    assert await stack.gateway.store.idempotency_record("acme", key) is not None
    clock.set(clock.now() + timedelta(days=8, hours=1))
    await stack.stay_alive()
    forgetting = asyncio.create_task(retention._round(stack.gateway, {}))
    async with asyncio.timeout(10):
        while not forgetting.done():
            await clock.advance(retention.PAUSE_SECONDS)
    await forgetting
    assert await stack.gateway.store.idempotency_record("acme", key) is None
