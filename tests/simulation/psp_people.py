"""Everybody at the PSP's side: customers on payment pages, the courier of callbacks, and those who forge them."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from random import Random

import gateway
from gateway.core.wire import Callback
from tests.simulation.far_psp import Page, Psp, Told
from tests.simulation.site import Site
from tests.simulation.world import World

PLANS = (
    (14, ("paid",)),
    (3, ("failed",)),
    (3, ("processing", "paid")),
    (1, ("processing", "failed")),
    (1, ("failed", "paid")),
    (2, ()),
)
TRIES = 120
"""How often the courier tries."""

FORGERIES = ("other token", "no sign", "other amount", "other account")


class PspPeople:
    """``visit`` brings a customer to a page."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seen: set[str] = set()
        self.site: Site
        self.ledger: Psp

    def opened(self, page: Page) -> None:
        """Some payments are made before the gateway has heard that it may be."""
        if self._world.dice(f"page {page.order_no}").random() < 0.15:
            self._world.spawn(self._pay(page, self._world.dice(f"payer {page.order_no}"), patience=0.3))

    def visit(self, url: str) -> None:
        """The customer is sent to a page."""
        page = next(page for page in self.ledger.pages.values() if page.url == url)
        self._world.spawn(self._pay(page, self._world.dice(f"payer {page.order_no}"), patience=60))

    async def _pay(self, page: Page, dice: Random, *, patience: float) -> None:
        if page.order_no in self._seen:
            return
        self._seen.add(page.order_no)
        plan = dice.choices([plan for _, plan in PLANS], [weight for weight, _ in PLANS])[0]
        self._world.note(f"the customer of {page.order_no} goes {plan}")
        await asyncio.sleep(dice.uniform(480, 1400) if dice.random() < 0.07 else dice.uniform(0, patience))
        for state in plan:
            page.state = state
            amount = page.amount
            if state == "paid" and dice.random() < 0.03:
                amount = f"{Decimal(page.amount) - 1:.2f}"
            told = Told(state=state, amount=amount)
            page.told.append(told)
            self._world.spawn(self._carry(page, told, dice))
            if dice.random() < self._world.weather.mischief:
                self._world.spawn(self._carry(page, Told(state=state, amount=amount), dice))
                self._world.spawn(self._forge(page, dice))
            await asyncio.sleep(dice.choice((0.0, 0.05, 5.0, 60.0)))

    async def _carry(self, page: Page, told: Told, dice: Random) -> None:
        """Tell it until it is taken or refused."""
        await asyncio.sleep(dice.choice((0.0, 0.0, 0.2, 10.0)))
        for number in range(TRIES):
            answer = await self.site.tell(_path(page), self.ledger.callback(page, told))
            self._world.note(f"callback {page.order_no} {told.state}: {answer.status if answer else 'no answer'}")
            if answer is not None and answer.status < 500 and answer.status != 429:
                told.answer = answer.status
                return
            await asyncio.sleep(dice.uniform(0.5, 1.5) * min(2**number, 60))

    async def _forge(self, page: Page, dice: Random) -> None:
        """Try to make the gateway believe a payment that was never made."""
        await asyncio.sleep(dice.uniform(0, 20))
        how = dice.choice(FORGERIES)
        forged = self._forgery(page, how)
        answer = await self.site.tell(_path(page), forged)
        self._world.note(f"forgery ({how}) of {page.order_no}: {answer.status if answer else 'no answer'}")
        if answer is not None and answer.status < 300:
            self._world.violated(f"promise 5: a forged callback ({how}) was answered {answer.status}")

    def _forgery(self, page: Page, how: str) -> Callback:
        told = Told(state="paid", amount=page.amount)
        real = self.ledger.callback(page, told, transaction_id="FORGED")
        body, token = real.body, real.headers[1][1]
        if how == "other token":
            token = "A" * len(token)
        elif how == "no sign":
            members = gateway.loads(body)
            body = gateway.dumps({name: value for name, value in members.items() if name != "sign"})
        elif how == "other amount":
            body = body.replace(page.amount.encode(), b"0.01")
        else:
            body = self.ledger.callback(page, told, transaction_id="FORGED", merchant_id="somebody-else").body
        return self.ledger.posted(body, token)


def _path(page: Page) -> str:
    return f"{page.account.endpoint_id}/pay/callback"
