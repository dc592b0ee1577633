"""For tests of the inbox: a stack on a virtual clock, a sender with a token of its own, and a store that balks."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.drivers.store.inbox import InboxFilter, StoredCallback
from tests.support.clients.psp_callbacks import change_store, credentials, post, sign
from tests.support.stack import GatewayStack, Reply, running_stack
from tests.support.virtual_clock import VirtualClock

ADMIN_KEY = "gw_admin_test-key-of-the-operators"
RIGHT, WRONG = "the-token-that-the-sender-has-0123456789", "the-token-that-was-mistyped-0123456789"
"""The canaries: no output of the gateway may hold either."""

BALK = "CREATE TRIGGER balk BEFORE UPDATE ON payments BEGIN SELECT RAISE(ABORT, 'no'); END"
RELENT = "DROP TRIGGER balk"


def with_token(token: str | None, **config: Any) -> Callable[[dict[str, Any]], None]:
    """Settings with an operators' key, and acme's PSP account under a token."""

    def change(settings: dict[str, Any]) -> None:
        settings["server"]["admin"]["key_sha256"] = hashlib.sha256(ADMIN_KEY.encode()).hexdigest()
        account = settings["tenants"]["acme"]["accounts"]["psp-main"]
        account["config"] |= {**({"token": token} if token is not None else {}), **config}

    return change


@contextlib.asynccontextmanager
async def inbox_stack(
    folder: Path, token: str | None = RIGHT, **config: Any
) -> AsyncIterator[tuple[GatewayStack, VirtualClock]]:
    """A stack whose clock begins now and moves as told; in the same folder it is the same store again."""
    clock = VirtualClock(datetime.now(UTC))
    async with running_stack(folder, change=with_token(token, **config), clock=clock) as stack:
        yield stack, clock


def api2(stack: GatewayStack, payment: Any, token: str = RIGHT, **changes: Any) -> bytes:
    """API-2 as a sender with this token writes it: captured, of the whole amount."""
    members = {
        "merchant_id": credentials(stack)[0],
        "order_no": payment["id"],
        "transaction_id": "T-1",
        "amount": float(payment["amount"]),
        "currency": payment["currency"],
        "time": int(stack.gateway.clock.now().timestamp() * 1000),
        "status": 1,
        **changes,
    }
    return json.dumps({**members, "sign": sign(members, token)}).encode()


async def deliver(stack: GatewayStack, payment: Any, token: str = RIGHT, **changes: Any) -> Reply:
    """Send one callback with this token."""
    return await post(stack, api2(stack, payment, token, **changes), headers={"crm-pay-token": token})


async def balked(stack: GatewayStack, payment: Any, **changes: Any) -> None:
    """Deliver a callback while the store takes rows but no change of a payment."""
    await change_store(stack, BALK)
    assert (await deliver(stack, payment, **changes)).status == 204
    await change_store(stack, RELENT)


async def rows(stack: GatewayStack, tenant: str = "acme") -> list[StoredCallback]:
    """The inbox of a tenant, oldest first."""
    store = stack.gateway.store
    found = [
        await store.inbox.find([tenant], row.id) for row in await store.inbox.newest(tenant, InboxFilter(limit=5000))
    ]
    return [row for row in reversed(found) if row is not None]


async def verdicts(stack: GatewayStack) -> list[str]:
    """What was made of each callback, oldest first."""
    return [row.verdict for row in await rows(stack)]


async def state_of(stack: GatewayStack, payment: Any) -> str:
    """The payment's state now."""
    return str((await stack.payment(payment["id"]))["state"])


async def admin(stack: GatewayStack, method: str, path: str, body: Any = None, key: str = ADMIN_KEY) -> Reply:
    """Call the operators' listener."""
    headers = {"Authorization": f"Bearer {key}"}
    async with stack.http.request(method, stack.admin_url + path, json=body, headers=headers) as answer:
        return Reply(answer.status, answer.headers, await answer.text())


async def inbox_of(stack: GatewayStack) -> int:
    """How many callbacks are stored."""
    return len(await stack.gateway.store.inbox.newest("acme", InboxFilter(limit=500)))
