"""The process dies at every boundary of a PSP payment: before and after each commit and each call to the provider.

For every n, a fuse ends the process at its n-th boundary. Then a new process opens the same store: what had begun is
unknown or resolved and is never sent again, and the payment can still be completed. The simulation and the real crashes
(``tests/simulation``, ``tests/crash``) do the same to all commands of both providers.
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
from gateway.core.request_bodies import CreateBody
from gateway.core.wire import Callback
from gateway.drivers.store.reads import PaymentFilter
from gateway.drivers.store.sqlite import open_sqlite
from gateway.flows.callbacks import receive
from gateway.flows.payments import create, submit
from gateway.flows.payments.idempotency import Answer, Claim
from gateway.flows.runtime import Gateway
from tests.support.clients.psp_callbacks import credentials, signed_body
from tests.support.stack import GatewayStack, psp_body
from tests.support.virtual_clock import START


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
        """Move the time on at once."""
        self._now += timedelta(seconds=seconds)


@dataclass
class Surroundings:
    """What outlives a process: the store's file, the simulator, the time, and the tenant's idempotency key."""

    stack: GatewayStack
    path: Path
    reference: str
    clock: LeapingClock = field(default_factory=LeapingClock)
    sent_before: int = 0

    @property
    def claim(self) -> Claim:
        """The tenant's create, always under the same key."""
        return Claim(tenant="acme", idempotency_key=f"key-create-{self.reference}", fingerprint="create")

    @property
    def body(self) -> CreateBody:
        """The body of that create."""
        return msgspec.convert(psp_body(merchant_reference=self.reference), CreateBody, dec_hook=amount_hook)

    async def creates_received(self) -> int:
        """How many creates the provider has received from these processes."""
        return len([one for one in await self.stack.provider_requests("psp") if one["path"].endswith("pay/url")])

    async def creates_sent(self) -> int:
        """How many of them were sent since ``sent_before`` was noted."""
        return await self.creates_received() - self.sent_before


@contextlib.asynccontextmanager
async def process(world: Surroundings, fuse: Fuse) -> AsyncIterator[Gateway]:
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
        await submit.resolve_interrupted(gw)
        yield gw
    finally:
        await store.close()


async def only_payment(gw: Gateway) -> Payment | None:
    """The payment, if it exists."""
    found = await gw.store.payments("acme", PaymentFilter(limit=9))
    assert len(found) <= 1
    return found[0].payment if found else None


async def payment_of(gw: Gateway) -> Payment:
    """The payment."""
    payment = await only_payment(gw)
    assert payment is not None
    return payment


async def create_payment(world: Surroundings, gw: Gateway) -> Answer:
    """The tenant creates the payment."""
    return await create.create(gw, gw.tenant("acme"), world.claim, world.body)


async def customer_pays(world: Surroundings, gw: Gateway) -> None:
    """The PSP calls back that the customer has paid."""
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


async def run_until_dead(world: Surroundings, at: int) -> bool:
    """Run a process that ends at its n-th boundary at the latest; whether the payment was completed before."""
    world.sent_before = await world.creates_received()
    fuse = Fuse(at)
    async with process(world, fuse) as gw:
        for step in (create_payment, customer_pays):
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


async def check_repetition(world: Surroundings, gw: Gateway) -> None:
    """A create that had begun is answered from the store: 409 while young, then 202, or the stored answer."""
    row = await gw.store.idempotency_record("acme", world.claim.idempotency_key)
    if row is None:
        return
    assert await gw.store.operation("acme", row.payment_id, row.operation_id) is not None
    before = await world.creates_sent()
    if row.answer is not None:
        assert (await create_payment(world, gw)).body.decode() == row.answer
    else:
        with pytest.raises(TenantError) as young:
            await create_payment(world, gw)
        assert young.value.code == "request_in_progress"
        await gw.clock.sleep(gw.settings.timeouts.tenant_answer)
        assert (await create_payment(world, gw)).status == 202
    assert await world.creates_sent() == before


async def test_a_payment_survives_a_crash_at_every_boundary(stack: GatewayStack, tmp_path: Path) -> None:
    """Wherever the process dies: what began is not sent again, and the callback completes the payment."""
    for boundary in range(1, 100):
        world = Surroundings(stack, tmp_path / str(boundary) / "gateway.db", f"crash-{boundary:04}")
        if await run_until_dead(world, boundary):
            break
        async with process(world, Fuse(None)) as gw:
            begun = await check_store(gw)
            assert await world.creates_sent() <= len(begun), "a create was sent that was not stored"
            await check_repetition(world, gw)
            if not begun:
                await create_payment(world, gw)
            await customer_pays(world, gw)
            payment = await payment_of(gw)
            assert (payment.state, payment.captured) == (State.CAPTURED, payment.money.amount), boundary
            assert [one.status for one in await check_store(gw)] == [Status.SUCCEEDED], boundary
            assert await world.creates_sent() <= 1
    assert boundary > 8


async def test_a_crash_while_starting_again_loses_nothing(stack: GatewayStack, tmp_path: Path) -> None:
    """A process that dies while it turns what was on its way into unknown leaves that to the next one."""
    world = Surroundings(stack, tmp_path / "gateway.db", "start-0001")
    assert not await run_until_dead(world, 4)  # boundaries: around the reserving commit, around the sending
    assert await world.creates_sent() == 1
    for at in (1, 2):
        with contextlib.suppress(Crash):
            async with process(world, Fuse(at)):
                pytest.fail("it should have died")
    async with process(world, Fuse(None)) as gw:
        operations = await check_store(gw)
        assert [(one.status, one.note) for one in operations] == [(Status.UNKNOWN, "the gateway stopped")]
        assert await world.creates_sent() == 1
