"""Checks and callbacks of gateways that share a store: each is done by one of them, and by another where one fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import Unavailable
from gateway.core.wire import HttpRequest, HttpResponse
from gateway.drivers.clock import milliseconds
from gateway.drivers.store.nodes import LEASE
from gateway.drivers.store.statements import Statement
from gateway.flows import claims
from gateway.flows.background import inbox_retry, reconcile
from gateway.flows.background.nodes import LOOK_SECONDS
from gateway.flows.callbacks import apply
from tests.support.clients.psp_callbacks import call_back, new_payment
from tests.support.factories.deliveries import a_clock
from tests.support.passing_time import run_due_checks
from tests.support.scenarios.creditkey import awaiting, idle, lookups, provider_order
from tests.support.scenarios.inbox import rows
from tests.support.several_gateways import pass_time, several_gateways
from tests.support.stack import GatewayStack, psp_body
from tests.support.virtual_clock import VirtualClock

FIRST_POLL, FIRST_RETRY = 5 * 60, 2


@pytest.fixture
def clock() -> VirtualClock:
    """Everybody's clock."""
    return a_clock()


@pytest.fixture
async def four(tmp_path: Path, clock: VirtualClock, shared_url: str | None) -> AsyncIterator[list[GatewayStack]]:
    """Four gateways on one store."""
    async with several_gateways(tmp_path, 4, clock=clock, url=shared_url) as stacks:
        yield stacks


async def until_looked_up(stacks: list[GatewayStack], payments: list[Any]) -> None:
    """Let the gateways work until the provider was asked about each payment, and nobody asks further."""
    async with asyncio.timeout(10):
        while not all([await lookups(stacks[0], payment) for payment in payments]):
            wake(stacks)
    for stack in stacks:
        await stack.gateway.tasks.drain(10)


def wake(stacks: list[GatewayStack]) -> None:
    """Let every gateway look for what is due."""
    for stack in stacks:
        stack.gateway.check_timer.no_later_than(0)
        stack.gateway.inbox_timer.no_later_than(0)


async def left(stack: GatewayStack, kind: str = "check") -> list[tuple[Any, ...]]:
    """What is claimed still."""
    return await stack.gateway.store._engine.rows("SELECT id FROM claims WHERE kind = ?", (kind,))


async def test_a_check_is_made_by_one(four: list[GatewayStack], clock: VirtualClock) -> None:
    """Payments of every gateway are due at once, all four look: the provider is asked once about each."""
    payments = [await awaiting(stack) for stack in four for _ in range(3)]
    await pass_time(four, clock, FIRST_POLL)
    await until_looked_up(four, payments)
    await pass_time(four, clock, 2 * LOOK_SECONDS)
    await until_looked_up(four, payments)
    assert [await lookups(four[0], payment) for payment in payments] == [1] * len(payments)
    assert await left(four[0]) == []


async def test_a_check_that_fails_is_made_by_another(
    tmp_path: Path, clock: VirtualClock, shared_url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given up at once, while the process that failed waits before it tries anything again."""

    async def refuse(*_: Any) -> None:
        raise Unavailable("the store cannot be written")

    monkeypatch.setattr(reconcile, "run", idle)
    async with several_gateways(tmp_path, clock=clock, url=shared_url) as (one, other):
        payment = await awaiting(one)
        one.gateway.store.prove_writable = refuse  # type: ignore[method-assign]
        await pass_time((one, other), clock, FIRST_POLL)
        [failing] = await reconcile.start_due(one.gateway)
        async with asyncio.timeout(10):
            while await left(one):
                pass
        assert not failing.done()
        assert await run_due_checks(other.gateway) == 1
        assert await lookups(other, payment) == 1
        await clock.advance(reconcile.STORE_RETRY_SECONDS)


async def test_a_tenant_whose_checks_cannot_be_claimed_holds_up_nobody_else(
    tmp_path: Path, clock: VirtualClock, shared_url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others' are begun, and looked after when they end; its own are, as soon as they can be claimed."""
    monkeypatch.setattr(reconcile, "run", idle)
    async with several_gateways(tmp_path, 1, clock=clock, url=shared_url) as (stack,):
        gw, tenants = stack.gateway, ("acme", "globex", "acme")
        for tenant in tenants:
            assert (await stack.create(psp_body(), tenant=tenant)).status == 201
        claim = gw.store.claim

        async def refused_to_acme(tenant: str, statement: Statement) -> Any:
            if tenant == "acme":
                raise Unavailable("planted")
            return await claim(tenant, statement)

        clock.set(clock.now() + timedelta(hours=25))
        await gw.node.renew(stack.settings.digest, stack.url)
        gw.check_timer.reset(milliseconds(clock.now()))
        with monkeypatch.context() as patched:
            patched.setattr(gw.store, "claim", refused_to_acme)
            assert await run_due_checks(gw) == 1
        assert gw.check_timer.moved.is_set()
        assert await run_due_checks(gw) == 2


async def test_what_is_asked_of_another_gateway_during_a_check_stands(
    four: list[GatewayStack], clock: VirtualClock
) -> None:
    """While one gateway waits for the answer to its lookup, the tenant cancels at another: that stays."""
    payment = await awaiting(four[0])
    asked, answered = asyncio.Event(), asyncio.Event()
    for stack in four:
        hold_lookups(stack, asked, answered)
    await pass_time(four, clock, FIRST_POLL)
    wake(four)
    await asyncio.wait_for(asked.wait(), 10)
    reply = await four[1].call("POST", f"/v1/payments/{payment['id']}/cancel", {}, key="key-of-the-cancel")
    assert (reply.status, reply.json["state"]) == (200, "canceled")
    answered.set()
    for stack in four:
        await stack.gateway.tasks.drain(10)
    now = await four[2].payment(payment["id"])
    assert (now["state"], now["version"]) == ("canceled", reply.json["version"])
    assert (await provider_order(four[0], payment))["status"] == "canceled"
    assert await left(four[0]) == []


def hold_lookups(stack: GatewayStack, asked: asyncio.Event, answered: asyncio.Event) -> None:
    """Keep the answers to a gateway's lookups back."""
    send = stack.gateway.send

    async def held(request: HttpRequest, **how: Any) -> HttpResponse:
        response = await send(request, **how)
        if "find_order" in request.url:
            asked.set()
            await answered.wait()
        return response

    stack.gateway.send = held  # type: ignore[assignment]


async def test_what_is_claimed_too_late_is_not_begun(
    four: list[GatewayStack], clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to the claim comes when the lease is over: another may have it before this process begins."""
    gw = four[0].gateway
    claim, by = gw.store.claim, gw.node.claimant()

    async def slow_claim(tenant: str, statement: Statement) -> Any:
        rows = await claim(tenant, statement)
        clock.set(clock.now() + LEASE)
        return rows

    async def read(ids: Collection[str]) -> dict[str, str]:
        return {identifier: identifier for identifier in ids}

    assert await claims.take(gw, "check", by, "acme", ["pay_1"], read) == ["pay_1"]
    monkeypatch.setattr(gw.store, "claim", slow_claim)
    assert await claims.take(gw, "check", by, "acme", ["pay_1"], read) == []


async def test_a_callback_is_retried_by_one(
    four: list[GatewayStack], clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was proved and could not be applied; four gateways find it due, and it is judged again once."""

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a mistake")

    payment = await new_payment(four[0])
    with monkeypatch.context() as patched:
        patched.setattr(apply, "evaluate", broken)
        assert (await call_back(four[1], payment)).status == 204
        [row] = await rows(four[0])
        assert (row.verdict, row.next_attempt_at is not None) == ("pending", True)
    await pass_time(four, clock, FIRST_RETRY)
    wake(four)
    await four[0].webhook(payment["id"], "payment.captured")
    [row] = await rows(four[0])
    assert (row.verdict, len(row.history)) == ("recorded", 1)
    async with asyncio.timeout(10):
        while await left(four[0], "callback"):
            pass


async def test_the_inbox_is_not_read_over_and_over_while_another_holds_a_callback(
    four: list[GatewayStack], clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is due and claimed elsewhere is looked at again after a pause."""
    gw, due_at = four[0].gateway, clock.now()

    async def due_now() -> datetime:
        return due_at

    monkeypatch.setattr(gw.store.inbox, "next_due", due_now)
    assert await inbox_retry._next_due(gw) == milliseconds(due_at + inbox_retry.CLAIMED_BY_OTHERS)
