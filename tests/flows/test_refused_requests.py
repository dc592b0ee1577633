"""Why a tenant's request was refused is kept under the id of its answer; who is not known as a tenant keeps nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.core.errors import Unavailable
from gateway.drivers.store.refused_requests import RefusedRequest
from gateway.flows import refused_requests
from tests.support.clients.psp_callbacks import call_back
from tests.support.stack import GatewayStack, Reply, psp_body, running_stack


async def kept(stack: GatewayStack, reply: Reply) -> list[RefusedRequest]:
    """What is kept of a request."""
    await stack.gateway.refused_requests.write()
    return await stack.gateway.store.refused_requests.find(reply.headers["X-Request-Id"])


async def test_code_and_members_are_kept(stack: GatewayStack) -> None:
    """Without values, and without names that a caller chose."""
    secret = "dana.reyes@mail.example"
    reply = await stack.create(psp_body(amount="x", metadata={secret: 7}))
    (row,) = await kept(stack, reply)
    assert (row.tenant, row.route, row.status, row.code) == (
        "acme",
        "POST /v1/payments",
        422,
        "validation_failed",
    )
    assert row.fields == "$.amount, $.metadata.*"
    assert secret not in str(row)
    assert abs(row.at - stack.gateway.clock.now().timestamp() * 1000) < 60_000


async def test_they_are_written_soon(stack: GatewayStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several share a transaction; nobody has to ask for it."""
    monkeypatch.setattr(refused_requests, "PAUSE_SECONDS", 0.05)
    replies = [await stack.call("GET", f"/v1/payments/pay_{number}") for number in range(3)]
    async with asyncio.timeout(10):
        for reply in replies:
            while not await stack.gateway.store.refused_requests.find(reply.headers["X-Request-Id"]):
                await stack.call("GET", "/v1/payments", tenant=None)


async def test_what_is_refused_without_proof_is_not_kept(stack: GatewayStack) -> None:
    """Neither a stranger's request, nor what was served, nor one of too many; but a refused callback is."""
    payment = await stack.create(psp_body())
    others = [
        await stack.call("GET", "/v1/payments", tenant=None),
        await stack.call("GET", "/v1/nothing"),
        payment,
    ]
    assert [await kept(stack, reply) for reply in others] == [[], [], []]
    assert (await call_back(stack, payment.json)).status == 204
    (row,) = await kept(stack, await call_back(stack, payment.json, transaction_id="T-2"))
    assert (row.code, row.fields) == ("repeated_final", "")


async def test_a_stop_loses_none(tmp_path: Path) -> None:
    """What waits is written before the store closes."""
    async with running_stack(tmp_path) as stack:
        request_id = (await stack.call("GET", "/v1/payments/pay_1")).headers["X-Request-Id"]
    async with running_stack(tmp_path) as stack:
        assert [one.code for one in await stack.gateway.store.refused_requests.find(request_id)] == ["not_found"]


async def test_a_store_that_fails_costs_the_rows_only(
    stack: GatewayStack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And the memory is bounded while nothing is written."""

    async def down(*_: object) -> None:
        raise Unavailable("down")

    monkeypatch.setattr(refused_requests, "MAX_WAITING", 2)
    replies = [await stack.call("GET", f"/v1/payments/pay_{number}") for number in range(3)]
    assert [len(await kept(stack, reply)) for reply in replies] == [1, 1, 0]
    monkeypatch.setattr(stack.gateway.store, "commit", down)
    assert (await stack.call("GET", "/v1/payments/pay_9")).status == 404
    await stack.gateway.refused_requests.write()
    assert caplog.messages[-1] == "refused requests could not be kept"
