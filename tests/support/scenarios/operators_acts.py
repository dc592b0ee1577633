"""How each operators' route that changes something is used in earnest. A new route needs an entry.

An entry prepares what the route acts on and returns the path without ``/admin/v1``, and the body.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from gateway.drivers.store.deliveries import DeliveryFilter
from gateway.flows import approvals
from gateway.flows.audit import Act, Actor
from gateway.flows.webhooks import redelivery
from tests.support.clients.psp_callbacks import new_payment
from tests.support.factories.deliveries import rows_when
from tests.support.scenarios import creditkey
from tests.support.scenarios.inbox import WRONG, deliver, rows
from tests.support.stack import GatewayStack

REASON = "looked into it, case 4711"

Asked = tuple[str, Any]


async def flagged(stack: GatewayStack) -> Any:
    """A payment that a person must look at."""
    payment = await creditkey.authorized(stack)
    await creditkey.edit(stack, payment, amount="1.00")
    assert (await creditkey.act(stack, payment, "sync")).json["review"]["reason"] == "amount"
    await creditkey.edit(stack, payment, amount="1067.33")
    return await stack.payment(payment["id"])


async def unanswered(stack: GatewayStack) -> Any:
    """A payment whose create has no known outcome."""
    await stack.faults("creditkey", operation="begin_standalone_checkout", silence="before_effect", times=1)
    return (await stack.create(creditkey.creditkey_body())).json


async def _resolve_payment(stack: GatewayStack) -> Asked:
    return f"/payments/{(await new_payment(stack))['id']}/resolve", {"reason": REASON, "state": "captured"}


async def _resolve_review(stack: GatewayStack) -> Asked:
    return f"/reviews/{(await flagged(stack))['id']}/resolve", {"reason": REASON}


async def _resolve_operation(stack: GatewayStack) -> Asked:
    operation = (await unanswered(stack))["pending_operation"]["id"]
    return f"/operations/{operation}/resolve", {"reason": REASON, "outcome": "declined"}


async def _replay(stack: GatewayStack) -> Asked:
    await deliver(stack, await new_payment(stack))
    return f"/inbox/{(await rows(stack))[-1].id}/replay", {}


async def _reverify(stack: GatewayStack) -> Asked:
    await deliver(stack, await new_payment(stack), WRONG)
    return f"/inbox/{(await rows(stack))[-1].id}/reverify", {}


async def _redeliver(stack: GatewayStack) -> Asked:
    await new_payment(stack)
    [newest, *_] = await stack.gateway.store.deliveries.newest("acme", DeliveryFilter(limit=1))
    return f"/deliveries/{newest.id}/redeliver", {}


async def _export(_: GatewayStack) -> Asked:
    return "/customers/export", {"customer_id": "nobody"}


async def _erase(_: GatewayStack) -> Asked:
    return "/customers/erase", {"customer_id": "nobody", "apply": True, "reason": REASON}


async def _approval(stack: GatewayStack) -> str:
    """What the shared key has asked for."""
    path, target = "/admin/v1/reviews/{payment_id}/resolve", (await flagged(stack))["id"]
    act = Act(name="approvals.request", by=Actor(key_id="operator"))
    body = msgspec.json.encode({"reason": REASON})
    return (await approvals.request(stack.gateway, act, method="POST", path=path, target=target, body=body)).id


async def _approve(stack: GatewayStack) -> Asked:
    return f"/approvals/{await _approval(stack)}/approve", {}


async def _reject(stack: GatewayStack) -> Asked:
    return f"/approvals/{await _approval(stack)}/reject", {"reason": REASON}


async def _redeliver_range(stack: GatewayStack) -> Asked:
    stack.webhook_answer = lambda _: 410
    payment = await new_payment(stack)
    await rows_when(stack, payment["id"], lambda rows: bool(rows) and all(row.status == "dead" for row in rows))
    await redelivery.enable(stack.gateway, "acme", redeliver=False)
    stack.webhook_answer = lambda _: 204
    return "/deliveries/redeliver", {"since": "2026-01-01T00:00:00Z", "reason": REASON}


async def _enable(_: GatewayStack) -> Asked:
    return "/endpoints/acme/enable", {"reason": REASON}


async def _sync(_: GatewayStack) -> Asked:
    return "/payments/sync", {"reason": REASON}


async def _replay_range(stack: GatewayStack) -> Asked:
    await _replay(stack)
    return "/inbox/replay", {"reason": REASON}


async def _reverify_range(stack: GatewayStack) -> Asked:
    await _reverify(stack)
    return "/inbox/reverify", {"reason": REASON}


async def _reload(_: GatewayStack) -> Asked:
    return "/reload", {}


ACTS: Mapping[tuple[str, str], Callable[[GatewayStack], Awaitable[Asked]]] = {
    ("POST", "/admin/v1/payments/{id}/resolve"): _resolve_payment,
    ("POST", "/admin/v1/reviews/{payment_id}/resolve"): _resolve_review,
    ("POST", "/admin/v1/operations/{id}/resolve"): _resolve_operation,
    ("POST", "/admin/v1/inbox/{id}/replay"): _replay,
    ("POST", "/admin/v1/inbox/{id}/reverify"): _reverify,
    ("POST", "/admin/v1/deliveries/{id}/redeliver"): _redeliver,
    ("POST", "/admin/v1/deliveries/redeliver"): _redeliver_range,
    ("POST", "/admin/v1/endpoints/{tenant}/enable"): _enable,
    ("POST", "/admin/v1/payments/sync"): _sync,
    ("POST", "/admin/v1/inbox/replay"): _replay_range,
    ("POST", "/admin/v1/inbox/reverify"): _reverify_range,
    ("POST", "/admin/v1/reload"): _reload,
    ("POST", "/admin/v1/customers/export"): _export,
    ("POST", "/admin/v1/customers/erase"): _erase,
    ("POST", "/admin/v1/approvals/{id}/approve"): _approve,
    ("POST", "/admin/v1/approvals/{id}/reject"): _reject,
}
