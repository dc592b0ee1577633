"""A test stack whose providers are behind faulty proxies, on a clock that only the tests advance; and its commands.

Each command of the matrix is data: how to prepare its payment, how to request it, and which event in the provider's own
ledger shows its effect.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.core.commands import Kind
from gateway.core.payment import Operation
from tests.faults.fault_table import Fault
from tests.faults.proxy import Arrival, FaultySender, ProxiedRequest, Proxy, serving, unreachable
from tests.support.passing_time import run_due_checks
from tests.support.stack import GatewayStack, Reply, creditkey_body, new_key, order_of, psp_body, running_stack
from tests.support.virtual_clock import VirtualClock

QUIET = timedelta(seconds=1)
"""The quiet period here; the clock is virtual, so its length costs nothing."""

CREATED, UPDATED, REFUNDED = "1067.33", "1100.00", "100.00"


@dataclass
class FaultyStack:
    """The stack, its clock and its proxies."""

    stack: GatewayStack
    clock: VirtualClock
    proxies: Mapping[str, Proxy]
    sender: FaultySender
    unreachable: Mapping[str, str]
    """Unreachable addresses, by name of the fault."""
    other_orders: dict[str, str]
    """By account: the order key of an unrelated payment."""

    @contextlib.asynccontextmanager
    async def with_fault(
        self, provider: str, operation: str, fault: Fault, arrival: Arrival, account: str = "creditkey-main"
    ) -> AsyncIterator[None]:
        """Apply a fault to every call of one operation for the duration of the block."""
        self.proxies[provider].set(operation, fault.corrupt, arrival, self.other_orders[account])
        self.sender.set(operation, address=self.unreachable.get(fault.name), waits=fault.waits)
        try:
            yield
        finally:
            self.sender.set("")
            await self.proxies[provider].clear()

    async def run_schedule(self, *, rounds: int, each: timedelta = 2 * QUIET) -> None:
        """Advance the clock by more than a quiet period and run all due checks, ``rounds`` times."""
        for _ in range(rounds):
            self.clock.set(self.clock.now() + each)
            await self.stack.stay_alive()
            while await run_due_checks(self.stack.gateway):
                pass
            await self.stack.gateway.tasks.drain(10)

    async def order(self, provider: str, payment: Mapping[str, Any]) -> Any:
        """Return the provider's only order of a payment, or None."""
        name, wanted = {
            "creditkey": ("remote_id", payment["merchant_reference"]),
            "psp": ("order_no", payment["id"]),
        }[provider]
        found = [order for order in await self.stack.provider_orders(provider) if order[name] == wanted]
        assert len(found) <= 1, f"{len(found)} orders of one payment"
        return found[0] if found else None

    async def operations(self, payment_id: str, kind: Kind | None) -> list[Operation]:
        """Return the payment's operations of one kind, oldest first."""
        every = await self.stack.gateway.store.operations("acme", payment_id)
        return [operation for operation in every if operation.kind is kind]

    async def change(self, payment: Mapping[str, Any], path: str, body: Any, method: str = "POST") -> Reply:
        """Request a change as the tenant."""
        return await self.stack.call(method, f"/v1/payments/{payment['id']}{path}", body, key=new_key())

    async def sync(self, payment: Mapping[str, Any]) -> Reply:
        """Request a sync."""
        return await self.stack.call("POST", f"/v1/payments/{payment['id']}/sync", {})


Payment = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command at Credit Key. ``operation`` is its path there, ``ledger_event`` the effect in the ledger.

    ``prepare`` brings a payment to the state before it, ``execute`` sends the request, and ``success_status`` is the
    HTTP status of the answer once the outcome is known.
    """

    name: str
    operation: str
    kind: Kind | None
    ledger_event: str
    prepare: Callable[[FaultyStack, Command, Arrival], Awaitable[Payment]]
    execute: Callable[[FaultyStack, Payment], Awaitable[Reply]]
    success_status: int = 200
    names_ids: bool = True
    account: str = "creditkey-main"


async def not_created(faulty: FaultyStack, command: Command, arrival: Arrival) -> Payment:
    """Return only a merchant reference: the payment does not exist yet."""
    return {"merchant_reference": f"SO-{uuid.uuid4().hex[:12]}", "account": command.account}


async def begin(faulty: FaultyStack, payment: Payment) -> Reply:
    return await faulty.stack.create(creditkey_body(**payment))


async def approved(faulty: FaultyStack, command: Command, arrival: Arrival) -> Payment:
    """Return a payment whose customer has just accepted and has not returned."""
    created = (await begin(faulty, await not_created(faulty, command, arrival))).json
    return {**created, "back": await faulty.stack.approve(created)}


async def come_back(faulty: FaultyStack, payment: Payment) -> Reply:
    return await faulty.stack.visit(payment["back"])


async def authorized(faulty: FaultyStack, command: Command, arrival: Arrival) -> Payment:
    payment = await approved(faulty, command, arrival)
    await come_back(faulty, payment)
    return await _in_state(faulty, payment, "authorized")


async def captured(faulty: FaultyStack, command: Command, arrival: Arrival) -> Payment:
    payment = await authorized(faulty, command, arrival)
    await faulty.change(payment, "/capture", {})
    return await _in_state(faulty, payment, "captured")


async def maybe_canceled(faulty: FaultyStack, command: Command, arrival: Arrival) -> Payment:
    """Return an authorized payment; for ``ARRIVED``, Credit Key has canceled its order since."""
    payment = await authorized(faulty, command, arrival)
    if arrival is Arrival.ARRIVED:
        path = f"/_sim/orders/{payment['provider_reference']}"
        assert (await faulty.stack.call_provider("creditkey", "PUT", path, {"status": "canceled"})).status == 200
    return payment


async def _in_state(faulty: FaultyStack, payment: Payment, state: str) -> Payment:
    now: Payment = await faulty.stack.payment(payment["id"])
    assert (now["state"], now["pending_operation"], now["review"]) == (state, None, None)
    return now


async def begin_psp(faulty: FaultyStack) -> Reply:
    """Create a payment at the PSP."""
    return await faulty.stack.create(psp_body())


async def pay_page(faulty: FaultyStack, order: Any) -> None:
    """Let the PSP's customer pay."""
    assert (await faulty.stack.call_provider("psp", "POST", f"/pay/{order['id']}/pay")).status == 200


_UPDATE = {"amount": UPDATED, "order": {"charges": order_of(UPDATED)["charges"]}}

_CREATE = Command(
    name="create",
    operation="begin_standalone_checkout",
    kind=Kind.CREATE,
    ledger_event="begun",
    prepare=not_created,
    execute=begin,
    success_status=201,
)
_PROVING = replace(_CREATE, name="create_where_absence_proves", account="creditkey-proving")
COMMANDS = (
    _CREATE,
    _PROVING,
    Command(
        name="complete",
        operation="complete_checkout",
        kind=Kind.COMPLETE,
        ledger_event="completed",
        prepare=approved,
        execute=come_back,
        success_status=303,
        names_ids=False,
    ),
    Command(
        name="capture",
        operation="confirm_order",
        kind=Kind.CAPTURE,
        ledger_event="confirmed",
        prepare=authorized,
        execute=lambda faulty, payment: faulty.change(payment, "/capture", {}),
    ),
    Command(
        name="cancel",
        operation="cancel_order",
        kind=Kind.CANCEL,
        ledger_event="canceled",
        prepare=authorized,
        execute=lambda faulty, payment: faulty.change(payment, "/cancel", {}),
    ),
    Command(
        name="update",
        operation="update_order",
        kind=Kind.UPDATE,
        ledger_event="updated",
        prepare=authorized,
        execute=lambda faulty, payment: faulty.change(payment, "", _UPDATE, "PATCH"),
    ),
    Command(
        name="refund",
        operation="refund",
        kind=Kind.REFUND,
        ledger_event="refunded",
        prepare=captured,
        execute=lambda faulty, payment: faulty.change(payment, "/refunds", {"amount": REFUNDED}),
        success_status=201,
    ),
    Command(
        name="lookup",
        operation="find_order",
        kind=None,
        ledger_event="edited",
        prepare=maybe_canceled,
        execute=lambda faulty, payment: faulty.sync(payment),
    ),
)
"""Every command at Credit Key."""

_CLAIMED: dict[str, dict[str, str]] = {
    "confirm_order": {"status": "shipped", "capture_status": "captured", "amount": CREATED},
    "update_order": {"status": "placed", "capture_status": "authorized", "amount": UPDATED},
    "cancel_order": {"status": "canceled", "capture_status": "authorized", "amount": CREATED},
    "refund": {"status": "shipped", "capture_status": "captured", "amount": CREATED, "refunded_amount": REFUNDED},
    "find_order": {"status": "shipped", "capture_status": "captured", "amount": CREATED},
}


def creditkey_claim(request: ProxiedRequest) -> dict[str, Any]:
    """Return Credit Key's answer for a success."""
    if request.operation == "begin_standalone_checkout":
        return {"id": f"CK-{uuid.uuid4().hex[:12]}", "checkout_url": "https://pay.example/checkout"}
    if request.operation == "complete_checkout":
        return {"success": True}
    return {"id": request.members["id"], **_CLAIMED[request.operation]}


def psp_claim(request: ProxiedRequest) -> dict[str, Any]:
    """Return the PSP's answer for a success."""
    return {"data": {"url": "https://pay.example/page"}, "result": True, "msg": "success"}


@contextlib.asynccontextmanager
async def running_faulty_stack(folder: Path, engine: str) -> AsyncIterator[FaultyStack]:
    """Run a stack with both providers behind proxies, a Credit Key account of either kind, and short timeouts."""
    clock = VirtualClock(datetime.now(UTC))  # the PSP's simulator signs with the real time
    proxies = {
        "creditkey": Proxy(creditkey_claim, {"result": "no"}),
        "psp": Proxy(psp_claim, {"data": {}, "result": False, "msg": "no"}),
    }
    async with contextlib.AsyncExitStack() as exits:
        for proxy in proxies.values():
            port = await exits.enter_async_context(serving(proxy.serve))
            proxy.url = f"http://127.0.0.1:{port}"
        addresses = await exits.enter_async_context(unreachable())
        stack = await exits.enter_async_context(
            running_stack(folder, clock=clock, change=lambda written: _rewrite(written, proxies), engine=engine)
        )
        sender = FaultySender(stack.gateway.send)
        stack.gateway.send = sender
        faulty = FaultyStack(stack, clock, proxies, sender, addresses, {})
        for command in (_CREATE, _PROVING):
            other_order = await begin(faulty, await not_created(faulty, command, Arrival.ARRIVED))
            faulty.other_orders[command.account] = other_order.json["provider_reference"]
        yield faulty


def _rewrite(written: dict[str, Any], proxies: Mapping[str, Proxy]) -> None:
    """Put the proxies in between, and shorten every timeout."""
    written["timeouts"] = {"provider_total": "200ms", "provider_connect": "100ms", "tenant_answer": "10s"}
    written["clocks"] |= {"reconcile": ["1s", "1s", "1s", "400d"], "poll": ["400d"], "quiet_period": "1s"}
    tenant = written["tenants"]["acme"]
    del tenant["webhook"]  # no receiver runs here: webhooks have tests of their own
    accounts = tenant["accounts"]
    for provider, name, key in (("creditkey", "creditkey-main", "base_url"), ("psp", "psp-main", "app_url")):
        config = accounts[name]["config"]
        proxies[provider].target = urlsplit(config[key]).port or 0
        config[key] = proxies[provider].url
    proving = {**accounts["creditkey-main"]["config"], "public_key": "pk_proving", "absence_proves": True}
    accounts["creditkey-proving"] = {"provider": "creditkey", "config": proving}
    accounts["psp-main"]["config"] |= {"expires_after": "10m", "time_window": "30d"}
