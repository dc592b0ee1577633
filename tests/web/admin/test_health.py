"""The operators' probes: alive, ready, not ready while the store refuses writes, and stopping."""

from __future__ import annotations

from tests.support.clients.psp_callbacks import change_store
from tests.support.stack import GatewayStack, new_key, psp_body


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
