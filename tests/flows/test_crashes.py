"""The process dies at every boundary: before and after each commit and each call to a provider.

A fuse ends the process at its n-th boundary, for every n until the story is told to its end. Then a new process opens
the same store. What had begun is unknown or settled and is never sent again, whatever the tenant repeats; and the
story can be brought to its proper end.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.core.documents import amount_hook
from gateway.core.errors import TenantError
from gateway.core.facts import Recorded, Repeated
from gateway.core.payment import Operation, Payment, State, Status
from gateway.core.request_bodies import CaptureBody, CreateBody
from gateway.core.wire import Callback
from gateway.drivers.store.reads import PaymentFilter
from gateway.drivers.store.sqlite import open_sqlite
from gateway.flows.callbacks import receive
from gateway.flows.payments import create, lookup, modify, submit
from gateway.flows.payments.idempotency import Answer, Claim
from gateway.flows.runtime import Gateway
from tests.support.clients.psp_callbacks import credentials, signed_body
from tests.support.stack import GatewayStack, creditkey_body, psp_body
from tests.support.virtual_clock import START

CALLS = {
    "create": ("begin_standalone_checkout", "pay/url"),
    "complete": ("complete_checkout",),
    "capture": ("confirm_order",),
}
"""How each kind of operation shows in the path of a request at the far side."""


class Crash(BaseException):
    """The process is gone."""


class Fuse:
    """Counts boundaries and ends the process at one of them; a dead process passes no further one."""

    def __init__(self, at: int | None) -> None:
        self.at = at
        self.passed = 0
        self.is_blown = False

    def boundary(self) -> None:
        """Pass, or die."""
        self.passed += 1
        if self.passed == self.at:
            self.is_blown = True
        if self.is_blown:
            raise Crash

    def around(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """The same call with a boundary before and after its effect."""

        async def guarded(*args: Any, **kwargs: Any) -> Any:
            self.boundary()
            done = await call(*args, **kwargs)
            self.boundary()
            return done

        return guarded


class LeapingClock:
    """A clock that moves only when somebody sleeps, and then at once."""

    def __init__(self) -> None:
        self._now = START

    def now(self) -> datetime:
        """The time."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Leap."""
        self._now += timedelta(seconds=seconds)


@dataclass
class World:
    """What outlives a process: the store's file, the far sides, the time, and what the tenant remembers."""

    stack: GatewayStack
    path: Path
    name: str
    clock: LeapingClock = field(default_factory=LeapingClock)
    requests_before: dict[str, int] = field(default_factory=dict)

    def claim(self, what: str) -> Claim:
        """The tenant's request for one thing, always under the same key."""
        return Claim(tenant="acme", idempotency_key=f"key-{what}-{self.name}", fingerprint=what)

    async def sent(self) -> dict[str, int]:
        """How many requests of each kind the far sides have received in this story."""
        found = [one["path"] for side in ("psp", "creditkey") for one in await self.stack.provider_requests(side)]
        counts = {kind: sum(path.endswith(ends) for path in found) for kind, ends in CALLS.items()}
        return {kind: count - self.requests_before.get(kind, 0) for kind, count in counts.items()}


@contextlib.asynccontextmanager
async def process(world: World, fuse: Fuse) -> AsyncIterator[Gateway]:
    """One life of the gateway: start on the store that is there, and let go of it as a dead process does."""
    await world.clock.sleep(1)  # ids of one millisecond are in order within one process only
    store = await open_sqlite(world.path)
    try:
        store.commit = fuse.around(store.commit)  # a boundary around each
        gw = Gateway(
            settings=world.stack.settings,
            store=store,
            send=fuse.around(world.stack.gateway.send),
            clock=world.clock,
        )
        gw.public_url = world.stack.url
        await submit.recover(gw)
        yield gw
    finally:
        await store.close()


async def only_payment(gw: Gateway) -> Payment | None:
    """The payment of this story, if it exists."""
    found = await gw.store.payments("acme", PaymentFilter(limit=9))
    assert len(found) <= 1
    return found[0].payment if found else None


async def payment_of(gw: Gateway) -> Payment:
    """The payment of this story."""
    payment = await only_payment(gw)
    assert payment is not None
    return payment


# The stories: what the tenant and the customer do, each step repeatable

Step = Callable[[World, Gateway], Awaitable[None]]


def creating(body: Callable[..., dict[str, Any]]) -> Step:
    """The tenant creates a payment."""

    async def step(world: World, gw: Gateway) -> None:
        given = msgspec.convert(body(merchant_reference=world.name), CreateBody, dec_hook=amount_hook)
        await create.create(gw, gw.tenant("acme"), world.claim("create"), given)

    return step


async def customer_returns(world: World, gw: Gateway) -> None:
    """The customer accepts at Credit Key and the browser comes back."""
    payment = await payment_of(gw)
    await world.stack.call_provider("creditkey", "POST", f"/checkout/{payment.provider_reference}/approve")
    hit = Callback(
        method="GET",
        suffix="return",
        query=f"key={payment.provider_reference}",
        headers=(),
        body=b"",
        remote="127.0.0.1",
        received_at=gw.clock.now(),
        payment_id=payment.id,
    )
    assert await receive.accept(gw, receive.verify(gw, gw.entry(payment), hit)) == Recorded()


async def goods_ship(world: World, gw: Gateway) -> None:
    """The tenant captures."""
    payment = await payment_of(gw)
    await modify.capture(gw, world.claim("capture"), payment.id, CaptureBody())


async def customer_pays(world: World, gw: Gateway) -> None:
    """The PSP says that the customer has paid, as often as it gets no success."""
    payment = await payment_of(gw)
    _, token = credentials(world.stack)
    told = {"id": payment.id, "amount": payment.money.text(), "currency": payment.money.currency}
    said = Callback(
        method="POST",
        suffix="pay/callback",
        query="",
        headers=(("crm-pay-token", token), ("Content-Type", "application/json")),
        body=signed_body(world.stack, told, time=int(gw.clock.now().timestamp() * 1000)),
        remote="127.0.0.1",
        received_at=gw.clock.now(),
    )
    assert isinstance(await receive.accept(gw, receive.verify(gw, gw.entry(payment), said)), Recorded | Repeated)


STORIES: dict[str, tuple[Step, ...]] = {
    "psp": (creating(psp_body), customer_pays),
    "creditkey": (creating(creditkey_body), customer_returns, goods_ship),
}


async def tell_story(world: World, gw: Gateway, fuse: Fuse, steps: tuple[Step, ...]) -> bool:
    """Tell a story; whether it came to its end before the process died."""
    for step in steps:
        with contextlib.suppress(Crash):
            await step(world, gw)
        await gw.tasks.drain(10)
        if fuse.is_blown:
            return False
    return True


# What must be so when the next process has started


async def check_store(gw: Gateway) -> list[Operation]:
    """Nothing is on its way, every version has its event, every key its operation. Returns the operations."""
    assert await gw.store.open_operations(Status.SENDING) == []
    payment = await only_payment(gw)
    if payment is None:
        return []
    operations = await gw.store.operations("acme", payment.id)
    assert operations, "a payment without an operation"
    events = [event for _, event in await gw.store.events("acme", payment.id)]
    assert [event.version for event in events] == list(range(1, payment.version + 1))
    assert events[-1].state_after is payment.state
    webhooks = await gw.store.deliveries.of_payment("acme", payment.id)
    assert [row.version for row in webhooks] == [event.version for event in events]
    return operations


async def check_repetition(world: World, gw: Gateway, claim: Claim, again: Callable[[], Awaitable[Answer]]) -> None:
    """A request that had begun is answered from the store: 409 while young, then 202, or the stored answer."""
    row = await gw.store.idempotency_record("acme", claim.idempotency_key)
    if row is None:
        return
    assert await gw.store.operation("acme", row.operation_id) is not None
    before = await world.sent()
    if row.answer is not None:
        assert (await again()).body.decode() == row.answer
    else:
        with pytest.raises(TenantError) as young:
            await again()
        assert young.value.code == "request_in_progress"
        await gw.clock.sleep(gw.settings.timeouts.tenant_answer)
        assert (await again()).status == 202
    assert await world.sent() == before


async def check_restart(world: World, gw: Gateway, body: Callable[..., dict[str, Any]]) -> None:
    """Everything that must be so before anybody repairs anything."""
    operations = await check_store(gw)
    sent = await world.sent()
    for kind in CALLS:
        assert sent[kind] <= sum(one.kind == kind for one in operations), f"{kind} was sent more often than begun"
    given = msgspec.convert(body(merchant_reference=world.name), CreateBody, dec_hook=amount_hook)
    claim = world.claim("create")
    await check_repetition(world, gw, claim, lambda: create.create(gw, gw.tenant("acme"), claim, given))
    payment = await only_payment(gw)
    if payment is not None:
        claim, shipped = world.claim("capture"), payment.id
        await check_repetition(world, gw, claim, lambda: modify.capture(gw, claim, shipped, CaptureBody()))


async def lives_until(world: World, at: int, creditkey: str) -> bool:
    """One life that ends at its n-th boundary at the latest; whether its story came to the end."""
    world.requests_before = await world.sent()
    fuse = Fuse(at)
    async with process(world, fuse) as gw:
        return await tell_story(world, gw, fuse, STORIES[creditkey])


def worlds(stack: GatewayStack, tmp_path: Path, creditkey: str) -> list[World]:
    """A fresh world for each boundary a story could have."""
    return [World(stack, tmp_path / creditkey / str(n) / "gateway.db", f"{creditkey}-{n:04}") for n in range(1, 100)]


# PSP: one create, one callback


async def test_a_psp_payment_survives_a_crash_at_every_boundary(stack: GatewayStack, tmp_path: Path) -> None:
    """Wherever the process dies: what began is not sent again, and the callback brings the payment to its end."""
    for boundary, world in enumerate(worlds(stack, tmp_path, "psp"), start=1):
        if await lives_until(world, boundary, "psp"):
            break
        async with process(world, Fuse(None)) as gw:
            await check_restart(world, gw, psp_body)
            had_begun = await only_payment(gw) is not None
            if not had_begun:
                await creating(psp_body)(world, gw)
            await customer_pays(world, gw)
            payment = await payment_of(gw)
            assert (payment.state, payment.captured) == (State.CAPTURED, payment.money.amount), boundary
            operations = await check_store(gw)
            assert [one.status for one in operations] == [Status.SUCCEEDED], boundary
            assert (await world.sent())["create"] <= 1
    assert boundary > 8


# Credit Key: a create, a completion, a capture


async def ask_until_settled(gw: Gateway) -> None:
    """Look as reconcile does, a quiet period apart, until nothing is open or nothing can be learnt."""
    payment = await payment_of(gw)
    for _ in range(4):
        await gw.clock.sleep(gw.settings.clocks.quiet_period.total_seconds() + 1)
        await lookup.follow_up(gw, "acme", payment.id, hinted=True)
        await gw.tasks.drain(10)


async def provider_order(world: World) -> Any:
    """Credit Key's own record of this story's order; None where it has none."""
    orders = await world.stack.provider_orders("creditkey")
    return next((order for order in orders if world.name in str(order)), None)


async def bring_to_the_end(world: World, gw: Gateway) -> None:
    """What tenant, customer and reconcile do after a crash, under new keys where the old command was not done."""
    if await only_payment(gw) is None:
        await creating(creditkey_body)(world, gw)
    await ask_until_settled(gw)
    if (await payment_of(gw)).provider_reference is None:
        return
    await customer_returns(world, gw)
    await gw.tasks.drain(10)
    await ask_until_settled(gw)
    payment = await payment_of(gw)
    if payment.state is State.AUTHORIZED:
        answer = await modify.capture(gw, world.claim("capture-again"), payment.id, CaptureBody())
        assert answer.status == 200


async def test_a_credit_key_payment_survives_a_crash_at_every_boundary(stack: GatewayStack, tmp_path: Path) -> None:
    """Wherever the process dies: nothing that began is sent again, and the order is begun and captured once."""
    for boundary, world in enumerate(worlds(stack, tmp_path, "creditkey"), start=1):
        if await lives_until(world, boundary, "creditkey"):
            break
        async with process(world, Fuse(None)) as gw:
            await check_restart(world, gw, creditkey_body)
            await bring_to_the_end(world, gw)
            payment, order, sent = await payment_of(gw), await provider_order(world), await world.sent()
            operations = await check_store(gw)
            assert sent["create"] <= 1
            assert sent["capture"] <= 1
            if order is None:
                assert [(one.kind, one.status) for one in operations] == [("create", "unknown")], boundary
            else:
                assert (payment.state, payment.captured) == (State.CAPTURED, payment.money.amount), boundary
                assert {one.status for one in operations} <= {Status.SUCCEEDED, Status.DECLINED}, boundary
            for kind in CALLS:
                assert sent[kind] <= sum(one.kind == kind for one in operations), (boundary, kind)
    assert boundary > 25


async def test_a_crash_while_starting_again_loses_nothing(stack: GatewayStack, tmp_path: Path) -> None:
    """A process that dies while it turns what was on its way into unknown leaves that to the next one."""
    world = World(stack, tmp_path / "gateway.db", "start-0001")
    world.requests_before = await world.sent()
    assert not await lives_until(world, 4, "psp")  # boundaries: around the reserving commit, around the sending
    assert (await world.sent())["create"] == 1
    for at in (1, 2):
        with contextlib.suppress(Crash):
            async with process(world, Fuse(at)):
                pytest.fail("it should have died")
    async with process(world, Fuse(None)) as gw:
        operations = await check_store(gw)
        assert [(one.status, one.note) for one in operations] == [(Status.UNKNOWN, "the gateway stopped")]
        assert (await world.sent())["create"] == 1
