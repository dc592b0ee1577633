"""The PSP's side of API-2, written without the plugin: a signer of its own, raw bodies, one HTTP call."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from gateway.core.facts import Cause, Expired
from gateway.core.payment import Payment, State
from gateway.core.states import apply
from gateway.drivers.store import statements
from gateway.flows.commit import commit_change
from tests.support.stack import GatewayStack, Reply, psp_body

ABSENT = object()
"""A member that is left out."""


def sign(members: Mapping[str, Any], token: str, sign_key: str = "sign") -> str:
    """SHA-1 in upper-case hex over ``key=value`` of the non-empty members in key order, and the token."""

    def printed(value: Any) -> str:
        return str(value).lower() if isinstance(value, bool) else str(value)

    kept = {key: value for key, value in members.items() if key != sign_key and value not in (None, "", [], {})}
    text = "&".join(f"{key}={printed(kept[key])}" for key in sorted(kept))
    return hashlib.sha1((text + token).encode()).hexdigest().upper()


def credentials(stack: GatewayStack, tenant: str = "acme", account: str = "psp-main") -> tuple[str, str]:
    """What the provider was told: (merchant_id, token)."""
    entry = stack.entry(tenant, account)
    given = entry.provider.credentials(entry.account)
    merchant_id, token = given["merchant_id"], given["token"]
    return str(merchant_id), token if isinstance(token, str) else token.reveal()


def signed_body(
    stack: GatewayStack, payment: Any, *, tenant: str = "acme", account: str = "psp-main", **changes: Any
) -> bytes:
    """API-2 for a payment: a captured callback of its whole amount; ``changes`` replace members, ``ABSENT`` drops."""
    merchant_id, token = credentials(stack, tenant, account)
    members: dict[str, Any] = {
        "merchant_id": merchant_id,
        "order_no": payment["id"],
        "transaction_id": "T-1",
        "amount": float(payment["amount"]),
        "currency": payment["currency"],
        "time": int(time.time() * 1000),
        "status": 1,
        **changes,
    }
    signed = {"sign": sign({key: value for key, value in members.items() if value is not ABSENT}, token), **members}
    return json.dumps({key: value for key, value in signed.items() if value is not ABSENT}, ensure_ascii=False).encode()


async def post(
    stack: GatewayStack,
    body: bytes,
    *,
    tenant: str = "acme",
    account: str = "psp-main",
    path: str = "/pay/callback",
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Send bytes to an account's endpoint with its token; ``headers`` replace ours."""
    _, token = credentials(stack, tenant, account)
    sent = {"crm-pay-token": token, "Content-Type": "application/json", **(headers or {})}
    url = f"/callbacks/{stack.entry(tenant, account).endpoint_id}{path}"
    return await stack.call(method, url, tenant=None, data=body, headers=sent)


async def call_back(stack: GatewayStack, payment: Any, **changes: Any) -> Reply:
    """Send one signed callback of tenant acme's payment."""
    return await post(stack, signed_body(stack, payment, **changes))


async def new_payment(stack: GatewayStack, **changes: Any) -> Any:
    """A PSP payment of tenant acme that waits for its customer."""
    created = await stack.create(psp_body(**changes))
    assert created.status == 201, created.text
    return created.json


async def stored(stack: GatewayStack, payment_id: str) -> Payment:
    loaded = await stack.gateway.store.payment("acme", payment_id)
    assert loaded is not None
    return loaded.payment


async def expire(stack: GatewayStack, payment_id: str, *, ago: timedelta = timedelta(0)) -> None:
    """Let the expiry clock have run out so long ago."""
    gw = stack.gateway
    before = await gw.store.payment("acme", payment_id)
    assert before is not None
    policy, at = gw.entry(before.payment).policy, gw.clock.now() - ago
    change = apply(before.payment, before.open_operation, Expired(), cause=Cause.CLOCK, policy=policy, at=at)
    await commit_change(gw, before, change)


async def force(stack: GatewayStack, payment_id: str, state: State, *, expired_ago: timedelta | None = None) -> None:
    """Put a payment into a state as an operator with a database client would: no event, the same version."""
    before = await stored(stack, payment_id)
    expired_at = None if expired_ago is None else stack.gateway.clock.now() - expired_ago
    captured = before.money.amount if state is State.CAPTURED else before.captured
    after = replace(before, state=state, captured=captured, expired_at=expired_at)
    await stack.gateway.store.commit(
        "acme", [statements.update_payment(before, after, open_before=None, open_after=None)]
    )


async def change_store(stack: GatewayStack, sql: str) -> None:
    """Change the database behind the gateway's back; in a thread, because its writer needs our loop to finish."""

    def change() -> None:
        database = sqlite3.connect(stack.store_file, isolation_level=None)
        database.execute(sql)
        database.close()

    await asyncio.to_thread(change)


FAIL, SUCCESS, PROCESSING = 0, 1, 2
NOT_PENDING = "payment_status_not_pending"


def refusal_of(reply: Reply) -> str | None:
    """The ``type`` of a refusal in the protocol's exact shape; None for 204 without a body."""
    if reply.status == 204:
        assert reply.text == ""
        return None
    assert reply.json == {"error": True, "code": reply.status, "type": reply.json["type"]}
    assert reply.headers["Content-Type"] == "application/json"
    return str(reply.json["type"])


def earlier() -> int:
    """A time an hour ago, in Unix milliseconds: no two callbacks of a test are the same bytes."""
    return int((time.time() - 3600) * 1000)
