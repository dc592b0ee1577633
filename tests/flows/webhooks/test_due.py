"""Webhooks of gateways that share a store: each attempt is made by one, in order, also when one of them dies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import Unavailable
from gateway.drivers.clock import milliseconds
from gateway.drivers.store import claims, nodes
from gateway.drivers.store.claims import Claimant
from gateway.drivers.store.nodes import LEASE, MARGIN
from gateway.drivers.store.statements import NO_TENANT, Statement
from gateway.flows.background.nodes import LOOK_SECONDS
from gateway.flows.runtime import Gateway
from gateway.flows.webhooks import dispatch, redelivery
from tests.drivers.test_store_nodes import node_row
from tests.support.factories.deliveries import LATE, SCHEDULE, Held, a_clock, created, look, rows_when, until
from tests.support.several_gateways import pass_time, several_gateways
from tests.support.stack import GatewayStack
from tests.support.virtual_clock import VirtualClock

Stacks = list[GatewayStack]
LEASE_SECONDS = LEASE.total_seconds()


@pytest.fixture
def clock() -> VirtualClock:
    """Everybody's clock."""
    return a_clock()


@pytest.fixture
async def two(tmp_path: Path, clock: VirtualClock, shared_url: str | None) -> AsyncIterator[Stacks]:
    """Two gateways on one store; ``webhook_answer`` of the first is the endpoint's."""
    async with several_gateways(tmp_path, clock=clock, url=shared_url) as stacks:
        yield stacks


async def look_all(stacks: Stacks) -> None:
    """Let every gateway look for webhooks to send."""
    for stack in stacks:
        await look(stack)


def arrived(stack: GatewayStack) -> list[tuple[str, int]]:
    """(payment, version) of each attempt that was answered, in order."""
    told = [json.loads(body)["data"]["payment"] for _, _, body in stack.webhook_attempts]
    return [(payment["id"], payment["version"]) for payment in told]


def stop_renewing(gw: Gateway) -> None:
    """Keep a gateway from staying a node, as a network that is cut does."""

    async def refuse() -> int:
        raise Unavailable("the store cannot be read")

    gw.store.nodes.database_clock = refuse  # type: ignore[method-assign]


class SlowFailure(Held):
    """An endpoint that keeps everybody waiting, and then fails."""

    async def answer(self, request: Any) -> int:
        await super().answer(request)
        return 500


async def test_all_have_looked_once_before_a_test_begins(
    tmp_path: Path, shared_url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one might find by its first look what the test leaves to another."""
    wake, begun, looked = dispatch.wake, [], []

    async def noted(gw: Gateway) -> None:
        begun.append(gw)
        await wake(gw)
        looked.append(gw)

    monkeypatch.setattr(dispatch, "wake", noted)
    async with several_gateways(tmp_path, url=shared_url) as stacks:
        assert len(begun) == len(looked) == len(stacks)


async def test_an_attempt_is_made_once_however_slow_the_endpoint(
    tmp_path: Path, clock: VirtualClock, shared_url: str | None
) -> None:
    """Four gateways, an endpoint that takes three leases for an answer: each attempt number arrives once."""
    async with several_gateways(tmp_path, 4, clock=clock, url=shared_url) as stacks:
        first, second = SlowFailure(), SlowFailure()
        stacks[0].webhook_answer = first.answer
        payments = [await created(stack) for stack in stacks]
        await until(stacks[0], lambda: len(first.arrived) == len(payments))
        await pass_time(stacks, clock, 3 * LEASE_SECONDS)
        await look_all(stacks)
        assert len(first.arrived) == len(payments)
        first.release()
        for payment in payments:
            rows = await rows_when(stacks[0], payment["id"], lambda rows: [len(row.attempts) for row in rows] == [1, 1])
        stacks[0].webhook_answer = second.answer
        await pass_time(stacks, clock, LATE * SCHEDULE[1])
        await look_all(stacks)
        await until(stacks[0], lambda: len(second.arrived) == 2 * len(payments))
        await pass_time(stacks, clock, 3 * LEASE_SECONDS)
        await look_all(stacks)
        assert len(set(second.arrived)) == len(second.arrived) == 2 * len(payments)
        second.release()
        for payment in payments:
            rows = await rows_when(stacks[0], payment["id"], lambda rows: [len(row.attempts) for row in rows] == [2, 2])
            assert {row.tries for row in rows} == {2}
        assert len(set(first.arrived)) == len(first.arrived) == 2 * len(payments)


async def test_first_attempts_keep_their_order_across_gateways(two: Stacks) -> None:
    """Version 1 is under way at the gateway that made the payment, version 3 comes to the other: it waits its turn."""
    held = Held()
    two[0].webhook_answer = held.answer
    payment = await created(two[1])
    await until(two[1], lambda: len(held.arrived) == 1)
    await two[0].click(payment, "pay")
    await look_all(two)
    assert held.arrived == [(payment["id"], 1)]
    held.release()
    await two[0].webhook(payment["id"], "payment.captured")
    assert held.arrived == [(payment["id"], version) for version in (1, 2, 3)]


async def test_what_a_dead_process_had_claimed_is_sent_when_its_lease_is_over(two: Stacks, clock: VirtualClock) -> None:
    """Not a moment before, and once."""
    two[0].webhook_answer = lambda _: 500
    payment = await created(two[0])
    await rows_when(two[0], payment["id"], lambda rows: [len(row.attempts) for row in rows] == [1, 1])
    dead, now = two[1].gateway, clock.now()
    lives_until = milliseconds(now + timedelta(seconds=SCHEDULE[1]) * 2 + LEASE)
    rows = await two[0].gateway.store.deliveries.of_payment("acme", payment["id"])
    await dead.store.commit(NO_TENANT, [nodes.renew(node_row("node_dead", alive_until=lives_until))])
    identifiers = [row.id for row in rows]
    await dead.store.claim("acme", claims.claim_ids("webhook", Claimant("node_dead", now), "acme", identifiers))
    two[0].webhook_answer, tried = lambda _: 204, len(two[0].webhook_attempts)
    await pass_time(two, clock, (lives_until - milliseconds(now)) / 1000 - 1)
    await look_all(two)
    assert len(two[0].webhook_attempts) == tried
    await pass_time(two, clock, 1 + LOOK_SECONDS)
    rows = await rows_when(two[0], payment["id"], lambda rows: all(row.status == "delivered" for row in rows))
    await look_all(two)
    assert len(two[0].webhook_attempts) == tried + len(rows)


async def test_an_outcome_that_comes_after_a_take_over_changes_nothing(
    two: Stacks, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Who could not renew had an attempt under way; the other's outcome stands, whatever comes of the first."""
    held = SlowFailure(lambda payment: payment["version"] == 1)
    two[0].webhook_answer = held.answer
    payment = await created(two[0])
    await until(two[0], lambda: len(held.arrived) == 1)
    stop_renewing(two[0].gateway)
    two[0].webhook_answer = lambda _: 204
    await pass_time(two[1:], clock, LEASE_SECONDS + LOOK_SECONDS)
    await rows_when(two[1], payment["id"], lambda rows: all(row.status == "delivered" for row in rows))
    held.release()
    await until(two[1], lambda: "an outcome came too late" in caplog.messages)
    rows = await rows_when(two[1], payment["id"], lambda _: True)
    assert [(row.status, len(row.attempts)) for row in rows] == [("delivered", 1)] * 2


async def test_a_process_without_its_lease_begins_nothing(two: Stacks, clock: VirtualClock) -> None:
    """It keeps quiet though its store works again; the other sends what it wrote."""
    stop_renewing(two[0].gateway)
    await pass_time(two[1:], clock, LEASE_SECONDS - MARGIN.total_seconds())
    sent: list[Gateway] = []
    for stack in two:
        note_sender(stack.gateway, sent)
    payment = await created(two[0])
    await look_all(two)
    await rows_when(two[1], payment["id"], lambda rows: all(row.status == "delivered" for row in rows))
    assert sent == [two[1].gateway] * 2


def note_sender(gw: Gateway, sent: list[Gateway]) -> None:
    """Note each attempt that a gateway makes."""
    deliver = gw.deliver

    async def noted(*arguments: Any, **named: Any) -> Any:
        sent.append(gw)
        return await deliver(*arguments, **named)

    gw.deliver = noted  # type: ignore[assignment]


async def test_what_was_done_between_a_look_and_the_claim_is_not_done_again(two: Stacks, clock: VirtualClock) -> None:
    """One gateway has seen that a webhook is due; before it claims it the other sends it, and is done with it."""
    two[0].webhook_answer = lambda _: 500
    payment = await created(two[0])
    await rows_when(two[0], payment["id"], lambda rows: [len(row.attempts) for row in rows] == [1, 1])
    gw = two[1].gateway
    (claim_first, claim), seen, done = [one.gateway.store.claim for one in two], asyncio.Event(), asyncio.Event()

    async def wait_first(tenant: str, statement: Statement) -> Any:
        if statement.params[0] == "webhook":
            seen.set()
            await done.wait()
        return await claim(tenant, statement)

    async def wait_for_the_other(tenant: str, statement: Statement) -> Any:
        if statement.params[0] == "webhook":
            await seen.wait()
        return await claim_first(tenant, statement)

    gw.store.claim = wait_first  # type: ignore[method-assign]
    two[0].gateway.store.claim = wait_for_the_other  # type: ignore[method-assign]
    two[0].webhook_answer, tried = lambda _: 204, len(two[0].webhook_attempts)
    clock.set(clock.now() + timedelta(seconds=LATE * SCHEDULE[1]))
    gw.webhook_timers["acme"].no_later_than(0)
    await asyncio.wait_for(seen.wait(), 10)
    rows = await rows_when(two[0], payment["id"], lambda rows: all(row.status == "delivered" for row in rows))
    gw.store.claim = claim  # type: ignore[method-assign]
    done.set()
    await look_all(two)
    async with asyncio.timeout(10):
        while await gw.store._engine.rows("SELECT id FROM claims WHERE kind = 'webhook'", ()):
            await look(two[1])
    assert len(two[0].webhook_attempts) == tried + len(rows)


async def test_a_disabled_endpoint_is_left_alone_by_all_and_enabled_for_all(two: Stacks) -> None:
    """410 to one gateway: the other sends nothing more; enabled there, both send again, and what was missed."""
    two[0].webhook_answer = lambda _: 410
    first = await created(two[0])
    await rows_when(two[0], first["id"], lambda rows: all(row.status == "dead" for row in rows))
    tried = len(two[0].webhook_attempts)
    second = await created(two[1])
    await rows_when(two[1], second["id"], lambda rows: all(row.status == "dead" for row in rows))
    assert len(two[0].webhook_attempts) == tried
    two[0].webhook_answer = lambda _: 204
    assert await redelivery.enable(two[1].gateway, "acme", redeliver=True) == 4
    for payment in (first, second):
        await rows_when(two[0], payment["id"], lambda rows: all(row.status == "delivered" for row in rows))
    third = await created(two[0])
    await rows_when(two[0], third["id"], lambda rows: all(row.status == "delivered" for row in rows))
    assert len(two[0].webhook_attempts) == tried + 6


@pytest.mark.parametrize("is_sent_again", [False, True])
async def test_what_is_under_way_to_an_endpoint_that_is_disabled_and_enabled_is_delivered_once(
    two: Stacks, is_sent_again: bool
) -> None:
    """One gateway waits for an answer; the other is told 410, gives up what waits, and an operator enables it."""
    held = Held()
    two[0].webhook_answer = held.answer
    first = await created(two[0])
    await until(two[0], lambda: len(held.arrived) == 1)
    two[0].webhook_answer = lambda _: 410
    second = await created(two[1])
    for payment in (first, second):
        await rows_when(two[0], payment["id"], lambda rows: all(row.status == "dead" for row in rows))
    two[0].webhook_answer = held.answer
    assert await redelivery.enable(two[1].gateway, "acme", redeliver=is_sent_again) == (4 if is_sent_again else 0)
    await look_all(two)
    held.release()
    wanted = ["delivered", "delivered" if is_sent_again else "dead"]
    await rows_when(two[0], first["id"], lambda rows: [row.status for row in rows] == wanted)
    await look_all(two)
    assert [version for payment, version in held.arrived if payment == first["id"]] == [1, 2][: 1 + is_sent_again]
    third = await created(two[0])
    await rows_when(two[0], third["id"], lambda rows: all(row.status == "delivered" for row in rows))


async def test_redelivery_asked_of_one_gateway_does_not_double_what_another_sends(two: Stacks) -> None:
    """While an attempt is under way, its webhook is asked for again elsewhere: it follows, and both are logged."""
    held = Held()
    two[0].webhook_answer = held.answer
    payment = await created(two[0])
    await until(two[0], lambda: len(held.arrived) == 1)
    (row, *_) = await two[1].gateway.store.deliveries.of_payment("acme", payment["id"])
    await redelivery.redeliver_one(two[1].gateway, "acme", row.id)
    await look_all(two)
    assert held.arrived == [(payment["id"], 1)]
    held.release()
    await rows_when(two[0], payment["id"], lambda rows: all(row.status == "delivered" for row in rows))
    assert held.arrived == [(payment["id"], 1), (payment["id"], 2)]
