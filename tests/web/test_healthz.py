"""``/healthz``: what a load balancer learns on the public listener, and what asking costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.clients.psp_callbacks import change_store
from tests.support.stack import GatewayStack, running_stack
from tests.support.virtual_clock import VirtualClock


async def test_it_says_little_to_anybody(stack: GatewayStack) -> None:
    """No key, at most 64 bytes, and no more than that it can serve; HEAD too."""
    reply = await stack.visit(stack.url + "/healthz")
    assert (reply.status, reply.json) == (200, {"status": "ok"})
    assert len(reply.text.encode()) <= 64
    assert (await stack.call("HEAD", "/healthz", tenant=None)).status == 200
    assert (await stack.visit(stack.admin_url + "/healthz")).status == 404


async def test_a_stopping_gateway_asks_for_no_more(stack: GatewayStack) -> None:
    """While it drains it is 503, in as few words."""
    stack.gateway.current.is_stopping = True
    reply = await stack.visit(stack.url + "/healthz")
    assert (reply.status, reply.json) == (503, {"status": "stopping"})


async def test_a_store_that_takes_no_write_is_seen_within_two_seconds(tmp_path: Path) -> None:
    """The store is asked once for everybody, and again when the answer is two seconds old."""
    clock = VirtualClock()
    async with running_stack(tmp_path, clock=clock) as stack:
        await change_store(stack, "ALTER TABLE heartbeat RENAME TO elsewhere")
        assert [await _status(stack) for _ in range(2)] == [503, 503]
        await change_store(stack, "ALTER TABLE elsewhere RENAME TO heartbeat")
        assert await _status(stack) == 503
        await clock.advance(2)
        assert await _status(stack) == 200


async def test_many_who_ask_cost_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strangers may ask as often as they like."""
    async with running_stack(tmp_path, clock=VirtualClock()) as stack:
        store, asked = stack.gateway.store, []
        prove = store.prove_writable
        monkeypatch.setattr(store, "prove_writable", lambda at: asked.append(at) or prove(at))
        assert {await _status(stack) for _ in range(20)} == {200}
        assert len(asked) == 1


async def _status(stack: GatewayStack) -> int:
    return (await stack.visit(stack.url + "/healthz")).status
