"""An export holds all that is kept about a payment."""

from __future__ import annotations

from gateway.flows.customers.export import kept_about
from tests.support.scenarios import creditkey
from tests.support.stack import GatewayStack


async def test_everything_is_there(stack: GatewayStack) -> None:
    """Payment, operations, timeline, webhooks with their bodies, callbacks whole."""
    payment = await creditkey.captured(stack)
    snapshot = await stack.gateway.store.payment("acme", payment["id"])
    assert snapshot is not None
    kept = await kept_about(stack.gateway, snapshot)
    assert kept.snapshot.payment.customer.id == "C-88"
    assert [one.kind for one in kept.operations] == ["create", "complete", "capture"]
    assert len(kept.events) == len(kept.webhooks) == payment["version"]
    assert all(row.body for row in kept.webhooks)
    assert [row.verdict for row in kept.callbacks] == ["recorded"]
