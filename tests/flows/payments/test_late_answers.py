"""Answers that come after the tenant was told 202 are recorded when they come; until then other commands wait."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.scenarios.creditkey import BEGIN, BEGUN, CALLS, Wire, act, calls, captured, provider_order, unknown
from tests.support.stack import GatewayStack, creditkey_body, new_key, running_stack


def make_impatient(stack: GatewayStack) -> None:
    """From now on answer the tenant long before the provider's deadline."""
    settings = stack.gateway.settings
    stack.gateway.settings = replace(settings, timeouts=replace(settings.timeouts, tenant_answer=0.05))


@pytest.mark.parametrize("verb", CALLS)
async def test_a_slow_answer_is_recorded_when_it_comes(stack: GatewayStack, verb: str) -> None:
    """The tenant is told 202 in time; the late answer settles the operation, and the key then gives the answer."""
    wire, key, before = Wire(stack), new_key(), "captured" if verb == "refund" else "authorized"
    payment = await BEGUN[before](stack)
    make_impatient(stack)
    gate = wire.hold_answer(CALLS[verb])
    told = await act(stack, payment, verb, key=key)
    assert (told.status, told.json.get("operation", told.json)["status"]) == (202, "sending")
    assert told.json.get("payment", told.json)["pending_operation"]["kind"] == verb
    gate.open()
    await stack.gateway.tasks.drain(10)
    again = await act(stack, payment, verb, key=key)
    assert (again.status, again.headers["Idempotency-Replayed"]) == (201 if verb == "refund" else 200, "true")
    assert again.json.get("operation", again.json)["status"] == "succeeded"
    assert await calls(stack, payment, CALLS[verb]) == [CALLS[verb]]


async def test_a_slow_create_is_recorded_when_it_comes(stack: GatewayStack) -> None:
    """A create answered 202 is the same payment that its key names once Credit Key has answered."""
    wire, key, body = Wire(stack), new_key(), creditkey_body()
    make_impatient(stack)
    gate = wire.hold_answer(BEGIN)
    told = await stack.create(body, key=key)
    assert (told.status, told.json["state"], told.json["operation"]["status"]) == (202, "created", "sending")
    gate.open()
    await stack.gateway.tasks.drain(10)
    again = await stack.create(body, key=key)
    assert (again.status, again.json["id"], again.json["state"]) == (201, told.json["id"], "awaiting_customer")
    assert again.json["redirect_url"] is not None


@pytest.mark.parametrize("verb", CALLS)
async def test_another_command_waits_for_the_outcome(stack: GatewayStack, verb: str) -> None:
    """While an operation is on its way, and while its outcome is unknown, every other command is refused."""
    wire = Wire(stack)
    payment = await captured(stack)
    make_impatient(stack)
    gate = wire.hold_answer("refund")
    pending = (await act(stack, payment, "refund", {"amount": "10.00"})).json
    reply = await act(stack, payment, verb)
    assert (reply.status, reply.json["code"]) == (409, "operation_outcome_pending")
    assert reply.json["operation_id"].removeprefix("op_") == pending["id"].removeprefix("ref_")
    gate.open()
    await stack.gateway.tasks.drain(10)


async def test_a_simulators_delay_past_our_deadline_is_unknown(tmp_path: Path) -> None:
    """Silence up to the deadline is no failure, though the provider acts later: the refund is found, made once."""

    def hasty(settings: dict[str, Any]) -> None:
        settings["timeouts"] = {"provider_total": "200ms"}

    async with running_stack(tmp_path, change=hasty) as stack:
        payment = await captured(stack)
        await stack.faults("creditkey", operation="refund", delay_ms=400, times=1)
        unknown(await act(stack, payment, "refund", {"amount": "10.00"}))
        async with asyncio.timeout(10):
            while (await provider_order(stack, payment))["refunded_amount"] != "10.00":
                pass
        synced = await act(stack, payment, "sync")
        assert (synced.json["state"], synced.json["amount_refunded"]) == ("partially_refunded", "10.00")
        assert await calls(stack, payment, "refund") == ["refund"]
