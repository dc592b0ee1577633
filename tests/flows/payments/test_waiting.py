"""Who needs the end of an operation waits for it, wherever it is sent."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from msgspec.structs import replace

from gateway.core.payment import Repeatable, Status
from gateway.drivers.store import statements
from gateway.flows.payments import waiting
from tests.flows.test_several_nodes import Held, only_operation
from tests.support.stack import GatewayStack, psp_body
from tests.support.virtual_clock import VirtualClock


def test_pauses_grow_and_end_in_time() -> None:
    """The first are short; together they are as long as was asked for."""
    found = list(waiting.pauses(2.0))
    assert found[:3] == [0.02, 0.04, 0.08]
    assert max(found) == waiting.LONGEST_PAUSE
    assert sum(found) == pytest.approx(2.0)
    assert list(waiting.pauses(0.01)) == [0.01]


async def test_what_another_node_sends_is_waited_for(two: list[GatewayStack], clock: VirtualClock) -> None:
    """Until it has its outcome, or the time is over."""
    one, other = two
    held = Held(one.gateway)
    creating = asyncio.create_task(one.create(psp_body()))
    await held.begun.wait()
    operation = await only_operation(other.gateway)
    assert operation is not None
    late = asyncio.create_task(waiting.wait_for(other.gateway, operation, 1.0))
    await clock.advance(1.5)
    await late
    in_time = asyncio.create_task(waiting.wait_for(other.gateway, operation, 1000.0))
    await clock.advance(1.0)
    assert not in_time.done()
    held.let_go.set()
    assert (await creating).status == 201
    await clock.advance(waiting.LONGEST_PAUSE)
    await in_time


async def test_what_nobody_sends_is_not_waited_for(two: list[GatewayStack]) -> None:
    """An unknown outcome may take days."""
    one, other = two
    await one.faults("psp", silence="after_effect", times=1)
    assert (await one.create(psp_body())).status == 202
    operation = await only_operation(one.gateway)
    assert operation is not None
    assert operation.status is Status.UNKNOWN
    await waiting.wait_for(other.gateway, operation, 1000.0)


async def test_a_repetition_elsewhere_is_waited_for(two: list[GatewayStack], clock: VirtualClock) -> None:
    """As long as it may last: a lookup beside it would find less than its answer says."""
    one, other = two
    await one.faults("psp", silence="after_effect", times=1)
    payment_id = (await one.create(psp_body())).json["id"]
    snapshot = await one.gateway.store.payment("acme", payment_id)
    assert snapshot is not None
    operation, payment = snapshot.open_operation, snapshot.payment
    assert operation is not None
    until = clock.now() + timedelta(seconds=30)
    repeated = replace(operation, repeatable=Repeatable(digest="d", under_way_until=until))
    noted = statements.update_payment(payment, payment, open_before=operation, open_after=repeated)
    await one.gateway.store.commit("acme", [noted])
    waited = asyncio.create_task(waiting.wait_for(other.gateway, repeated, 1000.0))
    await clock.advance(29)
    assert not waited.done()
    await clock.advance(2)
    await waited
