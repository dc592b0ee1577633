"""The operators' probes: alive, ready, not ready while the store refuses writes, and stopping."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from gateway.core.views import rfc3339
from tests.support.clients.psp_callbacks import change_store
from tests.support.scenarios.inbox import admin
from tests.support.settings_file import with_operator
from tests.support.stack import GatewayStack, new_key, psp_body, running_stack
from tests.support.virtual_clock import VirtualClock


async def test_probes(stack: GatewayStack) -> None:
    """``/livez`` and ``/readyz`` answer on the operators' listener and not on the public one."""
    for path in ("/livez", "/readyz"):
        assert (await stack.visit(stack.admin_url + path)).status == 200
        assert (await stack.visit(stack.url + path)).status == 404


async def test_a_store_that_takes_no_write_is_not_ready(stack: GatewayStack) -> None:
    """``/readyz`` writes: a store that refuses makes it 503, while ``/livez`` still answers."""
    await change_store(stack, "ALTER TABLE heartbeat RENAME TO elsewhere")
    assert (await stack.visit(stack.admin_url + "/readyz")).status == 503
    assert (await stack.visit(stack.admin_url + "/livez")).status == 200
    await change_store(stack, "ALTER TABLE elsewhere RENAME TO heartbeat")
    assert (await stack.visit(stack.admin_url + "/readyz")).status == 200


async def test_an_outage_is_told_with_its_reason_and_its_beginning(tmp_path: Path) -> None:
    """By ``/readyz``, the status and every answer to an operator that it causes; tenants learn no more than that."""
    clock = VirtualClock()
    began = rfc3339(clock.now())
    async with running_stack(tmp_path, change=with_operator, clock=clock) as stack:
        await change_store(stack, "ALTER TABLE heartbeat RENAME TO elsewhere")
        for _ in range(2):
            ready = await admin(stack, "GET", "/readyz")
            [problem] = ready.json["problems"]
            clock.set(clock.now() + timedelta(seconds=9))
        assert problem.startswith(f"store main is unavailable since {began}: the store refused a row: ")
        status = (await admin(stack, "GET", "/admin/v1/status")).json
        assert [one["since"] for one in status["store"]["outages"]] == [began]
        assert any(line.startswith(f"store main is unavailable since {began}") for line in status["needs_person"])
        await change_store(stack, "ALTER TABLE reference_holders RENAME TO nowhere")
        await change_store(stack, "ALTER TABLE payments RENAME TO gone")
        reply = await admin(stack, "GET", "/admin/v1/reviews")
        assert (reply.status, reply.json["detail"]) == (503, problem)
        assert began not in (await stack.create(psp_body())).text
        await change_store(stack, "ALTER TABLE gone RENAME TO payments")
        await change_store(stack, "ALTER TABLE elsewhere RENAME TO heartbeat")
        assert (await admin(stack, "GET", "/admin/v1/status")).json["store"]["outages"] == []
        assert (await admin(stack, "GET", "/readyz")).json == {"status": "ok"}


async def test_a_create_that_cannot_be_stored_never_reaches_the_provider(stack: GatewayStack) -> None:
    """While the store refuses, a create is 503 and the provider hears nothing; the same key works afterwards."""
    await change_store(stack, "ALTER TABLE reference_holders RENAME TO elsewhere")
    body, key = psp_body(), new_key()
    reply = await stack.create(body, key=key)
    assert (reply.status, reply.json["code"], reply.headers["Retry-After"]) == (503, "store_unavailable", "1")
    assert await stack.provider_requests("psp") == []
    await change_store(stack, "ALTER TABLE elsewhere RENAME TO reference_holders")
    assert (await stack.create(body, key=key)).status == 201


async def test_a_stopping_gateway_takes_no_new_work(stack: GatewayStack) -> None:
    """While the gateway drains, new requests are 503 ``shutting_down`` and probes say so."""
    stack.gateway.current.is_stopping = True
    reply = await stack.create(psp_body())
    assert (reply.status, reply.json["code"]) == (503, "shutting_down")
    assert (await stack.visit(stack.admin_url + "/readyz")).status == 503
    assert (await stack.visit(stack.admin_url + "/livez")).status == 200
