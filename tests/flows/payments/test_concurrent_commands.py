"""Two commands at once, each order forced: one is made, the other is refused before it is sent."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from gateway.drivers.store.statements import Statement, Unit
from tests.support.passing_time import run_due_checks
from tests.support.scenarios.creditkey import (
    Gate,
    TimedStack,
    Wire,
    accept,
    act,
    authorized,
    calls,
    captured,
    provider_order,
    provider_orders_of,
    review_of,
    statuses,
    timeline,
    total_of,
)
from tests.support.stack import GatewayStack


def opens_operation(statement: Statement) -> bool:
    """Whether this is the write that reserves a command's operation; its third parameter is the operation."""
    return statement.sql.startswith("UPDATE payments SET open_operation")


class Reservations:
    """Holds the first ``crowd`` reservations of operations, so that all have judged before any is stored, then lets
    those of ``first`` through ahead of the others."""

    def __init__(self, stack: GatewayStack, crowd: int, first: str | None = None) -> None:
        self._commit = stack.gateway.store.commit
        self._crowd, self._first = crowd, first
        self._waiting = 0
        self._all_there, self._first_done = asyncio.Event(), asyncio.Event()
        stack.gateway.store.commit = self._hold

    async def _hold(self, tenant: str, unit: Unit) -> None:
        reserved = [one for one in unit if opens_operation(one)]
        if not reserved or self._all_there.is_set():
            return await self._commit(tenant, unit)
        self._waiting += 1
        if self._waiting == self._crowd:
            self._all_there.set()
        async with asyncio.timeout(10):
            await self._all_there.wait()
            return await self._commit_in_turn(tenant, unit, reserved[0])

    async def _commit_in_turn(self, tenant: str, unit: Unit, reserved: Statement) -> None:
        is_first = self._first in (None, json.loads(reserved.params[2])["kind"])
        if not is_first:
            await self._first_done.wait()
        try:
            await self._commit(tenant, unit)
        finally:
            if is_first:
                self._first_done.set()


class HeldReservation:
    """Holds the next reservation of an operation; later ones pass."""

    def __init__(self, stack: GatewayStack) -> None:
        self.gate = Gate()
        self._commit = stack.gateway.store.commit
        stack.gateway.store.commit = self._hold

    async def _hold(self, tenant: str, unit: Unit) -> None:
        if not self.gate.waiting and any(opens_operation(one) for one in unit):
            await self.gate.wait()
        await self._commit(tenant, unit)


@pytest.mark.parametrize(("first", "second"), [("capture", "cancel"), ("cancel", "capture")])
async def test_cancel_and_capture_at_once(stack: GatewayStack, first: str, second: str) -> None:
    """Both were judged on the same version: the one stored first is sent, the other is refused and never leaves."""
    payment = await authorized(stack)
    ended = {"capture": ("captured", "shipped"), "cancel": ("canceled", "canceled")}[first]
    Reservations(stack, 2, first)
    answer = Wire(stack).hold_request({"capture": "confirm_order", "cancel": "cancel_order"}[first])
    won, lost = asyncio.create_task(act(stack, payment, first)), asyncio.create_task(act(stack, payment, second))
    refused = await lost
    assert (refused.status, refused.json["code"]) == (409, "operation_outcome_pending")
    answer.open()
    assert ((await won).status, (await won).json["state"]) == (200, ended[0])
    assert (await provider_order(stack, payment))["status"] == ended[1]
    assert len(await calls(stack, payment, "confirm_order", "cancel_order")) == 1
    assert len(await timeline(stack, payment)) == payment["version"] + 1


async def test_a_cancel_while_a_capture_is_answered(stack: GatewayStack) -> None:
    """The order is confirmed, its answer still on the way: a cancel is refused before any call."""
    payment = await authorized(stack)
    gate = Wire(stack).hold_answer("confirm_order")
    shipping = asyncio.create_task(act(stack, payment, "capture"))
    await gate.reached()
    refused = await act(stack, payment, "cancel")
    assert (refused.status, refused.json["code"]) == (409, "operation_outcome_pending")
    gate.open()
    assert (await shipping).json["state"] == "captured"
    assert (await act(stack, payment, "cancel")).json["code"] == "invalid_state"
    assert await calls(stack, payment, "cancel_order") == []


async def test_two_refunds_at_once(stack: GatewayStack) -> None:
    """Two refunds that fit only one at a time: each was judged alone, one is made."""
    payment = await captured(stack)
    Reservations(stack, 2)
    replies = await asyncio.gather(*(act(stack, payment, "refund", {"amount": "600.00"}) for _ in range(2)))
    assert statuses(*replies)[0] == 201
    assert {reply.json["code"] for reply in replies if reply.status != 201} <= {
        "operation_outcome_pending",
        "amount_too_large",
    }
    assert (await provider_order(stack, payment))["refunded_amount"] == "600.00"
    assert await calls(stack, payment, "refund") == ["refund"]
    assert (await stack.payment(payment["id"]))["amount_refunded"] == "600.00"


async def test_a_refund_judged_before_another_was_made(stack: GatewayStack) -> None:
    """One refund was judged, another was made and answered before it was stored: it is judged anew, and refused."""
    payment = await captured(stack)
    held = HeldReservation(stack)
    judged = asyncio.create_task(act(stack, payment, "refund", {"amount": "600.00"}))
    await held.gate.reached()
    assert (await act(stack, payment, "refund", {"amount": "600.00"})).status == 201
    held.gate.open()
    assert ((await judged).status, (await judged).json["code"]) == (422, "amount_too_large")
    assert await calls(stack, payment, "refund") == ["refund"]


async def test_two_captures_at_once(stack: GatewayStack) -> None:
    """Ten captures under ten keys confirm one order once."""
    payment = await authorized(stack)
    Reservations(stack, 10)
    replies = await asyncio.gather(*(act(stack, payment, "capture") for _ in range(10)))
    assert statuses(*replies) == [200, *[409] * 9]
    assert await calls(stack, payment, "confirm_order") == ["confirm_order"]
    assert len(await timeline(stack, payment)) == payment["version"] + 1


async def test_two_successors_at_once(stack: GatewayStack) -> None:
    """Two rises over the limit under two keys begin one new checkout."""
    payment = await authorized(stack)
    Reservations(stack, 2)
    rise = total_of("1300.00", allow_new_checkout=True)
    replies = await asyncio.gather(*(act(stack, payment, "update", rise) for _ in range(2)))
    assert statuses(*replies) == [200, 409]
    [begun] = [reply for reply in replies if reply.status == 200]
    [refused] = [reply for reply in replies if reply.status == 409]
    assert refused.json["replaced_by"] == begun.json["replaced_by"]
    assert len(await provider_orders_of(stack, payment)) == 2


async def replaced(timed: TimedStack) -> tuple[Any, Any]:
    """A payment and the successor that its customer is about to accept."""
    stack = timed.stack
    old = await authorized(stack)
    reply = await act(stack, old, "update", total_of("1300.00", allow_new_checkout=True))
    return old, await stack.payment(reply.json["replaced_by"])


async def visit_that_waits(stack: GatewayStack) -> asyncio.Task[int]:
    """Work the agenda off; return when a visit has done what does not need the operation that is on its way."""
    waits, wait_for = asyncio.Event(), stack.gateway.tasks.wait_for

    async def noted(name: str, seconds: float) -> None:
        waits.set()
        await wait_for(name, seconds)

    stack.gateway.tasks.wait_for = noted
    visiting = asyncio.create_task(run_due_checks(stack.gateway))
    async with asyncio.timeout(10):
        await waits.wait()
    return visiting


async def test_the_tenant_cancels_the_old_order_as_its_successor_is_accepted(timed: TimedStack) -> None:
    """The tenant's own cancel is on its way when the gateway would cancel: one cancel, and nobody is alarmed."""
    stack = timed.stack
    old, successor = await replaced(timed)
    gate = Wire(stack).hold_answer("cancel_order")
    giving_up = asyncio.create_task(act(stack, old, "cancel"))
    await gate.reached()
    await stack.visit(await stack.approve(successor))
    visiting = await visit_that_waits(stack)
    assert (await review_of(stack, old), await review_of(stack, successor)) == (None, None)
    gate.open()
    assert (await giving_up).json["state"] == "canceled"
    await visiting
    await timed.advance(timedelta(hours=1))
    assert (await review_of(stack, old), await review_of(stack, successor)) == (None, None)
    assert await calls(stack, old, "cancel_order") == ["cancel_order"]


async def test_a_tenants_refused_cancel_is_noticed_later(timed: TimedStack) -> None:
    """When that cancel is declined after all, both payments wait for a person."""
    stack = timed.stack
    old, successor = await replaced(timed)
    await stack.faults("creditkey", operation="cancel_order", status=400)
    gate = Wire(stack).hold_answer("cancel_order")
    giving_up = asyncio.create_task(act(stack, old, "cancel"))
    await gate.reached()
    await stack.visit(await stack.approve(successor))
    visiting = await visit_that_waits(stack)
    gate.open()
    assert (await giving_up).json["operation"]["status"] == "declined"
    await visiting
    await timed.advance(timedelta(hours=1))
    assert await review_of(stack, old) == await review_of(stack, successor) == "two_live_orders"


async def test_both_cancel_the_old_order_at_once(timed: TimedStack) -> None:
    """The tenant and the gateway judged the same version: the old order is canceled once, and nobody is alarmed."""
    stack = timed.stack
    old, successor = await replaced(timed)
    await accept(stack, successor)
    Reservations(stack, 2)
    reply, _ = await asyncio.gather(act(stack, old, "cancel"), timed.run_due())
    assert reply.status in (200, 409)
    await timed.advance(timedelta(hours=1))
    assert (await stack.payment(old["id"]))["state"] == "canceled"
    assert (await review_of(stack, old), await review_of(stack, successor)) == (None, None)
    assert await calls(stack, old, "cancel_order") == ["cancel_order"]
