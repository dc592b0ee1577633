"""The tenant API's surface: lists, problems, catalogue, the document and its page, operators' probes."""

from __future__ import annotations

import re

import pytest

from tests.support.factories.payments import PAYMENT_MEMBERS
from tests.support.stack import GatewayStack, creditkey_body, psp_body

shared = pytest.mark.asyncio(loop_scope="module")


# One payment


MEMBERS = frozenset(PAYMENT_MEMBERS)


@shared
async def test_the_shape_of_a_payment(shared_stack: GatewayStack) -> None:
    """A payment has exactly its documented members; a read shows no operation."""
    created = (await shared_stack.create(psp_body())).json
    assert set(created) == {*MEMBERS, "operation"}
    assert set(created["operation"]) == {"id", "kind", "status", "failure"}
    assert set(await shared_stack.payment(created["id"])) == MEMBERS
    times = [created[name] for name in ("created_at", "updated_at", "expires_at")]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one) for one in times)
    assert re.fullmatch(r"pay_[0-9a-f]{32}", created["id"])
    assert re.fullmatch(r"op_[0-9a-f]{32}", created["operation"]["id"])


@shared
async def test_the_shape_of_the_timeline(shared_stack: GatewayStack) -> None:
    """Each version is one line that says who caused it and what it moved."""
    payment = (await shared_stack.create(psp_body())).json
    await shared_stack.click(payment, "pay")
    events = await shared_stack.events(payment["id"])
    assert [(one["type"], one["version"], one["cause"], one["state_before"], one["state_after"]) for one in events] == [
        ("payment.created", 1, "tenant", None, "created"),
        ("payment.awaiting_customer", 2, "reply", "created", "awaiting_customer"),
        ("payment.captured", 3, "callback", "awaiting_customer", "captured"),
    ]
    assert all(
        set(one) == {"id", "type", "version", "cause", "state_before", "state_after", "at", "details"} for one in events
    )


@shared
async def test_sync_needs_a_provider_that_answers_lookups(shared_stack: GatewayStack) -> None:
    """A provider without a status query cannot be synced: 422 ``unsupported_by_provider``."""
    payment = (await shared_stack.create(psp_body())).json
    reply = await shared_stack.call("POST", f"/v1/payments/{payment['id']}/sync", {})
    assert (reply.status, reply.json["code"]) == (422, "unsupported_by_provider")


@shared
async def test_sync_is_rate_limited(shared_stack: GatewayStack) -> None:
    """One payment cannot be synced without end: 429 says when again."""
    payment = (await shared_stack.create(creditkey_body())).json
    path = f"/v1/payments/{payment['id']}/sync"
    replies = [await shared_stack.call("POST", path, {}) for _ in range(10)]
    assert replies[0].status == 200
    assert (replies[-1].status, replies[-1].json["code"]) == (429, "rate_limited")
    assert int(replies[-1].headers["Retry-After"]) >= 1
