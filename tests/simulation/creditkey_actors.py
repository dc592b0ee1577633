"""The actors at Credit Key: customers with a link, staff in the merchant portal, the timer that cancels orders."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from random import Random

from gateway.core.wire import Callback
from tests.simulation.cluster import Cluster
from tests.simulation.environment import Environment
from tests.simulation.fake_creditkey import FakeCreditKey, Order
from tests.simulation.settings import CONFIRM_DEADLINE

CUSTOMER_PLANS = (
    (14, "accept"),
    (2, "give up"),
    (2, "come back early"),
    (2, "be pended"),
    (2, "never"),
    (1, "too late"),
    (2, "swap"),
)
ODD_CENTS = Decimal("0.07")
"""Staff refund amounts that no sum of the tenants' refunds can equal, which are multiples of five cents."""


class CreditKeyActors:
    """``order_created`` is called for each new order."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self.deployment: Cluster
        self.ledger: FakeCreditKey

    def order_created(self, order: Order) -> None:
        """Start the customer and the staff of a new order."""
        dice = self._env.dice(f"customer {order.key}")
        self._env.spawn(self._customer(order, dice))
        self._env.spawn(self._staff(order, self._env.dice(f"staff {order.key}")))

    async def _customer(self, order: Order, dice: Random) -> None:
        plan = dice.choices([plan for _, plan in CUSTOMER_PLANS], [weight for weight, _ in CUSTOMER_PLANS])[0]
        self._env.note(f"the customer of {order.key} will {plan}")
        if plan == "come back early":
            await self._visit(order, "return_url", dice)
        if plan == "swap":
            await self._use_other_keys(order, dice)
        if plan == "give up":
            await asyncio.sleep(dice.uniform(1, 60))
            await self._visit(order, "cancel_url", dice)
        if plan == "never" or (plan == "give up" and dice.random() < 0.5):
            return
        await asyncio.sleep(dice.uniform(600, 1500) if plan == "too late" else dice.uniform(0.05, 90))
        if order.status != "new":
            return
        self._accept(order)
        if plan == "be pended" or dice.random() < 0.3:
            self._env.spawn(self._visit(order, "order_complete_url", dice))
        for _ in range(dice.choice((0, 1, 1, 1, 2, 3))):
            await asyncio.sleep(dice.choice((0.0, 0.3, 3.0, 40.0)))
            await self._visit(order, "return_url", dice)

    async def _use_other_keys(self, order: Order, dice: Random) -> None:
        """Return with the keys of other customers' orders."""
        for _ in range(4):
            await asyncio.sleep(dice.uniform(0, 3))
            await self._visit(order, "return_url", dice, key=dice.choice(list(self.ledger.orders)))

    def _accept(self, order: Order) -> None:
        self._env.note(f"{order.key} is accepted at {order.amount}")
        order.status, order.capture_status, order.accepted = "placed", "authorized", order.amount
        order.add_effect("accept", "customer", order.amount)
        self._env.spawn(self._cancel_unconfirmed(order))

    async def _cancel_unconfirmed(self, order: Order) -> None:
        await asyncio.sleep(CONFIRM_DEADLINE + 30)
        if order.status == "placed":
            self._env.note(f"{order.key} was not confirmed in time")
            self.ledger.cancel(order, "clock")

    async def _staff(self, order: Order, dice: Random) -> None:
        if dice.random() >= self._env.rates.misuse / 2:
            return
        await asyncio.sleep(dice.uniform(30, 600))
        left = order.amount - order.refunded
        if order.status == "shipped" and left > 10:
            self.ledger.give_back(order, dice.randint(0, int(left) - 1) + ODD_CENTS, "portal")
        elif order.status == "placed" and order.completed and dice.random() < 0.5:
            self.ledger.capture(order, "portal")
        elif order.status in ("new", "placed") and dice.random() < 0.5:
            self.ledger.cancel(order, "portal")
        self._env.note(f"staff saw {order.key}: {order.status} {order.refunded}")

    async def _visit(self, order: Order, name: str, dice: Random, *, key: str | None = None) -> None:
        """Open one of the order's URLs at the gateway with its key, sometimes with the key of another order."""
        key = key or order.key
        if dice.random() < self._env.rates.misuse / 3:
            key = dice.choice(list(self.ledger.orders))
        address = order.urls[name].replace("%CKKEY%", key)
        path, _, query = address.partition("/callbacks/")[2].partition("?")
        self._env.note(f"visit {name} of {order.key} with {key}")
        for number in range(6):
            visit = Callback(
                method="POST" if name == "order_complete_url" and number % 2 else "GET",
                suffix="",
                query=query,
                headers=(),
                body=b"",
                remote="198.51.100.7",
                received_at=self._env.now(),
            )
            answer = await self.deployment.send_callback(path, visit)
            if answer is not None and answer.status < 500:
                return
            await asyncio.sleep(dice.uniform(0.5, 20))
