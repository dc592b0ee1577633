"""Payments are looked at again, named ones or a range, where the provider can be asked: one by one per account."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.core.views import rfc3339
from gateway.flows.payments import sync_range
from tests.support.clients.operators import desk, with_key
from tests.support.clients.psp_callbacks import new_payment
from tests.support.scenarios import creditkey
from tests.support.scenarios.creditkey import edit
from tests.support.stack import GatewayStack, Reply, running_stack


@pytest.fixture
async def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[GatewayStack]:
    """A running stack whose operators have a key, and which waits for nothing between two looks."""
    monkeypatch.setattr(sync_range, "PER_SECOND", 1e6)
    async with running_stack(tmp_path, change=with_key) as opened:
        yield opened


async def sync(stack: GatewayStack, **body: Any) -> Reply:
    """Look at a range again."""
    return await desk(stack, "POST", "/payments/sync", body)


async def refunded_elsewhere(stack: GatewayStack) -> Any:
    """A captured payment, of which a part went back at the provider's portal."""
    payment = await creditkey.captured(stack)
    await edit(stack, payment, refunded_amount="10.00")
    return payment


async def refunds(stack: GatewayStack, *payments: Any) -> list[str]:
    """What is known to have gone back."""
    return [(await stack.payment(one["id"]))["amount_refunded"] for one in payments]


async def test_a_range_is_counted_then_looked_at(stack: GatewayStack) -> None:
    """Also what no schedule asks for any more, such as captured payments; the act is in the audit trail."""
    payments = [await refunded_elsewhere(stack) for _ in range(2)]
    await new_payment(stack)
    account = {"tenant": "acme", "account": "creditkey-main", "count": 2}
    counted = await sync(stack, dry_run=True)
    assert (counted.status, counted.json) == (200, {"dry_run": True, "queued": 2, "data": [account]})
    assert await refunds(stack, *payments) == ["0.00", "0.00"]
    assert (await sync(stack, state="captured", reason="refunds by hand")).json["queued"] == 2
    await stack.gateway.tasks.drain(10)
    assert await refunds(stack, *payments) == ["10.00", "10.00"]
    [act, *_] = (await desk(stack, "GET", "/audit")).json["data"]
    assert (act["act"], act["reason"], act["details"]) == (
        "payments.sync",
        "refunds by hand",
        {"state": "captured", "count": 2},
    )


async def test_only_what_was_made_between_two_times(stack: GatewayStack) -> None:
    """Account, tenant and state narrow it further."""
    await refunded_elsewhere(stack)
    now = stack.gateway.clock.now()
    before, after = rfc3339(now - timedelta(hours=1)), rfc3339(now + timedelta(hours=1))
    for body, count in (
        ({"since": before, "until": after}, 1),
        ({"since": after}, 0),
        ({"until": before}, 0),
        ({"state": "authorized"}, 0),
        ({"tenant": "globex"}, 0),
        ({"account": "creditkey-main"}, 1),
    ):
        assert (await sync(stack, dry_run=True, **body)).json["queued"] == count, body


async def test_named_payments_are_looked_at(stack: GatewayStack) -> None:
    """Only these, each with a row of its own in the audit trail."""
    first, second = [await refunded_elsewhere(stack) for _ in range(2)]
    account = {"tenant": "acme", "account": "creditkey-main", "count": 1}
    counted = await sync(stack, payment_ids=[first["id"]], dry_run=True)
    assert (counted.status, counted.json) == (200, {"dry_run": True, "queued": 1, "data": [account]})
    asked = await sync(stack, payment_ids=[first["id"]], reason="the customer called")
    assert asked.json == {"dry_run": False, "queued": 1, "data": [account]}
    await stack.gateway.tasks.drain(10)
    assert await refunds(stack, first, second) == ["10.00", "0.00"]
    [act, *_] = (await desk(stack, "GET", f"/audit?payment_id={first['id']}")).json["data"]
    assert (act["act"], act["tenant"], act["reason"]) == ("payments.sync", "acme", "the customer called")


async def test_named_payments_go_before_a_range(stack: GatewayStack) -> None:
    """Each waits once."""
    payments = [(await refunded_elsewhere(stack))["id"] for _ in range(3)]
    stop = asyncio.Event()
    stack.gateway.tasks.start("sync of acme/creditkey-main", stop.wait())
    assert (await sync(stack)).json["queued"] == 3
    assert (await sync(stack, payment_ids=[payments[2]])).json["queued"] == 1
    assert list(stack.gateway.memory.to_look_at["acme", "creditkey-main"]) == [payments[2], *payments[:2]]
    stop.set()


async def test_every_named_payment_that_cannot_be_looked_at_is_named(stack: GatewayStack) -> None:
    """One that is not there, one of another tenant, one whose provider answers no lookups; nothing is queued then."""
    payment, unable = await refunded_elsewhere(stack), await new_payment(stack)
    for body, code, named in (
        ({"payment_ids": [payment["id"], "pay_1"]}, "validation_failed", ["$.payment_ids[1]"]),
        ({"payment_ids": [unable["id"]]}, "unsupported_by_provider", ["$.payment_ids[0]"]),
        (
            {"payment_ids": [payment["id"], unable["id"]], "tenant": "globex"},
            "validation_failed",
            ["$.payment_ids[0]", "$.payment_ids[1]"],
        ),
        ({"payment_ids": [payment["id"]], "state": "captured"}, "validation_failed", ["$.state"]),
        ({"payment_ids": []}, "validation_failed", ["$.payment_ids"]),
    ):
        reply = await sync(stack, **body)
        assert (reply.status, reply.json["code"]) == (422, code), reply.text
        assert [one["field"] for one in reply.json["errors"]] == named
    await stack.gateway.tasks.drain(10)
    assert await refunds(stack, payment) == ["0.00"]


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"account": "psp-main"}, "unsupported_by_provider", "$.account"),
        ({"account": "nobody"}, "validation_failed", "$.account"),
        ({"tenant": "nobody"}, "validation_failed", "$.tenant"),
        ({"state": "paid"}, "validation_failed", "$.state"),
    ],
)
async def test_what_cannot_be_looked_at_is_named(
    stack: GatewayStack, body: dict[str, str], code: str, field: str
) -> None:
    """422 by the member."""
    reply = await sync(stack, **body)
    assert (reply.status, reply.json["code"], reply.json["errors"][0]["field"]) == (422, code, field)


async def test_a_range_is_bounded(stack: GatewayStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many nothing is queued."""
    monkeypatch.setattr(sync_range, "MOST_QUEUED", 1)
    payments = [await refunded_elsewhere(stack) for _ in range(2)]
    assert (await sync(stack)).status == 422
    await stack.gateway.tasks.drain(10)
    assert await refunds(stack, *payments) == ["0.00", "0.00"]


async def test_a_provider_that_fails_does_not_end_the_queue(stack: GatewayStack) -> None:
    """The payment is passed over; the next one is looked at."""
    payments = [await refunded_elsewhere(stack) for _ in range(2)]
    await stack.faults("creditkey", operation="find_order", status=503, times=1)
    assert (await sync(stack)).json["queued"] == 2
    await stack.gateway.tasks.drain(10)
    assert sorted(await refunds(stack, *payments)) == ["0.00", "10.00"]
