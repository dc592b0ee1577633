"""What a tenant does with one payment, from the create to the last refund. Amounts are multiples of five cents."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from decimal import Decimal
from random import Random
from typing import Any

from tests.simulation.acquirer_actors import AcquirerActors
from tests.simulation.api import Reply, Request
from tests.simulation.environment import Environment
from tests.simulation.psp_actors import PspActors
from tests.simulation.tenants import Tenants

ADDRESS = {"first_name": "Dana", "last_name": "Reyes", "email": "dana@reyes.example", "zip": "98421"}
FINAL_OR_CAPTURED = frozenset({"captured", "partially_refunded", "refunded", "canceled", "failed", "expired"})
WITHOUT_MONEY = frozenset({"canceled", "failed", "expired"})
CAPTURED = frozenset({"captured", "partially_refunded"})
FIRST_STEPS = ((10, "wait"), (1, "cancel"), (2, "update"), (1, "rise"), (1, "again"))
SECOND_STEPS = ((10, "capture"), (2, "cancel"), (3, "update and capture"), (2, "rise"), (1, "leave"))
MAX_FOLLOW_SECONDS = 700.0
"""Maximum seconds for which a tenant follows a payment."""


class Workloads:
    """``creditkey``, ``psp`` and ``acquirer`` run one workload; ``number`` makes its merchant reference."""

    def __init__(self, env: Environment, tenants: Tenants, actors: PspActors, cardholders: AcquirerActors) -> None:
        self._env = env
        self._tenants = tenants
        self._actors = actors
        self._cardholders = cardholders

    async def creditkey(self, number: int) -> None:
        """Run a payment at Credit Key."""
        dice = self._env.dice(f"story {number}")
        amount = money(dice, 50, 1500)
        body = {
            "merchant_reference": f"SO-{number}",
            "account": "creditkey-main",
            "order": order_of(amount),
            "return_url": "https://shop.example/paid",
        }
        for _ in range(2):
            payment = await self._create("acme", {**body, "amount": text(amount), "currency": "USD"}, dice)
            if payment is None:
                return
            await self._follow_creditkey(payment, dice)
            shown = await self._tenants.read("acme", payment["id"])
            if shown is None or shown["state"] not in WITHOUT_MONEY:
                return  # else the same order is tried once more, under the same reference

    async def psp(self, number: int) -> None:
        """Run a payment at a PSP; one tenant has a spare account."""
        dice = self._env.dice(f"story {number}")
        tenant = dice.choice(("acme", "globex"))
        body = {"merchant_reference": f"D-{number}", "amount": text(money(dice, 5, 900)), "currency": "USD"}
        if tenant == "acme":
            body["account"] = "psp-main"
        payment = await self._create(tenant, body, dice)
        if payment is None:
            return
        shown = await self._until(payment, (), dice, until_url=True)
        if shown is not None and shown["redirect_url"] is not None:
            self._actors.visit(shown["redirect_url"])

    async def acquirer(self, number: int) -> None:
        """Run a payment at the acquirer: captured in parts, then refunded in parts."""
        dice = self._env.dice(f"acquirer story {number}")
        body = {"merchant_reference": f"C-{number}", "amount": text(money(dice, 50, 900)), "currency": "USD"}
        payment = await self._create("acme", {**body, "account": "acquirer-main"}, dice)
        shown = await self._until(payment, (), dice, until_url=True) if payment is not None else None
        if payment is None or shown is None or shown["redirect_url"] is None:
            return
        self._cardholders.visit(shown["redirect_url"])
        shown = await self._until(payment, ("authorized",), dice)
        if shown is None or shown["state"] != "authorized":
            return
        await self._capture_parts(shown, dice)
        shown = await self._until(payment, CAPTURED, dice)
        if shown is not None and shown["state"] in CAPTURED:
            await self._refund(shown, dice)

    async def _capture_parts(self, payment: dict[str, Any], dice: Random) -> None:
        """Capture some parts, one after the other or at once; then all that is left, or no more of it."""
        part = text(max(Decimal("0.05"), (Decimal(payment["amount"]) / 4 * 20).to_integral_value() / 20))
        for at_once in dice.choice(((), (1,), (1, 1), (1, 1, 1), (2, 1))):
            await asyncio.gather(
                *(self._ask(payment["tenant"], "capture", {"amount": part}, payment) for _ in range(at_once))
            )
            await asyncio.sleep(dice.uniform(0, 20))
        kind, body = dice.choice((("capture", {}), ("capture", {"amount": part, "final": True}), ("cancel", {})))
        await self._ask(payment["tenant"], kind, body, payment)

    async def _create(self, tenant: str, body: dict[str, Any], dice: Random) -> dict[str, Any] | None:
        reply = await self._ask(tenant, "create", body)
        if dice.random() < self._env.rates.misuse / 4:
            again = await self._ask(tenant, "create", body)  # another key, the same reference
            reply = again if again is not None and again.status < 300 else reply
        return success_of(reply)

    async def _follow_creditkey(self, payment: dict[str, Any], dice: Random, *, may_exceed: bool = True) -> None:
        first = pick(dice, FIRST_STEPS)
        if first != "wait" and await self._until(payment, ("awaiting_customer",), dice) is not None:
            await self._first_step(payment, first, dice)
        if first == "cancel":
            return
        shown = await self._until(payment, ("authorized",), dice)
        if shown is None or shown["state"] != "authorized":
            return
        then = pick(dice, SECOND_STEPS)
        if then == "rise":
            await self._raise_amount(shown, dice, may_exceed=may_exceed)
        elif then == "cancel":
            await self._ask(payment["tenant"], "cancel", {}, shown)
        elif then != "leave":
            await self._capture(shown, dice, update=then != "capture")

    async def _first_step(self, payment: dict[str, Any], first: str, dice: Random) -> None:
        tenant = payment["tenant"]
        if first == "cancel":
            await self._ask(tenant, "cancel", {}, payment)
        elif first in ("update", "again"):
            amount = Decimal(payment["amount"]) + (0 if first == "again" else money(dice, -40, 99))
            body = {"amount": text(amount), "order": order_of(amount)}
            await self._ask(tenant, "update", body, payment)
        else:
            await self._raise_amount(payment, dice, may_exceed=True)

    async def _raise_amount(self, payment: dict[str, Any], dice: Random, *, may_exceed: bool) -> None:
        amount = Decimal(payment["amount"]) + money(dice, 101, 300)
        body = {"amount": text(amount), "order": order_of(amount)}
        refused = await self._ask(payment["tenant"], "update", body, payment)
        if refused is None or refused.code != "increase_over_limit" or not may_exceed:
            return
        reply = await self._ask(payment["tenant"], "update", {**body, "allow_new_checkout": True}, payment)
        replaced = success_of(reply)
        replacement = replaced["replaced_by"] if replaced is not None else None
        if replacement is not None:
            shown = await self._tenants.read(payment["tenant"], replacement)
            if shown is not None:
                await self._follow_creditkey(shown, dice, may_exceed=False)

    async def _capture(self, payment: dict[str, Any], dice: Random, *, update: bool) -> None:
        tenant, amount = payment["tenant"], Decimal(payment["amount"])
        if update:
            amount += money(dice, -40, 60)
            await self._ask(tenant, "update", {"amount": text(amount), "order": order_of(amount)}, payment)
        body = {} if dice.random() < 0.6 else {"amount": text(amount - money(dice, 1, 9))}
        at_once = [self._ask(tenant, kind, {}, payment) for kind in dice.choice(((), (), ("cancel",), ("capture",)))]
        await asyncio.gather(self._ask(tenant, "capture", body, payment), *at_once)
        shown = await self._until(payment, CAPTURED, dice)
        if shown is not None and shown["state"] in CAPTURED:
            await self._refund(shown, dice)

    async def _refund(self, payment: dict[str, Any], dice: Random) -> None:
        """Refund some parts, each under its own key, sometimes at once: together they may not exceed the capture."""
        captured = Decimal(payment["amount_captured"])
        is_rush = dice.random() < 0.5
        bodies = [dice.choice(refunds_of(captured)) for _ in range(dice.choice((0, 1, 2, 3, 4)))]
        bodies = bodies[:1] * len(bodies) if is_rush else bodies
        asked = [self._ask(payment["tenant"], "refund", body, payment) for body in bodies]
        if is_rush:
            await asyncio.gather(*asked)
            return
        for one in asked:
            await one
            await asyncio.sleep(dice.uniform(0, 30))

    async def _ask(
        self, tenant: str, kind: str, body: dict[str, Any], payment: dict[str, Any] | None = None
    ) -> Reply | None:
        identifier = payment["id"] if payment is not None else ""
        sent = json.dumps(body).encode()
        request = Request(tenant=tenant, kind=kind, payment_id=identifier, body=sent, key=self._tenants.key())
        return await self._tenants.request_until_answered(request)

    async def _until(
        self, payment: dict[str, Any], states: Collection[str], dice: Random, *, until_url: bool = False
    ) -> dict[str, Any] | None:
        """Read the payment until it is in one of these states, has ended, or ``MAX_FOLLOW_SECONDS`` have passed."""
        deadline = self._env.loop.time() + MAX_FOLLOW_SECONDS
        shown = None
        while self._env.loop.time() < deadline:
            shown = await self._tenants.read(payment["tenant"], payment["id"]) or shown
            if shown is not None and (shown["state"] in states or shown["state"] in FINAL_OR_CAPTURED):
                return shown
            if until_url and shown is not None and shown["redirect_url"] is not None:
                return shown
            if not until_url and dice.random() < 0.1:
                await self._tenants.sync(payment["tenant"], payment["id"])
            await asyncio.sleep(dice.uniform(1, 60))
        return shown


def success_of(reply: Reply | None) -> dict[str, Any] | None:
    """Return the body of a successful answer, else None."""
    if reply is None or reply.status >= 300:
        return None
    members: dict[str, Any] = json.loads(reply.body)
    return members


def pick(dice: Random, choices: Collection[tuple[int, str]]) -> str:
    """Draw one of several, by weight."""
    return dice.choices([name for _, name in choices], [weight for weight, _ in choices])[0]


def money(dice: Random, least: int, most: int) -> Decimal:
    """Draw a multiple of five cents."""
    return Decimal(dice.randint(least * 20, most * 20)) / 20


def text(amount: Decimal) -> str:
    """Format an amount as the API requires."""
    return f"{amount:.2f}"


def refunds_of(captured: Decimal) -> list[dict[str, Any]]:
    """Return refund bodies: a part, a larger part, the rest, more than there is."""
    part = max(Decimal("0.05"), (captured / 3 * 20).to_integral_value() / 20)
    return [{"amount": text(part)}, {"amount": text(part * 2)}, {}, {"amount": text(captured + 5)}]


def order_of(amount: Decimal) -> dict[str, Any]:
    """Return an order with charges of ``amount``."""
    item = {"merchant_id": "PJ-1", "name": "Pallet jack", "price": text(amount), "quantity": 1}
    return {
        "items": [item],
        "charges": {"total": text(amount), "grand_total": text(amount)},
        "billing_address": ADDRESS,
    }
