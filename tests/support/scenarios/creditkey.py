"""A Credit Key payment brought to where a test begins, and what both sides know of it afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.core.errors import OutcomeUnknown
from gateway.core.payment import Payment
from gateway.core.wire import HttpRequest, HttpResponse
from gateway.drivers.store.reads import PaymentSnapshot
from gateway.flows.runtime import Send
from tests.support.passing_time import run_due_checks
from tests.support.stack import GatewayStack, Reply, creditkey_body, new_key, order_of, running_stack
from tests.support.virtual_clock import START, VirtualClock

LOOKUPS = ("find_order", "find_order_by_merchant_order_id")
DAY = timedelta(days=1)
MOST_STEPS = 500
BEGIN, COMPLETE = "begin_standalone_checkout", "complete_checkout"
CALLS = {"update": "update_order", "capture": "confirm_order", "cancel": "cancel_order", "refund": "refund"}
"""Credit Key's operations by the gateway's commands."""

VERBS: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "update": ("PATCH", "", {"merchant_status": "processing"}),
    "capture": ("POST", "/capture", {}),
    "cancel": ("POST", "/cancel", {}),
    "refund": ("POST", "/refunds", {}),
    "sync": ("POST", "/sync", {}),
}
"""What a tenant can ask of a payment: method, path below the payment, the least body."""


async def awaiting(stack: GatewayStack, **changes: Any) -> Any:
    """A payment whose customer has the link."""
    created = await stack.create(creditkey_body(**changes))
    assert (created.status, created.json["state"]) == (201, "awaiting_customer"), created.text
    return created.json


async def authorized(stack: GatewayStack, **changes: Any) -> Any:
    """A payment whose customer accepted and came back."""
    payment = await awaiting(stack, **changes)
    await accept(stack, payment)
    now = await stack.payment(payment["id"])
    assert now["state"] == "authorized"
    return now


async def accept(stack: GatewayStack, payment: Any) -> None:
    """Let the customer accept and come back, and the gateway finish what that causes."""
    assert (await stack.visit(await stack.approve(payment))).status == 303
    await stack.gateway.tasks.drain(10)


async def captured(stack: GatewayStack, amount: str | None = None, **changes: Any) -> Any:
    """A payment whose order shipped, in part where an amount is given."""
    payment = await authorized(stack, **changes)
    reply = await act(stack, payment, "capture", {"amount": amount} if amount else {})
    assert (reply.status, reply.json["state"]) == (200, "captured"), reply.text
    return reply.json


async def expired(timed: TimedStack, **changes: Any) -> Any:
    """A payment whose customer did nothing for thirty days."""
    payment = await awaiting(timed.stack, **changes)
    await timed.advance(30 * DAY)
    now = await timed.stack.payment(payment["id"])
    assert now["state"] == "expired"
    return now


BEGUN = {"awaiting_customer": awaiting, "authorized": authorized, "captured": captured}
"""How a payment is brought into a state by real events."""


async def act(
    stack: GatewayStack, payment: Any, verb: str, body: Mapping[str, Any] | None = None, *, key: str | None = None
) -> Reply:
    """Ask something of a payment under a fresh idempotency key, or the one given."""
    method, path, least = VERBS[verb]
    sent = dict(least if body is None else body)
    return await stack.call(method, f"/v1/payments/{payment['id']}{path}", sent, key=key or new_key())


def statuses(*replies: Reply) -> list[int]:
    """The statuses of replies, sorted."""
    return sorted(reply.status for reply in replies)


def unknown(reply: Any) -> Any:
    """A 202 that says that the outcome is open, and calls nothing failed."""
    assert reply.status == 202, reply.text
    payment = reply.json.get("payment", reply.json)
    assert payment["pending_operation"]["status"] == "unknown"
    assert reply.json.get("operation", reply.json)["status"] == "unknown"
    assert reply.json.get("operation", reply.json)["failure"] is None
    return reply.json


def total_of(amount: str, **more: Any) -> dict[str, Any]:
    """The body of an update (or capture) to a new total, with charges that come to it."""
    return {"amount": amount, "order": {"charges": order_of(amount)["charges"]}, **more}


# What the provider knows


async def provider_order(stack: GatewayStack, payment: Any) -> Any:
    """The order of a payment in the provider's own ledger."""
    [order] = [one for one in await stack.provider_orders("creditkey") if one["id"] == payment["provider_reference"]]
    return order


async def provider_orders_of(stack: GatewayStack, payment: Any) -> list[Any]:
    """Every order that was begun under the payment's reference, oldest first."""
    return [
        one for one in await stack.provider_orders("creditkey") if one["remote_id"] == payment["merchant_reference"]
    ]


async def edit(stack: GatewayStack, payment: Any, **changes: Any) -> None:
    """Change a payment's order at the provider by hand, as Credit Key's staff, portal or clock would."""
    path = f"/_sim/orders/{payment['provider_reference']}"
    assert (await stack.call_provider("creditkey", "PUT", path, changes)).status == 200


async def calls(stack: GatewayStack, payment: Any, *operations: str) -> list[str]:
    """The ecomm operations that named the payment's order or reference, in order; the changing ones unless named."""
    named = (payment["merchant_reference"], payment["provider_reference"] or payment["merchant_reference"])
    found = []
    for request in await stack.provider_requests("creditkey"):
        operation = request["path"].partition("/ecomm/")[2].partition("?")[0]
        wanted = operation in operations if operations else operation not in LOOKUPS
        if wanted and any(name in request["path"] + request["body"] for name in named):
            found.append(operation)
    return found


async def lookups(stack: GatewayStack, payment: Any) -> int:
    """How many lookups the provider has had for the payment."""
    return len(await calls(stack, payment, *LOOKUPS))


# What the gateway knows


async def loaded(stack: GatewayStack, payment: Any) -> PaymentSnapshot:
    """The payment and its open operation as they are stored."""
    found = await stack.gateway.store.payment("acme", payment["id"])
    assert found is not None
    return found


async def stored(stack: GatewayStack, payment: Any) -> Payment:
    """The payment as it is stored."""
    return (await loaded(stack, payment)).payment


async def operations(stack: GatewayStack, payment: Any) -> list[tuple[str, str]]:
    """Kind and status of the payment's operations, oldest first."""
    found = await stack.gateway.store.operations("acme", payment["id"])
    return [(str(one.kind), str(one.status)) for one in found]


async def timeline(stack: GatewayStack, payment: Any) -> list[str]:
    """The payment's events; its versions have no gap and each made one webhook."""
    events = await stack.events(payment["id"])
    now = await stack.payment(payment["id"])
    assert [event["version"] for event in events] == list(range(1, now["version"] + 1))
    kinds = [str(event["type"]) for event in events]
    made = await stack.gateway.store.deliveries.of_payment("acme", payment["id"])
    assert [(one.type, one.version) for one in made] == [(kind, at) for at, kind in enumerate(kinds, 1)]
    return kinds


async def review_of(stack: GatewayStack, payment: Any) -> str | None:
    """Why a person must look at the payment, None when nobody must."""
    review = (await stack.payment(payment["id"]))["review"]
    return None if review is None else str(review["reason"])


# Time that passes only when a test says so


class TimedStack:
    """A stack whose clock and agenda the test turns by hand."""

    def __init__(self, stack: GatewayStack, clock: VirtualClock) -> None:
        self.stack = stack
        self.clock = clock

    async def run_due(self) -> None:
        """Do what is due now."""
        await run_due_checks(self.stack.gateway)
        await self.stack.gateway.tasks.drain(10)

    async def next_check(self, payment: Any) -> datetime | None:
        """When the gateway will look at the payment by itself."""
        far_away = self.clock.now() + 10_000 * DAY
        rows = await self.stack.gateway.store.due_checks(far_away, 1000)
        found = [row.due_at for row in rows if row.payment_id == payment["id"]]
        return datetime.fromtimestamp(found[0] / 1000, self.clock.now().tzinfo) if found else None

    async def run_next(self) -> None:
        """Go to the next moment of the agenda and do what it asks for."""
        due = await self._next_due()
        assert due is not None, "nothing will happen by itself any more"
        self.clock.set(max(self.clock.now(), due))
        await self.run_due()

    async def advance(self, span: timedelta) -> None:
        """Let time pass, by way of every moment of the agenda."""
        end = self.clock.now() + span
        for _ in range(MOST_STEPS):
            due = await self._next_due()
            if due is None or due > end:
                break
            await self.run_next()
        else:
            raise AssertionError("the agenda comes to no end")
        self.clock.set(end)

    async def _next_due(self) -> datetime | None:
        rows = await self.stack.gateway.store.due_checks(self.clock.now() + 10_000 * DAY, 1)
        return datetime.fromtimestamp(rows[0].due_at / 1000, self.clock.now().tzinfo) if rows else None


async def idle(_: object) -> None:
    """Stand in for the worker where a test works the agenda off itself, so that nobody else does meanwhile."""
    await asyncio.Event().wait()


@asynccontextmanager
async def open_timed(
    folder: Path, change: Callable[[dict[str, Any]], None] = lambda _: None, *, start: datetime = START
) -> AsyncIterator[TimedStack]:
    """Run a stack on a virtual clock; ``reconcile.run`` must have been replaced by ``idle``."""
    clock = VirtualClock(start)
    async with running_stack(folder, change=change, clock=clock) as stack:
        yield TimedStack(stack, clock)


# A way out that a test can close


class Gate:
    """Where calls of one operation wait. It opens by itself for ``crowd`` of them, else when told.

    ``most``: of further ones none waits.
    """

    def __init__(self, crowd: int | None = None, most: int | None = None) -> None:
        self.waiting = 0
        self._crowd = crowd
        self._most = most
        self._opened = asyncio.Event()
        self._arrived = asyncio.Condition()

    async def wait(self) -> None:
        """Stand at the gate until it opens."""
        if self.waiting == self._most:
            return
        async with self._arrived:
            self.waiting += 1
            self._arrived.notify_all()
        if self.waiting == self._crowd:
            self.open()
        async with asyncio.timeout(10):
            await self._opened.wait()

    async def reached(self, count: int = 1) -> None:
        """Wait until so many stand at the gate."""
        async with self._arrived, asyncio.timeout(10):
            await self._arrived.wait_for(lambda: self.waiting >= count)

    def open(self) -> None:
        """Let everybody pass, now and later."""
        self._opened.set()


class Wire:
    """Stands before the real sender: holds the requests or the answers of one operation, or lets calls come late.

    An operation is the last part of the path. ``hold_request``: calls have not left yet. ``hold_answer``: their effect
    has happened, the answers are on their way. ``too_late``: the gateway stops waiting, the call leaves on ``deliver``.
    """

    def __init__(self, stack: GatewayStack) -> None:
        self._send: Send = stack.gateway.send
        self._gates: dict[tuple[str, str], Gate] = {}
        self._late: dict[str, list[tuple[HttpRequest, dict[str, Any]]]] = {}
        stack.gateway.send = self

    def hold_request(self, operation: str, *, crowd: int | None = None) -> Gate:
        """Keep calls of an operation from leaving until the gate opens."""
        gate = self._gates["request", operation] = Gate(crowd)
        return gate

    def hold_answer(self, operation: str, *, crowd: int | None = None, most: int | None = None) -> Gate:
        """Keep answers to an operation, at most ``most`` of them, until the gate opens."""
        gate = self._gates["answer", operation] = Gate(crowd, most)
        return gate

    def too_late(self, operation: str) -> None:
        """Let the gateway give up on the next call of an operation before it leaves."""
        self._late[operation] = []

    async def deliver(self, operation: str) -> None:
        """Let the call that was given up reach the provider."""
        for request, limits in self._late.pop(operation):
            await self._send(request, **limits)

    async def __call__(self, request: HttpRequest, *, total: float, connect: float, owner: str) -> HttpResponse:
        operation = request.url.partition("?")[0].rpartition("/")[2]
        if self._late.get(operation) == []:
            self._late[operation].append((request, {"total": total, "connect": connect, "owner": owner}))
            raise OutcomeUnknown("timeout")
        await self._pass("request", operation)
        response = await self._send(request, total=total, connect=connect, owner=owner)
        await self._pass("answer", operation)
        return response

    async def _pass(self, what: str, operation: str) -> None:
        gate = self._gates.get((what, operation))
        if gate is not None:
            await gate.wait()


ALERTS = {
    "customer_will_be_notified": (
        "You have selected Credit Key as the payment method. "
        "A new notification will be sent to the customer to complete this order."
    ),
    "increase_over_limit": (
        "Credit Key order amounts can only be increased by $100. "
        "A new notification will be sent to the customer to complete this order."
    ),
    "customer_notified_of_cancel": "The Credit Key order is canceled. Credit Key tells the customer.",
}
"""The sentences for the tenant's own admin user, word for word."""


AMOUNT, ELSEWHERE = "1067.33", {"city": "Elsewhere", "email": "other@reyes.example"}


@asynccontextmanager
async def knobs(stack: GatewayStack, **chosen: Any) -> AsyncIterator[None]:
    """Turn the simulator's knobs for the time of the block."""
    await stack.faults("creditkey", **chosen)
    try:
        yield
    finally:
        await stack.faults("creditkey")


def alerts_of(answer: Any) -> dict[str, str]:
    """The alerts of an answer: code to sentence."""
    return {alert["code"]: alert["message"] for alert in answer.get("alerts", ())}


def worded(*codes: str) -> dict[str, str]:
    """Those alerts, word for word."""
    return {code: ALERTS[code] for code in codes}


def messages_of(order: Any) -> list[str]:
    """What the provider told the customer and the representative, in order."""
    return [one["kind"] for one in order["notifications"]]
