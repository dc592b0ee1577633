"""A house whose providers stand behind misbehaving proxies, on a clock that only the tests move; what they do there.

Each command of the matrix is data: how its payment comes to the state ahead of it, how it is asked for, and by which
word the far side's own ledger shows its effect.
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
from gateway.flows.background import reconcile
from tests.clocks import VirtualClock
from tests.faults.fault_table import Fault
from tests.faults.proxy import Heard, Proxy, Truth, WayOut, nowhere, serving
from tests.house import House, Reply, creditkey_body, new_key, open_house, order_of, psp_body

QUIET = timedelta(seconds=1)
"""The quiet period here; the clock is virtual, so its length costs nothing."""

CREATED, UPDATED, REFUNDED = "1067.33", "1100.00", "100.00"


@dataclass
class Bench:
    """What a row of the matrix works with."""

    house: House
    clock: VirtualClock
    proxies: Mapping[str, Proxy]
    out: WayOut
    nowhere: Mapping[str, str]
    """Addresses that lead nowhere, by the name of the fault."""
    strangers: dict[str, str]
    """By account: the order key of a payment that no row is about."""

    @contextlib.asynccontextmanager
    async def suffering(
        self, side: str, operation: str, fault: Fault, truth: Truth, account: str = "creditkey-main"
    ) -> AsyncIterator[None]:
        """Let a fault act on every call of one operation for the time of the block."""
        self.proxies[side].set(operation, fault.spoil, truth, self.strangers[account])
        self.out.set(operation, address=self.nowhere.get(fault.name), waits=fault.waits)
        try:
            yield
        finally:
            self.out.set("")
            await self.proxies[side].heal()

    async def settle(self, *, rounds: int, each: timedelta = 2 * QUIET) -> None:
        """Let time pass and the agenda be worked off, each time more than a quiet period later."""
        for _ in range(rounds):
            self.clock.set(self.clock.now() + each)
            while await reconcile.run_due(self.house.gateway):
                pass
            await self.house.gateway.drain(10)

    async def order(self, side: str, payment: Mapping[str, Any]) -> Any:
        """The far side's one order of a payment, None when it has none."""
        name, wanted = {
            "creditkey": ("remote_id", payment["merchant_reference"]),
            "psp": ("order_no", payment["id"]),
        }[side]
        found = [order for order in await self.house.far_orders(side) if order[name] == wanted]
        assert len(found) <= 1, f"{len(found)} orders of one payment"
        return found[0] if found else None

    async def operations(self, payment_id: str, kind: Kind | None) -> list[Operation]:
        """The payment's operations of one kind, oldest first."""
        every = await self.house.gateway.store.operations("acme", payment_id)
        return [operation for operation in every if operation.kind is kind]

    async def change(self, payment: Mapping[str, Any], path: str, body: Any, method: str = "POST") -> Reply:
        """Ask for a change as the tenant."""
        return await self.house.call(method, f"/v1/payments/{payment['id']}{path}", body, key=new_key())

    async def sync(self, payment: Mapping[str, Any]) -> Reply:
        """Ask the gateway to look now."""
        return await self.house.call("POST", f"/v1/payments/{payment['id']}/sync", {})


Payment = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command at Credit Key. ``operation`` is its path there, ``mark`` the ledger's word for its effect.

    ``ahead`` brings a payment to the state before it; ``ask`` asks for it. ``done`` is the HTTP status of a settled
    answer. ``proving``: on the account where an absence proves that a create had no effect.
    """

    name: str
    operation: str
    kind: Kind | None
    mark: str
    ahead: Callable[[Bench, Command, Truth], Awaitable[Payment]]
    ask: Callable[[Bench, Payment], Awaitable[Reply]]
    done: int = 200
    names_ids: bool = True
    account: str = "creditkey-main"


async def unborn(bench: Bench, command: Command, truth: Truth) -> Payment:
    """No payment yet, only its reference."""
    return {"merchant_reference": f"SO-{uuid.uuid4().hex[:12]}", "account": command.account}


async def begin(bench: Bench, payment: Payment) -> Reply:
    return await bench.house.create(creditkey_body(**payment))


async def approved(bench: Bench, command: Command, truth: Truth) -> Payment:
    """A payment whose customer has just accepted, and comes back next."""
    created = (await begin(bench, await unborn(bench, command, truth))).json
    return {**created, "back": await bench.house.approve(created)}


async def come_back(bench: Bench, payment: Payment) -> Reply:
    return await bench.house.visit(payment["back"])


async def authorized(bench: Bench, command: Command, truth: Truth) -> Payment:
    payment = await approved(bench, command, truth)
    await come_back(bench, payment)
    return await _in_state(bench, payment, "authorized")


async def captured(bench: Bench, command: Command, truth: Truth) -> Payment:
    payment = await authorized(bench, command, truth)
    await bench.change(payment, "/capture", {})
    return await _in_state(bench, payment, "captured")


async def maybe_canceled(bench: Bench, command: Command, truth: Truth) -> Payment:
    """An authorized payment; in the truth ``after`` Credit Key has canceled its order since, and nobody told us."""
    payment = await authorized(bench, command, truth)
    if truth is Truth.AFTER:
        path = f"/_sim/orders/{payment['provider_reference']}"
        assert (await bench.house.far("creditkey", "PUT", path, {"status": "canceled"})).status == 200
    return payment


async def _in_state(bench: Bench, payment: Payment, state: str) -> Payment:
    now: Payment = await bench.house.payment(payment["id"])
    assert (now["state"], now["pending_operation"], now["review"]) == (state, None, None)
    return now


async def begin_psp(bench: Bench) -> Reply:
    """Create a payment at the PSP."""
    return await bench.house.create(psp_body())


async def press(bench: Bench, order: Any) -> None:
    """Let the PSP's customer pay; the callback comes as it may."""
    assert (await bench.house.far("psp", "POST", f"/pay/{order['id']}/pay")).status == 200


_UPDATE = {"amount": UPDATED, "order": {"charges": order_of(UPDATED)["charges"]}}

_CREATE = Command(
    name="create",
    operation="begin_standalone_checkout",
    kind=Kind.CREATE,
    mark="begun",
    ahead=unborn,
    ask=begin,
    done=201,
)
_PROVING = replace(_CREATE, name="create_where_absence_proves", account="creditkey-proving")
COMMANDS = (
    _CREATE,
    _PROVING,
    Command(
        name="complete",
        operation="complete_checkout",
        kind=Kind.COMPLETE,
        mark="completed",
        ahead=approved,
        ask=come_back,
        done=303,
        names_ids=False,
    ),
    Command(
        name="capture",
        operation="confirm_order",
        kind=Kind.CAPTURE,
        mark="confirmed",
        ahead=authorized,
        ask=lambda bench, payment: bench.change(payment, "/capture", {}),
    ),
    Command(
        name="cancel",
        operation="cancel_order",
        kind=Kind.CANCEL,
        mark="canceled",
        ahead=authorized,
        ask=lambda bench, payment: bench.change(payment, "/cancel", {}),
    ),
    Command(
        name="update",
        operation="update_order",
        kind=Kind.UPDATE,
        mark="updated",
        ahead=authorized,
        ask=lambda bench, payment: bench.change(payment, "", _UPDATE, "PATCH"),
    ),
    Command(
        name="refund",
        operation="refund",
        kind=Kind.REFUND,
        mark="refunded",
        ahead=captured,
        ask=lambda bench, payment: bench.change(payment, "/refunds", {"amount": REFUNDED}),
        done=201,
    ),
    Command(
        name="lookup",
        operation="find_order",
        kind=None,
        mark="edited",
        ahead=maybe_canceled,
        ask=lambda bench, payment: bench.sync(payment),
    ),
)
"""Everything that is asked of Credit Key."""

_CLAIMED: dict[str, dict[str, str]] = {
    "confirm_order": {"status": "shipped", "capture_status": "captured", "amount": CREATED},
    "update_order": {"status": "placed", "capture_status": "authorized", "amount": UPDATED},
    "cancel_order": {"status": "canceled", "capture_status": "authorized", "amount": CREATED},
    "refund": {"status": "shipped", "capture_status": "captured", "amount": CREATED, "refunded_amount": REFUNDED},
    "find_order": {"status": "shipped", "capture_status": "captured", "amount": CREATED},
}


def creditkey_claim(heard: Heard) -> dict[str, Any]:
    """The answer of a Credit Key that says it was done."""
    if heard.operation == "begin_standalone_checkout":
        return {"id": f"CK-{uuid.uuid4().hex[:12]}", "checkout_url": "https://pay.example/checkout"}
    if heard.operation == "complete_checkout":
        return {"success": True}
    return {"id": heard.members["id"], **_CLAIMED[heard.operation]}


def psp_claim(heard: Heard) -> dict[str, Any]:
    """The answer of a PSP that says it was done."""
    return {"data": {"url": "https://pay.example/page"}, "result": True, "msg": "success"}


@contextlib.asynccontextmanager
async def open_bench(folder: Path) -> AsyncIterator[Bench]:
    """Run a house with both providers behind proxies, a Credit Key account of either kind, and short patience."""
    clock = VirtualClock(datetime.now(UTC))  # the PSP's simulator signs with the real time
    proxies = {
        "creditkey": Proxy(creditkey_claim, {"result": "no"}),
        "psp": Proxy(psp_claim, {"data": {}, "result": False, "msg": "no"}),
    }
    async with contextlib.AsyncExitStack() as stack:
        for proxy in proxies.values():
            port = await stack.enter_async_context(serving(proxy.serve))
            proxy.url = f"http://127.0.0.1:{port}"
        addresses = await stack.enter_async_context(nowhere())
        house = await stack.enter_async_context(
            open_house(folder, clock=clock, change=lambda written: _rewrite(written, proxies))
        )
        out = WayOut(house.gateway.send)
        house.gateway.send = out
        bench = Bench(house, clock, proxies, out, addresses, {})
        for command in (_CREATE, _PROVING):
            stranger = await begin(bench, await unborn(bench, command, Truth.AFTER))
            bench.strangers[command.account] = stranger.json["provider_reference"]
        yield bench


def _rewrite(written: dict[str, Any], proxies: Mapping[str, Proxy]) -> None:
    """Put the proxies between, and make everything short that a fault is waited for."""
    written["timeouts"] = {"provider_total": "200ms", "provider_connect": "100ms", "tenant_answer": "10s"}
    written["clocks"] |= {"reconcile": ["1s", "1s", "1s", "400d"], "poll": ["400d"], "quiet_period": "1s"}
    tenant = written["tenants"]["acme"]
    del tenant["webhook"]  # nobody listens: deliveries are told of elsewhere
    accounts = tenant["accounts"]
    for side, name, key in (("creditkey", "creditkey-main", "base_url"), ("psp", "psp-main", "app_url")):
        config = accounts[name]["config"]
        proxies[side].target = urlsplit(config[key]).port or 0
        config[key] = proxies[side].url
    proving = {**accounts["creditkey-main"]["config"], "public_key": "pk_proving", "absence_proves": True}
    accounts["creditkey-proving"] = {"provider": "creditkey", "config": proving}
    accounts["psp-main"]["config"] |= {"expires_after": "10m", "time_window": "30d"}
